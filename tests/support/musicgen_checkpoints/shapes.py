"""What checkpoints can be built: a name, and all numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

SAMPLE_RATE_HZ = 32_000
ENCODEC_REPOSITORY = "facebook/encodec_32khz"


@dataclass(frozen=True)
class T5Shape:
    """A T5 encoder. audiocraft takes the published names only, and from them the width."""

    name: str = "t5-base"
    d_model: int = 768
    d_kv: int = 64
    d_ff: int = 3072
    layers: int = 12
    heads: int = 12
    vocab: int = 32_128


@dataclass(frozen=True)
class CodecShape:
    """An EnCodec."""

    dimension: int = 128
    n_filters: int = 64
    ratios: tuple[int, ...] = (8, 5, 4, 4)
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    n_residual_layers: int = 1
    dilation_base: int = 2
    compress: int = 2
    lstm: int = 2
    true_skip: bool = True
    codebooks: int = 4


@dataclass(frozen=True)
class Shape:
    """A whole model."""

    dim: int
    heads: int
    layers: int
    hidden_scale: float = 4
    card: int = 2048
    delays: tuple[int, ...] = (0, 1, 2, 3)
    stereo: bool = False
    hears: Literal["", "melody", "style"] = ""
    bias: bool = False
    radix2_exp: int = 14
    segment_s: float = 30
    codec: CodecShape = field(default_factory=CodecShape)
    text: T5Shape = field(default_factory=T5Shape)

    @property
    def prepends(self) -> bool:
        return bool(self.hears)

    @property
    def chroma_frames(self) -> int:
        """Length of the melody prefix: an STFT of the segment with a hop of a quarter of the window, centred."""
        return int(SAMPLE_RATE_HZ * self.segment_s) // (2**self.radix2_exp // 4) + 1

    @property
    def ffn_dim(self) -> int:
        return int(self.hidden_scale * self.dim)


_TINY_T5 = T5Shape("t5-small", 512, 8, 32, 1, 2, 512)
_TINY_CODEC = CodecShape(dimension=16, n_filters=4)
_TINY = Shape(64, 4, 2, card=256, codec=_TINY_CODEC, text=_TINY_T5)
STEREO_DELAYS = (0, 0, 1, 1, 2, 2, 3, 3)
_SMALL = Shape(1024, 16, 24)
_MEDIUM = Shape(1536, 24, 48)
_LARGE = Shape(2048, 32, 48)

SHAPES: dict[str, Shape] = {
    "tiny": _TINY,
    "tiny_odd": Shape(
        60,
        3,
        3,
        hidden_scale=2.5,
        card=256,
        delays=(0, 1, 2),
        codec=CodecShape(
            dimension=11,
            n_filters=3,
            ratios=(10, 8, 8),
            kernel_size=5,
            last_kernel_size=3,
            residual_kernel_size=5,
            n_residual_layers=2,
            dilation_base=3,
            compress=1,
            lstm=1,
            true_skip=False,
            codebooks=3,
        ),
        text=T5Shape("t5-small", 512, 5, 33, 2, 3, 450),
    ),
    # Delays that the hub's configuration cannot express, and biases: audiocraft's format only.
    "tiny_delays": replace(_TINY, delays=(0, 2, 2, 5), bias=True),
    "tiny_stereo": replace(_TINY, delays=STEREO_DELAYS, stereo=True),
    "tiny_melody": replace(_TINY, hears="melody", segment_s=5),
    "tiny_style": replace(_TINY, hears="style"),
    "small": _SMALL,
    "medium": _MEDIUM,
    "large": _LARGE,
    "small_stereo": replace(_SMALL, delays=STEREO_DELAYS, stereo=True),
    "melody": replace(_MEDIUM, hears="melody"),
    "style": replace(_MEDIUM, hears="style"),
}
