"""Takes that are longer than the model's window: which frames each window decodes, and what it already knows of them.

The rule is MusicGen's own: a window begins `stride` frames after the one before, knows all that was decoded from there
on, and decodes the rest of itself; the last one ends with the take. Only frames are counted, never seconds, so that no
rounding can lose one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["STRIDE_S", "Window", "plan", "wrap"]

STRIDE_S = 18.0
"""By how much the windows of MusicGen advance: of 30 s, 12 s are context."""


@dataclass(frozen=True)
class Window:
    """A stretch of a take that the model sees at once."""

    start: int
    """Its first frame, counted from the take's beginning, prompt included."""
    frames: int
    """Its length, known frames included."""
    known: int
    """How many frames at its beginning were decoded before, or came in as the prompt."""

    @property
    def stop(self) -> int:
        """The frame after its last."""
        return self.start + self.frames

    @property
    def new(self) -> range:
        """The frames of the take that this window decodes."""
        return range(self.start + self.known, self.stop)


def plan(total: int, *, window: int, stride: int, prompt: int = 0) -> tuple[Window, ...]:
    """Lay windows over a take so that each frame after the prompt is decoded exactly once, in order.

    Args:
        total: frames of the take, prompt included.
        window: frames that the model sees at once.
        stride: frames from one window's start to the next's, fewer than `window`.
        prompt: frames at the take's beginning that are given; fewer than `total` and than `window`.

    Raises:
        ValueError: the numbers leave a window without a frame to decode.
    """
    if not 0 < stride < window:
        raise ValueError(f"a stride of {stride} frames does not lie between 0 and the window's {window}")
    if not 0 <= prompt < min(total, window):
        raise ValueError(
            f"a prompt of {prompt} frames leaves nothing to decode of {total} frames in windows of {window}"
        )
    windows = [Window(0, min(total, window), prompt)]
    while windows[-1].stop < total:
        before = windows[-1]
        start = before.start + stride
        windows.append(Window(start, min(total - start, window), before.stop - start))
    return tuple(windows)


def wrap(wave: npt.NDArray[np.float32], start: int, length: int) -> npt.NDArray[np.float32]:
    """Return `length` samples from `start` on of a wave that is repeated for ever.

    So a window of a long take hears its own part of the melody. `start` is the window's, in samples: its first frame
    times the codec's hop.

    Args:
        wave: (..., samples), not empty.
        start: first sample, from 0 on.
        length: number of samples: the whole window's, even where the take ends earlier.
    """
    return wave[..., np.arange(start, start + length) % wave.shape[-1]]
