"""Every weight that an architecture has, by canonical name, with its shape: what a checkpoint must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.architecture import (
        CodecArchitecture,
        LmArchitecture,
        StyleArchitecture,
        TextArchitecture,
    )

    Shapes = dict[str, tuple[int, ...]]

__all__ = ["STYLE_SCALES", "codec_shapes", "lm_shapes", "text_shapes"]

STYLE_SCALES = {"xsmall": (256, 8, 4), "default": (512, 8, 8), "large": (1024, 16, 24), "none": (512, 0, 0)}
"""Width, heads and layers of the style encoder by its `transformer_scale` (audiocraft's `StyleConditioner`)."""
_MERT_DIM = 768


def lm_shapes(arch: LmArchitecture) -> Shapes:
    """Return the language model's weights."""
    made: Shapes = {}
    dim = arch.dim

    def linear(name: str, rows: int, columns: int, *, bias: bool = arch.has_bias) -> None:
        made[f"{name}.weight"] = (rows, columns)
        if bias:
            made[f"{name}.bias"] = (rows,)

    def norm(name: str) -> None:
        made[f"{name}.weight"] = made[f"{name}.bias"] = (dim,)

    for book in range(arch.codebooks):
        made[f"emb.{book}.weight"] = (arch.card + 1, dim)
        linear(f"linears.{book}", arch.card, dim)
    for layer in range(arch.layers):
        at = f"layers.{layer}"
        for attention in ["self_attn", "cross_attn"] if arch.text_fuse == "cross" else ["self_attn"]:
            linear(f"{at}.{attention}.in_proj", 3 * dim, dim)
            linear(f"{at}.{attention}.out_proj", dim, dim)
        linear(f"{at}.linear1", arch.ffn_dim, dim)
        linear(f"{at}.linear2", dim, arch.ffn_dim)
        for name in ["norm1", "norm_cross", "norm2"] if arch.text_fuse == "cross" else ["norm1", "norm2"]:
            norm(f"{at}.{name}")
    norm("out_norm")
    linear("text_proj", dim, arch.text_dim, bias=True)
    if arch.chroma is not None:
        linear("chroma_proj", dim, arch.chroma.bins, bias=True)
    if arch.style is not None:
        made.update(_style_shapes(arch.style, dim))
    return made


def _style_shapes(style: StyleArchitecture, dim: int) -> Shapes:
    options = dict(style.options)
    width, _, layers = STYLE_SCALES[options["transformer_scale"]]
    made: Shapes = {}
    if options["model_name"] == "mert":
        made |= {"style.embed.weight": (width, _MERT_DIM), "style.embed.bias": (width,)}
    else:
        bins = int(options["encodec_bins"])
        made |= {f"style.embed.{book}.weight": (bins, width) for book in range(int(options["encodec_n_q"]))}
    for layer in range(layers):
        at = f"style.transformer.layers.{layer}"
        made[f"{at}.self_attn.in_proj_weight"] = (3 * width, width)
        made[f"{at}.self_attn.out_proj.weight"] = (width, width)
        made[f"{at}.linear1.weight"] = (4 * width, width)
        made[f"{at}.linear2.weight"] = (width, 4 * width)
        for name in ["norm1", "norm2"]:
            made[f"{at}.{name}.weight"] = made[f"{at}.{name}.bias"] = (width,)
    for book in range(int(options["n_q_out"])):
        made[f"style.rvq.vq.layers.{book}._codebook.embed"] = (int(options["bins"]), width)
    if options["batch_norm"] == "true":
        made["style.batch_norm.running_mean"] = made["style.batch_norm.running_var"] = (width,)
    made |= {"style.output_proj.weight": (dim, width), "style.output_proj.bias": (dim,)}
    return made


def codec_shapes(arch: CodecArchitecture) -> Shapes:
    """Return the codec's weights. The numbers in the names count activations too, as audiocraft's modules do."""
    made: Shapes = {}

    def conv(name: str, rows: int, columns: int, kernel: int) -> None:
        made[f"{name}.conv.weight"] = (rows, columns, kernel)
        made[f"{name}.conv.bias"] = (rows,)

    def residual(name: str, width: int) -> None:
        hidden = width // arch.compress
        conv(f"{name}.block.1", hidden, width, arch.residual_kernel_size)
        conv(f"{name}.block.3", width, hidden, 1)
        if not arch.true_skip:
            conv(f"{name}.shortcut", width, width, 1)

    def lstm(name: str, width: int) -> None:
        for layer in range(arch.lstm_layers):
            for side in ["ih", "hh"]:
                made[f"{name}.lstm.weight_{side}_l{layer}"] = (4 * width, width)
                made[f"{name}.lstm.bias_{side}_l{layer}"] = (4 * width,)

    width, at = arch.n_filters, 0
    conv("encoder.model.0", width, 1, arch.kernel_size)
    for ratio in reversed(arch.ratios):
        for _ in range(arch.n_residual_layers):
            at += 1
            residual(f"encoder.model.{at}", width)
        at += 2
        conv(f"encoder.model.{at}", 2 * width, width, 2 * ratio)
        width *= 2
    if arch.lstm_layers:
        at += 1
        lstm(f"encoder.model.{at}", width)
    at += 2
    conv(f"encoder.model.{at}", arch.dimension, width, arch.last_kernel_size)

    at = 0
    conv("decoder.model.0", width, arch.dimension, arch.kernel_size)
    if arch.lstm_layers:
        at += 1
        lstm(f"decoder.model.{at}", width)
    for ratio in arch.ratios:
        at += 2
        made[f"decoder.model.{at}.convtr.weight"] = (width, width // 2, 2 * ratio)
        made[f"decoder.model.{at}.convtr.bias"] = (width // 2,)
        width //= 2
        for _ in range(arch.n_residual_layers):
            at += 1
            residual(f"decoder.model.{at}", width)
    at += 2
    conv(f"decoder.model.{at}", 1, width, arch.last_kernel_size)
    for book in range(arch.codebooks):
        made[f"codebooks.{book}"] = (arch.bins, arch.dimension)
    return made


def text_shapes(arch: TextArchitecture) -> Shapes:
    """Return the T5 encoder's weights."""
    made: Shapes = {"shared.weight": (arch.vocab, arch.dim)}
    inner = arch.heads * arch.head_dim
    for layer in range(arch.layers):
        at = f"encoder.block.{layer}.layer"
        for name in "qkv":
            made[f"{at}.0.SelfAttention.{name}.weight"] = (inner, arch.dim)
        made[f"{at}.0.SelfAttention.o.weight"] = (arch.dim, inner)
        if layer == 0:
            # All layers use the first one's table of distances.
            made[f"{at}.0.SelfAttention.relative_attention_bias.weight"] = (arch.relative_buckets, arch.heads)
        made[f"{at}.0.layer_norm.weight"] = made[f"{at}.1.layer_norm.weight"] = (arch.dim,)
        for name in ["wi_0", "wi_1"] if arch.gated_gelu else ["wi"]:
            made[f"{at}.1.DenseReluDense.{name}.weight"] = (arch.ffn_dim, arch.dim)
        made[f"{at}.1.DenseReluDense.wo.weight"] = (arch.dim, arch.ffn_dim)
    made["encoder.final_layer_norm.weight"] = (arch.dim,)
    return made
