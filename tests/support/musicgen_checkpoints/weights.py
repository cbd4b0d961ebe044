"""The random weights, under audiocraft's names and transformers' T5's.

Scales are chosen so that logits have a standard deviation of about 1, tokens keep changing and the codec gives audio
of a usual level.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from support.musicgen_checkpoints.shapes import ENCODEC_REPOSITORY, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from support.musicgen_checkpoints.shapes import Shape, T5Shape


@dataclass(frozen=True)
class Weight:
    """A tensor to draw: normal, by a generator of its own name, so that order and format do not matter."""

    shape: tuple[int, ...]
    std: float
    mean: float = 0.0
    half: bool = False

    def draw(self, name: str, seed: int) -> np.ndarray:
        if self.std == 0:
            return np.full(self.shape, self.mean, np.float32)
        generator = np.random.Generator(
            np.random.SFC64(np.random.SeedSequence((seed, zlib.crc32(name.encode()))))
        )
        values = generator.standard_normal(self.shape, np.float32)
        values *= np.float32(self.std)
        if self.mean:
            values += np.float32(self.mean)
        return values.astype(np.float16) if self.half else values


Weights = dict[str, Weight]


def weights(shape: Shape) -> tuple[Weights, Weights, Weights]:
    """Return the language model's, the codec's and T5's tensors under audiocraft's and transformers' T5's names."""
    return lm_weights(shape), codec_weights(shape), t5_weights(shape.text)


def lm_weights(shape: Shape) -> Weights:
    made: Weights = {}
    dim = shape.dim

    def linear(name: str, rows: int, columns: int, *, bias: bool, dot: str = ".", gain: float = 1.0) -> None:
        made[f"{name}{dot}weight"] = Weight((rows, columns), gain / math.sqrt(columns), half=True)
        if bias:
            made[f"{name}{dot}bias"] = Weight((rows,), 0.1, half=True)

    def norm(name: str) -> None:
        made[f"{name}.weight"] = Weight((dim,), 0.1, 1.0, half=True)
        made[f"{name}.bias"] = Weight((dim,), 0.1, half=True)

    # Embeddings outweigh what the layers add, of which much is the same at every step: otherwise greedy decoding
    # soon repeats itself.
    books = len(shape.delays)
    added = 2 / math.sqrt(shape.layers)
    for book in range(books):
        made[f"emb.{book}.weight"] = Weight((shape.card + 1, dim), 4 / math.sqrt(books), half=True)
        linear(f"linears.{book}", shape.card, dim, bias=shape.bias)
    for layer in range(shape.layers):
        at = f"transformer.layers.{layer}"
        for attention in ["self_attn"] if shape.prepends else ["self_attn", "cross_attention"]:
            linear(f"{at}.{attention}.in_proj", 3 * dim, dim, bias=shape.bias, dot="_", gain=1.2)
            linear(f"{at}.{attention}.out_proj", dim, dim, bias=shape.bias, gain=added)
        linear(f"{at}.linear1", shape.ffn_dim, dim, bias=shape.bias)
        linear(f"{at}.linear2", dim, shape.ffn_dim, bias=shape.bias, gain=added)
        for name in ["norm1", "norm2"] if shape.prepends else ["norm1", "norm2", "norm_cross"]:
            norm(f"{at}.{name}")
    norm("out_norm")
    conditioners = "condition_provider.conditioners"
    linear(f"{conditioners}.description.output_proj", dim, shape.text.d_model, bias=True)
    if shape.hears == "melody":
        linear(f"{conditioners}.self_wav.output_proj", dim, 12, bias=True, gain=math.sqrt(12))
    if shape.hears == "style":
        made.update(_style(f"{conditioners}.self_wav", dim))
    return made


STYLE = {
    "model_name": "mert",
    "transformer_scale": "xsmall",
    "sample_rate": SAMPLE_RATE_HZ,
    "encodec_checkpoint": f"//pretrained/{ENCODEC_REPOSITORY}",
    "encodec_n_q": 3,
    "length": 3.0,
    "ds_factor": 15,
    "n_q_out": 6,
    "eval_q": 3,
    "q_dropout": True,
    "bins": 1024,
    "varying_lengths": [1.5, 4.5],
    "batch_norm": True,
    "compute_mask": True,
    "num_codebooks_lm": "${transformer_lm.n_q}",
    "ds_rate_compression": 640,
    "use_middle_of_segment": False,
    "rvq_threshold_ema_dead_code": 0.1,
}


def _style(at: str, dim: int) -> Weights:
    """The style encoder of scale `xsmall`: 256 wide, 4 layers; MERT, which feeds it, is a model of its own."""
    width, layers = 256, 4
    made: Weights = {}
    made[f"{at}.embed.weight"] = Weight((width, 768), 768**-0.5, half=True)
    made[f"{at}.embed.bias"] = Weight((width,), 0.1, half=True)
    for layer in range(layers):
        block = f"{at}.transformer.layers.{layer}"
        made[f"{block}.self_attn.in_proj_weight"] = Weight((3 * width, width), width**-0.5, half=True)
        made[f"{block}.self_attn.out_proj.weight"] = Weight((width, width), width**-0.5, half=True)
        made[f"{block}.linear1.weight"] = Weight((4 * width, width), width**-0.5, half=True)
        made[f"{block}.linear2.weight"] = Weight((width, 4 * width), (4 * width) ** -0.5, half=True)
        for name in ["norm1", "norm2"]:
            made[f"{block}.{name}.weight"] = Weight((width,), 0.1, 1.0, half=True)
            made[f"{block}.{name}.bias"] = Weight((width,), 0.1, half=True)
    for book in range(6):
        made.update(_codebook(f"{at}.rvq.vq.layers.{book}._codebook", 1024, width, 0.6**book, half=True))
    made[f"{at}.batch_norm.running_mean"] = Weight((width,), 0.1, half=True)
    made[f"{at}.batch_norm.running_var"] = Weight((width,), 0.05, 1.0, half=True)
    made[f"{at}.batch_norm.num_batches_tracked"] = Weight((), 0.0, 100.0)
    made[f"{at}.output_proj.weight"] = Weight((dim, width), width**-0.5, half=True)
    made[f"{at}.output_proj.bias"] = Weight((dim,), 0.1, half=True)
    return made


def _codebook(at: str, bins: int, dimension: int, std: float, *, half: bool = False) -> Weights:
    return {
        f"{at}.inited": Weight((1,), 0.0, 1.0, half=half),
        f"{at}.cluster_size": Weight((bins,), 0.0, 1.0, half=half),
        f"{at}.embed": Weight((bins, dimension), std, half=half),
        f"{at}.embed_avg": Weight((bins, dimension), std, half=half),
    }


def codec_weights(shape: Shape) -> Weights:
    codec = shape.codec
    made: Weights = {}

    def conv(name: str, rows: int, columns: int, kernel: int, gain: float = 1.0) -> None:
        made[f"{name}.conv.conv.weight_g"] = Weight((rows, 1, 1), 0.05 * gain, gain)
        made[f"{name}.conv.conv.weight_v"] = Weight((rows, columns, kernel), 1.0)
        made[f"{name}.conv.conv.bias"] = Weight((rows,), 0.02 * gain)

    def transposed(name: str, rows: int, columns: int, stride: int) -> None:
        gain = math.sqrt(stride / 2)
        made[f"{name}.convtr.convtr.weight_g"] = Weight((rows, 1, 1), 0.05 * gain, gain)
        made[f"{name}.convtr.convtr.weight_v"] = Weight((rows, columns, 2 * stride), 1.0)
        made[f"{name}.convtr.convtr.bias"] = Weight((columns,), 0.02)

    def lstm(name: str, width: int) -> None:
        for layer in range(codec.lstm):
            for side in ["ih", "hh"]:
                made[f"{name}.lstm.weight_{side}_l{layer}"] = Weight((4 * width, width), width**-0.5)
                made[f"{name}.lstm.bias_{side}_l{layer}"] = Weight((4 * width,), 0.1)

    def residual(name: str, width: int) -> None:
        hidden = width // codec.compress
        conv(f"{name}.block.1", hidden, width, codec.residual_kernel_size)
        conv(f"{name}.block.3", width, hidden, 1)
        if not codec.true_skip:
            conv(f"{name}.shortcut", width, width, 1)

    # The positions that activations take in the sequence are left free, as in the published files.
    width, at = codec.n_filters, 0
    conv(f"encoder.model.{at}", width, 1, codec.kernel_size, gain=4.0)
    for ratio in reversed(codec.ratios):
        for _ in range(codec.n_residual_layers):
            at += 1
            residual(f"encoder.model.{at}", width)
        at += 2
        conv(f"encoder.model.{at}", 2 * width, width, 2 * ratio)
        width *= 2
    at += 1
    lstm(f"encoder.model.{at}", width)
    at += 2
    conv(f"encoder.model.{at}", codec.dimension, width, codec.last_kernel_size)

    at = 0
    conv(f"decoder.model.{at}", width, codec.dimension, codec.kernel_size)
    at += 1
    lstm(f"decoder.model.{at}", width)
    for ratio in codec.ratios:
        at += 2
        transposed(f"decoder.model.{at}", width, width // 2, ratio)
        width //= 2
        for _ in range(codec.n_residual_layers):
            at += 1
            residual(f"decoder.model.{at}", width)
    at += 2
    conv(f"decoder.model.{at}", 1, width, codec.last_kernel_size, gain=0.1)
    for book in range(codec.codebooks):
        made.update(
            _codebook(f"quantizer.vq.layers.{book}._codebook", shape.card, codec.dimension, 0.6**book)
        )
    return made


def t5_weights(text: T5Shape) -> Weights:
    made: Weights = {"shared.weight": Weight((text.vocab, text.d_model), 1.0)}
    inner = text.heads * text.d_kv
    for layer in range(text.layers):
        at = f"encoder.block.{layer}.layer"
        # T5 does not divide scores by the root of the head's width; its queries are scaled down instead.
        made[f"{at}.0.SelfAttention.q.weight"] = Weight(
            (inner, text.d_model), (text.d_model * text.d_kv) ** -0.5
        )
        made[f"{at}.0.SelfAttention.k.weight"] = Weight((inner, text.d_model), text.d_model**-0.5)
        made[f"{at}.0.SelfAttention.v.weight"] = Weight((inner, text.d_model), text.d_model**-0.5)
        made[f"{at}.0.SelfAttention.o.weight"] = Weight((text.d_model, inner), inner**-0.5)
        if layer == 0:
            made[f"{at}.0.SelfAttention.relative_attention_bias.weight"] = Weight((32, text.heads), 0.5)
        made[f"{at}.0.layer_norm.weight"] = Weight((text.d_model,), 0.1, 1.0)
        made[f"{at}.1.DenseReluDense.wi.weight"] = Weight((text.d_ff, text.d_model), text.d_model**-0.5)
        made[f"{at}.1.DenseReluDense.wo.weight"] = Weight((text.d_model, text.d_ff), text.d_ff**-0.5)
        made[f"{at}.1.layer_norm.weight"] = Weight((text.d_model,), 0.1, 1.0)
    made["encoder.final_layer_norm.weight"] = Weight((text.d_model,), 0.1, 1.0)
    return made
