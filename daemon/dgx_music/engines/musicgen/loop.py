"""Closes a take into a loop: what would have followed its end is blended into its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["OVERLAP_S", "close_loop"]

OVERLAP_S = 0.1
"""How much more than the loop's length is made for it."""


def close_loop(audio: npt.NDArray[np.float32], length_samples: int) -> npt.NDArray[np.float32]:
    """Return `(channels, length_samples)` whose last sample runs into its first as the audio itself goes on.

    Equal-power crossfade: a take's end and its beginning are not alike, so their powers add and not their amplitudes.

    Args:
        audio: `(channels, samples)` with some samples more than the loop's length.
        length_samples: the loop's length.
    """
    overlap = min(audio.shape[1] - length_samples, length_samples)
    loop = audio[:, :length_samples].copy()
    if overlap > 0:
        angle = (np.arange(overlap, dtype=np.float32) + 0.5) * (np.pi / 2 / overlap)
        after = audio[:, length_samples : length_samples + overlap]
        loop[:, :overlap] = after * np.cos(angle) + loop[:, :overlap] * np.sin(angle)
    return loop
