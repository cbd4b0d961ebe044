"""A look-ahead true-peak limiter: turns down before a peak, and back up after it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LOOK_AHEAD_S", "RELEASE_S", "limiter_gain"]

LOOK_AHEAD_S = 0.003
"""How long before a peak the gain starts to fall. Shorter ones distort bass, longer ones are heard as ducking."""
RELEASE_S = 0.08
"""The time constant with which the gain reduction, in dB, dies away after a peak."""

_SAMPLES_AT_ONCE = 1 << 18


def limiter_gain(
    envelope: npt.NDArray[np.float32], sample_rate_hz: int, *, ceiling: float, loop: bool = False
) -> npt.NDArray[np.float32]:
    """Return the gain, at most 1, that keeps `envelope × gain` at or below the ceiling at every sample.

    The wanted reduction (in dB) is held over the look-ahead, released exponentially, and smoothed by two moving
    averages as long as the look-ahead together. An average over values that all hold the peak's reduction
    cannot be less than it, so the ceiling is exact; looking ahead in the finished audio costs no latency.

    Args:
        envelope: `(samples,)` true-peak envelope of all channels, linear; one gain for all keeps the image.
        sample_rate_hz: of the envelope.
        ceiling: the highest magnitude allowed, linear.
        loop: whether the end runs into the beginning; the gain then does as well.
    """
    look_ahead = max(2, round(LOOK_AHEAD_S * sample_rate_hz))
    if not loop:
        return _gain(envelope, sample_rate_hz, look_ahead, ceiling)
    # Ten time constants: a reduction of 40 dB has faded to 0.002 dB.
    run_in = look_ahead + round(10 * RELEASE_S * sample_rate_hz)
    around = np.pad(envelope, (run_in, look_ahead), mode="wrap")
    return _gain(around, sample_rate_hz, look_ahead, ceiling)[run_in : run_in + envelope.size]


def _gain(
    envelope: npt.NDArray[np.float32], sample_rate_hz: int, look_ahead: int, ceiling: float
) -> npt.NDArray[np.float32]:
    """Work through the envelope in pieces, in float64, so that ten minutes need no more memory than ten seconds."""
    gain = np.ones(envelope.size, np.float32)
    if float(envelope.max(initial=0.0)) <= ceiling:
        return gain
    before_db = np.zeros(0)
    for start in range(0, envelope.size, _SAMPLES_AT_ONCE):
        piece = gain[start : start + _SAMPLES_AT_ONCE]
        coming = envelope[start : start + piece.size + look_ahead].astype(np.float64)
        wanted_db = 20 * np.log10(np.maximum(coming, ceiling) / ceiling)
        # origin shifts the window so that it covers this sample and the `look_ahead` samples after it
        held_db = maximum_filter1d(
            wanted_db, look_ahead + 1, mode="constant", origin=-((look_ahead + 1) // 2)
        )
        if not before_db.size:
            # Start with the reduction already in place, for a peak on the first sample.
            before_db = np.full(look_ahead, held_db[0])
        released_db = _release(held_db[: piece.size], before_db[-1], sample_rate_hz)
        known_db = np.concatenate((before_db, released_db))
        piece[:] = np.power(10.0, -_smooth(known_db, look_ahead)[look_ahead:] / 20)
        before_db = known_db[-look_ahead:]
    return gain


def _release(
    reduction_db: npt.NDArray[np.float64], before_db: float, sample_rate_hz: int
) -> npt.NDArray[np.float64]:
    """Let each reduction die away exponentially: y[n] = max(x[n], a·y[n-1]), without a loop over samples.

    In logarithms the decay is a straight line, so that y is a running maximum over a tilted x.
    """
    tilt = np.arange(reduction_db.size + 1) / (RELEASE_S * sample_rate_hz)
    with np.errstate(divide="ignore"):
        tilted = np.log(np.concatenate(([before_db], reduction_db))) + tilt
    released: npt.NDArray[np.float64] = np.exp(np.maximum.accumulate(tilted) - tilt)[1:]
    return released


def _smooth(reduction_db: npt.NDArray[np.float64], look_ahead: int) -> npt.NDArray[np.float64]:
    """Average each sample with those before it, over `look_ahead` samples in two passes (a trapezoid)."""
    first = math.ceil(look_ahead / 2)
    for width in (first, look_ahead - first + 1):
        # uniform_filter1d centres its window; the origin moves it to the samples up to and including this one.
        reduction_db = uniform_filter1d(reduction_db, width, mode="nearest", origin=(width - 1) // 2)
    return reduction_db
