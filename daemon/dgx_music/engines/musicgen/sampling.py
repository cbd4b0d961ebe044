"""Drawing tokens: temperature, top-k, top-p, by inverse transform of one uniform number a token.

The uniforms come from a counter-based generator (Philox, Salmon et al. 2011) of the take's own seed, so the same seed
draws the same wherever the logits were computed and whatever stands beside the take in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.musicgen.decoder.base import Sampling

__all__ = ["draw", "uniforms"]


def uniforms(seed: int, steps: int, codebooks: int, *, window: int = 0) -> npt.NDArray[np.float32]:
    """Return (steps, codebooks) numbers in [0, 1) for one window of a take; each window has a stream of its own."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, window))))
    return generator.random((steps, codebooks), np.float32)


def draw(
    logits: npt.NDArray[np.float32], sampling: Sampling, uniform: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """Draw one token from each row of logits, a codebook's or several takes' codebooks'.

    Candidates are ordered by falling logit, equal ones by token, so that the order does not hang on the sort.

    Args:
        logits: (N, C).
        sampling: temperature 0 takes the likeliest. `top_p` keeps the tokens before which no more than that
            share of the mass stands, the likeliest always among them (Holtzman et al. 2020).
        uniform: (N,) in [0, 1).

    Returns:
        (N,) tokens.
    """
    if sampling.temperature == 0:
        likeliest: npt.NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
        return likeliest
    card = logits.shape[1]
    keep = min(sampling.top_k, card) if sampling.top_k and not sampling.top_p else card
    order = _likeliest(logits, keep)
    scaled = np.take_along_axis(logits, order, axis=1).astype(np.float64) / sampling.temperature
    mass = np.cumsum(np.exp(scaled - scaled[:, :1]), axis=1)
    last = np.full(len(logits), keep - 1)
    if sampling.top_p:
        last = np.minimum((mass <= sampling.top_p * mass[:, -1:]).sum(axis=1), last)
    total = np.take_along_axis(mass, last[:, None], axis=1)
    place = np.minimum((mass <= uniform[:, None] * total).sum(axis=1), last)
    return np.take_along_axis(order, place[:, None], axis=1)[:, 0]


def _likeliest(logits: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.int64]:
    """Return each row's likeliest tokens in order: (N, C) to (N, keep).

    Sorts whole numbers that hold a logit's rank above and its token below, which no two have in common. A float's bits
    read as a number rise with it where it is positive; where it is negative all but the sign have to be turned round.
    """
    card = logits.shape[1]
    shift = max(card - 1, 1).bit_length()
    # Adding 0 turns −0 into 0, its equal.
    bits = (np.asarray(logits, np.float32) + np.float32(0)).view(np.int32)
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    keys = (~rising).astype(np.int64)
    keys <<= shift
    keys |= np.arange(card)
    if keep < card:
        keys = np.partition(keys, keep - 1, axis=1)[:, :keep]
    keys.sort(axis=1)
    tokens: npt.NDArray[np.int64] = keys & ((1 << shift) - 1)
    return tokens
