"""The delay pattern (Copet et al. 2023, section 2.1): codebook k of frame t is decoded at step t + delays[k].

Step numbers count from 0; the input of step s is what was decoded at step s − 1, and at step 0 it is `card` for every
codebook. A window of F frames takes F + max(delays) steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["first_step", "interleave", "steps", "undo"]


def steps(frames: int, delays: Sequence[int]) -> int:
    """Return how many steps a window of so many frames takes."""
    return frames + max(delays)


def first_step(prompt_frames: int, delays: Sequence[int]) -> int:
    """Return the first step at which a token is sampled: the first that holds a token of frame `prompt_frames`."""
    return prompt_frames + min(delays)


def interleave(
    codes: npt.NDArray[np.int64], frames: int, delays: Sequence[int], card: int
) -> npt.NDArray[np.int64]:
    """Lay known frames out by step.

    Args:
        codes: (K, known), the first frames of the window.
        frames: length of the window.
        delays: one a codebook.
        card: the token that stands where the pattern has none.

    Returns:
        (steps, K): the known tokens, `card` where the pattern has none, −1 where the token is yet to be sampled.
    """
    books, known = codes.shape
    laid = np.full((steps(frames, delays), books), card, np.int64)
    for book, delay in enumerate(delays):
        laid[delay : delay + known, book] = codes[book]
        laid[delay + known : delay + frames, book] = -1
    return laid


def undo(laid: npt.NDArray[np.int64], start: int, stop: int, delays: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return frames `start` to `stop` (K, stop − start) of what `interleave` laid out and sampling has filled in."""
    return np.stack([laid[delay + start : delay + stop, book] for book, delay in enumerate(delays)])
