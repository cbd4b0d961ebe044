"""How far one decoder's logits are from another's: what a lower precision costs, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Agreement", "compare_logits"]


@dataclass(frozen=True)
class Agreement:
    """Means over all distributions compared."""

    kl: float
    """Kullback-Leibler divergence of the other from the reference, in nats."""
    top1: float
    """Share of distributions whose likeliest token is the same."""
    top10: float
    """Share of the reference's ten likeliest tokens that are among the other's ten."""
    cosine: float
    """Cosine between the two vectors of logits."""
    max_abs: float
    """The largest difference between two logits (a maximum, not a mean)."""


def compare_logits(reference: npt.ArrayLike, other: npt.ArrayLike) -> Agreement:
    """Compare logits of the same steps.

    Args:
        reference: (…, C), the last axis over the tokens.
        other: the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    expected = np.asarray(reference, np.float64)
    found = np.asarray(other, np.float64)
    if expected.shape != found.shape:
        raise ValueError(f"logits of shape {expected.shape} cannot be compared with {found.shape}")
    expected = expected.reshape(-1, expected.shape[-1])
    found = found.reshape(expected.shape)
    log_p, log_q = _log_softmax(expected), _log_softmax(found)
    count = min(10, expected.shape[1])
    best, best_found = _largest(expected, count), _largest(found, count)
    shared = (best[:, :, None] == best_found[:, None, :]).any(axis=2)
    norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosine = (expected * found).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
    return Agreement(
        kl=float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean()),
        top1=float((expected.argmax(axis=1) == found.argmax(axis=1)).mean()),
        top10=float(shared.mean()),
        cosine=float(cosine.mean()),
        max_abs=float(np.abs(expected - found).max()),
    )


def _log_softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted: npt.NDArray[np.float64] = logits - logits.max(axis=1, keepdims=True)
    normalised: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def _largest(logits: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.intp]:
    return np.argsort(-logits, axis=1, kind="stable")[:, :count]
