"""What T5's encoder (Raffel et al. 2020; Shazeer 2020 for the gated kind) is made of, whoever computes it."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import TextArchitecture

__all__ = ["EMBEDDING", "FINAL_NORM", "RELATIVE_BIAS", "LayerNames", "position_buckets"]

EMBEDDING = "shared.weight"
FINAL_NORM = "encoder.final_layer_norm.weight"
RELATIVE_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
"""(buckets, heads); the first layer's, used by all."""


@dataclass(frozen=True)
class LayerNames:
    """The weights of one layer, all (out, in) but the norms."""

    attention_norm: str
    query: str
    key: str
    value: str
    attention_out: str
    feed_norm: str
    feed_in: tuple[str, ...]
    """One, or the gate and the gated."""
    feed_out: str

    @classmethod
    def of(cls, arch: TextArchitecture, layer: int) -> LayerNames:
        """Return the names of a layer."""
        attention = f"encoder.block.{layer}.layer.0"
        feed = f"encoder.block.{layer}.layer.1"
        return cls(
            attention_norm=f"{attention}.layer_norm.weight",
            query=f"{attention}.SelfAttention.q.weight",
            key=f"{attention}.SelfAttention.k.weight",
            value=f"{attention}.SelfAttention.v.weight",
            attention_out=f"{attention}.SelfAttention.o.weight",
            feed_norm=f"{feed}.layer_norm.weight",
            feed_in=tuple(
                f"{feed}.DenseReluDense.{name}.weight"
                for name in (("wi_0", "wi_1") if arch.gated_gelu else ("wi",))
            ),
            feed_out=f"{feed}.DenseReluDense.wo.weight",
        )


def position_buckets(arch: TextArchitecture, tokens: int) -> npt.NDArray[np.int64]:
    """Return (tokens, tokens): the bucket of each distance, from the one that looks (first) to the one looked at.

    Half of the buckets are for what comes before, half for what comes after; half of each for one distance, the others
    for distances that grow by a factor, the last for `relative_max_distance` and all beyond.
    """
    buckets = arch.relative_buckets // 2
    exact = buckets // 2
    distance = np.arange(tokens)[None, :] - np.arange(tokens)[:, None]
    far = np.abs(distance)
    # In float32, as T5 was trained: a distance at the edge of two buckets then falls into the same one.
    grown = np.log(np.maximum(far, exact).astype(np.float32) / np.float32(exact))
    share = grown / np.float32(log(arch.relative_max_distance / exact)) * np.float32(buckets - exact)
    coarse = np.minimum(exact + share.astype(np.int64), buckets - 1)
    made: npt.NDArray[np.int64] = np.where(far < exact, far, coarse) + np.where(distance > 0, buckets, 0)
    return made
