"""What a MusicGen checkpoint is made of, in numbers: read from its own configuration, never guessed.

The canonical weight names that go with it, whatever format the checkpoint came in (`checkpoint.load`), all
`(out, in)` for linear layers:

language model (`Checkpoint.lm`), `d` = `dim`, `L` the layer's number, `q` the codebook's:
    `emb.{q}.weight` (card + 1, d) · `linears.{q}.weight` (card, d) · `out_norm.weight|bias` (d,)
    `layers.{L}.self_attn.in_proj.weight` (3d, d): query, key, value one below the other
    `layers.{L}.self_attn.out_proj.weight` (d, d)
    `layers.{L}.cross_attn.in_proj.weight`, `layers.{L}.cross_attn.out_proj.weight`, the same, where text goes in by
    cross-attention
    `layers.{L}.linear1.weight` (ffn_dim, d) · `layers.{L}.linear2.weight` (d, ffn_dim)
    `layers.{L}.norm1|norm_cross|norm2.weight|bias` (d,)
    `text_proj.weight|bias` (d, text_dim) · `chroma_proj.weight|bias` (d, bins) · `style.…` as the style encoder names them
    Biases of the linear layers stand beside them under `.bias` where `has_bias` says so (no published model has them).
codec (`Checkpoint.codec`): audiocraft's names below `encoder.` and `decoder.` with weight norm folded in, so that each
    convolution has one `weight` and one `bias` (`decoder.model.0.conv.weight`, `decoder.model.3.convtr.weight`,
    `decoder.model.1.lstm.weight_ih_l0`, …), and `codebooks.{q}` (bins, dimension).
text encoder (`Checkpoint.text`): transformers' T5 names (`shared.weight`, `encoder.block.0.layer.0.SelfAttention.q.weight`, …).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ChromaArchitecture",
    "CodecArchitecture",
    "LmArchitecture",
    "ModelArchitecture",
    "StyleArchitecture",
    "TextArchitecture",
]


@dataclass(frozen=True)
class ChromaArchitecture:
    """How a melody becomes chroma: `chroma_stem` of audiocraft's configuration."""

    bins: int
    """Pitch classes (12)."""
    radix2_exp: int
    """The STFT window is 2 to this power (14), at the codec's rate."""
    winhop: int
    """Samples from one frame to the next (a quarter of the window where the configuration is silent)."""
    argmax: bool
    """Whether each frame keeps its strongest pitch class alone."""
    frames: int
    """Length of the prefix: `duration_s` of chroma frames, as in training (235)."""


@dataclass(frozen=True)
class StyleArchitecture:
    """The style encoder of `musicgen-style`, as in audiocraft's `StyleConditioner`."""

    options: tuple[tuple[str, str], ...]
    """The checkpoint's own settings, as text, in order."""


@dataclass(frozen=True)
class LmArchitecture:
    """The language model: a pre-norm transformer decoder over interleaved codebooks (Copet et al. 2023)."""

    dim: int
    heads: int
    layers: int
    ffn_dim: int
    codebooks: int
    """Streams of tokens: 4, or 8 where left and right have four each."""
    card: int
    """Tokens a codebook (2048); the token `card` itself means "none yet"."""
    delays: tuple[int, ...]
    """By how many frames each codebook comes late."""
    text_dim: int
    text_fuse: Literal["cross", "prepend"]
    """Whether the text is attended to at every layer, or stands before the tokens."""
    has_bias: bool
    cfg_coef: float
    """The guidance that the checkpoint recommends."""
    two_step_cfg: bool
    norm_eps: float = 1e-5
    chroma: ChromaArchitecture | None = None
    style: StyleArchitecture | None = None

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    @property
    def max_delay(self) -> int:
        """The latest codebook's delay, in frames."""
        return max(self.delays)


@dataclass(frozen=True)
class CodecArchitecture:
    """EnCodec (Défossez et al. 2022) as MusicGen uses it: a mono SEANet with a residual vector quantiser."""

    sample_rate_hz: int
    channels: int
    """Channels of the audio: 1, or 2 where each channel is coded by itself and the codebooks alternate left, right."""
    dimension: int
    n_filters: int
    ratios: tuple[int, ...]
    """Upsampling from the inside out as in the configuration (8, 5, 4, 4); the encoder takes them in reverse."""
    kernel_size: int
    last_kernel_size: int
    residual_kernel_size: int
    n_residual_layers: int
    dilation_base: int
    compress: int
    lstm_layers: int
    causal: bool
    pad_mode: str
    true_skip: bool
    """Whether residual blocks skip with the identity, else with a 1 × 1 convolution."""
    codebooks: int
    """Codebooks a channel (4)."""
    bins: int
    """Entries a codebook (2048)."""

    @property
    def hop_samples(self) -> int:
        """Samples a frame (640)."""
        hop = 1
        for ratio in self.ratios:
            hop *= ratio
        return hop

    @property
    def frame_rate_hz(self) -> float:
        """Frames a second (50)."""
        return self.sample_rate_hz / self.hop_samples


@dataclass(frozen=True)
class TextArchitecture:
    """The T5 encoder (Raffel et al. 2020) that reads the prompt."""

    name: str
    """`t5-base` and the like; its own repository where the checkpoint holds no copy."""
    dim: int
    layers: int
    heads: int
    head_dim: int
    ffn_dim: int
    vocab: int
    relative_buckets: int = 32
    relative_max_distance: int = 128
    norm_eps: float = 1e-6
    gated_gelu: bool = False


@dataclass(frozen=True)
class ModelArchitecture:
    """A whole checkpoint."""

    lm: LmArchitecture
    codec: CodecArchitecture
    text: TextArchitecture
    window_s: float = 30.0
    """The longest stretch that the model was trained on."""

    @property
    def window_frames(self) -> int:
        """The same in frames."""
        return int(self.window_s * self.codec.frame_rate_hz)
