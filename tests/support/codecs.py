"""EnCodecs with random weights, under the project's own names, and the same in audiocraft and transformers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from math import ceil, log2, sqrt
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.musicgen.architecture import CodecArchitecture
from dgx_music.engines.musicgen.codec.seanet import Conv, Lstm, Residual, Upsample, decoder, encoder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FULL",
    "TINY",
    "VARIANTS",
    "audiocraft_codec",
    "codec_weights",
    "random_codes",
    "transformers_codec",
]

FULL = CodecArchitecture(
    sample_rate_hz=32_000,
    channels=1,
    dimension=128,
    n_filters=64,
    ratios=(8, 5, 4, 4),
    kernel_size=7,
    last_kernel_size=7,
    residual_kernel_size=3,
    n_residual_layers=1,
    dilation_base=2,
    compress=2,
    lstm_layers=2,
    causal=False,
    pad_mode="constant",
    true_skip=True,
    codebooks=4,
    bins=2048,
)
TINY = replace(FULL, sample_rate_hz=1600, dimension=6, n_filters=2, ratios=(4, 2), bins=16)
VARIANTS = {
    "tiny": TINY,
    "reflect": replace(TINY, pad_mode="reflect"),
    "causal": replace(TINY, causal=True),
    "causal_reflect": replace(TINY, causal=True, pad_mode="reflect"),
    "odd": replace(
        TINY,
        dimension=5,
        n_filters=3,
        ratios=(3, 5, 2),
        kernel_size=5,
        last_kernel_size=3,
        n_residual_layers=3,
        dilation_base=3,
        compress=3,
        lstm_layers=1,
        true_skip=False,
        codebooks=3,
    ),
    "odd_reflect": replace(
        TINY,
        ratios=(5, 3),
        kernel_size=6,
        last_kernel_size=4,
        residual_kernel_size=5,
        n_residual_layers=2,
        lstm_layers=3,
        pad_mode="reflect",
    ),
    "no_lstm": replace(TINY, lstm_layers=0),
    "stereo": replace(TINY, channels=2, codebooks=2),
}


def codec_weights(arch: CodecArchitecture, seed: int = 0, lstm_scale: float = 1.0) -> dict[str, np.ndarray]:
    """Return random weights that keep the audio within about ±1."""
    rng = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}

    def normal(name: str, shape: tuple[int, ...], std: float) -> None:
        made[name] = (rng.standard_normal(shape) * std).astype(np.float32)

    for network, channels, last_gain in ((decoder(arch), arch.dimension, 0.3), (encoder(arch), 1, 1.0)):
        for layer, inputs, outputs in _with_channels(arch, network, channels):
            gain = last_gain if layer is network.back[-1] else 0.4 if "block.3" in layer.name else 1.0
            if isinstance(layer, Lstm):
                bound = lstm_scale / sqrt(network.width)
                for number in range(layer.layers):
                    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                        shape = (4 * network.width, network.width)[: 2 if kind.startswith("w") else 1]
                        made[f"{layer.name}.{kind}_l{number}"] = rng.uniform(-bound, bound, shape).astype(
                            "f4"
                        )
                continue
            transposed = isinstance(layer, Upsample)
            shape = (inputs, outputs, layer.kernel) if transposed else (outputs, inputs, layer.kernel)
            fan_in = inputs * (2 if transposed else layer.kernel)
            normal(f"{layer.name}.weight", shape, gain / sqrt(fan_in))
            normal(f"{layer.name}.bias", (outputs,), 0.05 * gain)
    for book in range(arch.codebooks):
        normal(f"codebooks.{book}", (arch.bins, arch.dimension), 0.6**book)
    return made


def _with_channels(arch, network, channels) -> Iterator[tuple[object, int, int]]:
    """Yield every layer with weights and its channels, in and out."""
    for layer in (*network.front, network.lstm, *network.back):
        match layer:
            case Lstm():
                yield layer, channels, channels
            case Residual():
                hidden = channels // arch.compress
                yield layer.first, channels, hidden
                yield layer.second, hidden, channels
                if layer.skip:
                    yield layer.skip, channels, channels
            case Upsample():
                yield layer, channels, channels // 2
                channels //= 2
            case Conv():
                if layer is network.front[0]:
                    outputs = arch.n_filters if network.hop_in > 1 else network.width
                elif layer is network.back[-1]:
                    outputs = arch.dimension if network.hop_in > 1 else 1
                else:
                    outputs = 2 * channels
                yield layer, channels, outputs
                channels = outputs


def random_codes(arch: CodecArchitecture, frames: int, seed: int = 0) -> np.ndarray:
    """Return codes (K, frames)."""
    return np.random.default_rng(seed).integers(0, arch.bins, (arch.codebooks * arch.channels, frames))


def transformers_codec(arch: CodecArchitecture, weights: dict[str, np.ndarray]):
    """Return transformers' mono EncodecModel with these weights."""
    import torch
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(
        target_bandwidths=[(arch.codebooks + 0.01) * ceil(arch.frame_rate_hz) * ceil(log2(arch.bins)) / 1000],
        sampling_rate=arch.sample_rate_hz,
        audio_channels=1,
        normalize=False,
        chunk_length_s=None,
        overlap=None,
        hidden_size=arch.dimension,
        num_filters=arch.n_filters,
        num_residual_layers=arch.n_residual_layers,
        upsampling_ratios=list(arch.ratios),
        norm_type="weight_norm",
        kernel_size=arch.kernel_size,
        last_kernel_size=arch.last_kernel_size,
        residual_kernel_size=arch.residual_kernel_size,
        dilation_growth_rate=arch.dilation_base,
        use_causal_conv=arch.causal,
        pad_mode=arch.pad_mode,
        compress=arch.compress,
        num_lstm_layers=arch.lstm_layers,
        codebook_size=arch.bins,
        codebook_dim=arch.dimension,
        use_conv_shortcut=not arch.true_skip,
    )
    model = EncodecModel(config).eval()
    state = model.state_dict()
    for name, values in weights.items():
        tensor = torch.from_numpy(values)
        if name.startswith("codebooks."):
            state[f"quantizer.layers.{name.split('.')[1]}.codebook.embed"] = tensor
            continue
        theirs = name.replace(".model.", ".layers.", 1).replace("convtr", "conv")
        if theirs.endswith("conv.weight"):
            base = theirs.removesuffix("weight") + "parametrizations.weight."
            state[base + "original0"] = tensor.norm(dim=(1, 2), keepdim=True)
            state[base + "original1"] = tensor
        else:
            state[theirs] = tensor
    model.load_state_dict(state)
    return model


def audiocraft_codec(arch: CodecArchitecture, weights: dict[str, np.ndarray]):
    """Return audiocraft's CompressionModel with these weights, interleaving if stereo; within `stand_ins` only."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from audiocraft.models.encodec import EncodecModel, InterleaveStereoCompressionModel
        from audiocraft.modules.seanet import SEANetDecoder, SEANetEncoder
        from audiocraft.quantization import ResidualVectorQuantizer

    options = {
        "channels": 1,
        "dimension": arch.dimension,
        "n_filters": arch.n_filters,
        "n_residual_layers": arch.n_residual_layers,
        "ratios": list(arch.ratios),
        "kernel_size": arch.kernel_size,
        "last_kernel_size": arch.last_kernel_size,
        "residual_kernel_size": arch.residual_kernel_size,
        "dilation_base": arch.dilation_base,
        "causal": arch.causal,
        "pad_mode": arch.pad_mode,
        "true_skip": arch.true_skip,
        "compress": arch.compress,
        "lstm": arch.lstm_layers,
    }
    model = EncodecModel(
        SEANetEncoder(**options),
        SEANetDecoder(**options),
        ResidualVectorQuantizer(dimension=arch.dimension, n_q=arch.codebooks, bins=arch.bins),
        frame_rate=arch.frame_rate_hz,
        sample_rate=arch.sample_rate_hz,
        channels=1,
    ).eval()
    state = model.state_dict()
    for name, values in weights.items():
        tensor = torch.from_numpy(values)
        if name.startswith("codebooks."):
            state[f"quantizer.vq.layers.{name.split('.')[1]}._codebook.embed"] = tensor
        else:
            state[name.replace(".conv.", ".conv.conv.").replace(".convtr.", ".convtr.convtr.")] = tensor
    for name in state:
        if name.endswith("inited"):
            state[name] = torch.ones_like(state[name])
    model.load_state_dict(state)
    return model if arch.channels == 1 else InterleaveStereoCompressionModel(model)
