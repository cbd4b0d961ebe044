"""Eight-bit weights: one scale for each output, symmetric, and safe for processors without VNNI.

AVX2 multiplies unsigned activations by signed weights with `vpmaddubsw`, which adds two neighbouring products in 16
bits and saturates; a sum that saturates is a wrong one. Activations reach 255, so no two neighbours of one sign may
sum to more than 128. Each output's scale is therefore the smallest one that keeps to both bounds, its largest weight
at 127 and its largest pair of neighbours at 127 before rounding (rounding adds at most 1). With weights as training
leaves them this costs a quarter of a bit; half the range for all of them would cost a whole one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["quantise_rows"]

_LIMIT = 127.0


def quantise_rows(
    weight: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round a linear layer's weights to eight bits.

    Args:
        weight: (out, in).

    Returns:
        (out, in) whole numbers and (out,) scales; their product stands for the weights.
    """
    full = np.asarray(weight, np.float32)
    largest = np.abs(full).max(axis=1)
    even = full.shape[1] // 2 * 2
    pairs = full[:, :even].reshape(full.shape[0], -1, 2)
    if even:
        # The two of one pair saturate together only where their signs agree: the other one's part counts as 0.
        positive = np.maximum(pairs, 0).sum(axis=2).max(axis=1)
        negative = np.minimum(pairs, 0).sum(axis=2).min(axis=1)
        largest = np.maximum(largest, np.maximum(positive, -negative))
    scales = np.where(largest > 0, largest / np.float32(_LIMIT), np.float32(1)).astype(np.float32)
    return np.rint(full / scales[:, None]).astype(np.int8), scales
