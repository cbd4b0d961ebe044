"""Brings raw audio to the asked sample rate and length, exact to the sample."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import scipy.signal
import soxr

from dgx_music.errors import AudioError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FADE_OUT_S", "fit"]

FADE_OUT_S = 0.005
"""Length of the fade that ends a take which was cut out of continuing music."""
_SPARE_S = 0.1
"""Music kept beyond the cut while resampling, so that the filter sees what follows; soxr needs a few ms."""
_MAX_SHORTFALL_SAMPLES = 8
"""What rounding at the engine's own rate can leave missing at the end (half a sample, 32 to 192 kHz: 3)."""


def fit(
    audio: npt.NDArray[np.float32],
    *,
    from_hz: int,
    to_hz: int,
    length_s: Fraction,
    length_samples: int,
    loop: bool = False,
) -> npt.NDArray[np.float32]:
    """Return `(channels, length_samples)` float32 at `to_hz`.

    A take starts with the raw audio's first sample, untouched, and ends with a raised-cosine fade of 5 ms.
    A loop gets no fade: it is resampled as one period of an endless signal, so that its seam stays as good as
    it was.

    Args:
        audio: `(channels, samples)` float32; samples beyond the length are dropped.
        from_hz: the audio's sample rate.
        to_hz: the wanted sample rate.
        length_s: the wanted length, exact.
        length_samples: the same at `to_hz`, rounded.
        loop: whether the end runs into the beginning.

    Raises:
        AudioError: when the audio is shorter than asked by more than rounding explains.
    """
    wanted = max(1, math.floor(length_s * from_hz + Fraction(1, 2)))
    missing = (wanted - audio.shape[1]) * to_hz / from_hz
    if missing > _MAX_SHORTFALL_SAMPLES:
        raise AudioError(
            f"the engine gave {audio.shape[1] / from_hz:.3f} s of audio where {float(length_s):.3f} s were asked; "
            "an engine must give at least the request's length"
        )
    if loop:
        return _resample_period(audio[:, :wanted], length_samples)
    kept = audio[:, : wanted + math.ceil(_SPARE_S * from_hz)]
    if from_hz != to_hz:
        kept = np.ascontiguousarray(soxr.resample(kept.T, from_hz, to_hz, quality="VHQ").T)
    fitted = np.zeros((audio.shape[0], length_samples), np.float32)
    available = min(length_samples, kept.shape[1])
    fitted[:, :available] = kept[:, :available]
    _fade_out(fitted, to_hz)
    return fitted


def _resample_period(period: npt.NDArray[np.float32], length_samples: int) -> npt.NDArray[np.float32]:
    """Resample one period of a periodic signal to exactly `length_samples`.

    By FFT, because that is the exact interpolation of a periodic signal for any pair of lengths; a filter with
    wrapped padding would need the period to be a whole number of samples at both rates.
    """
    if period.shape[1] == length_samples:
        return period.astype(np.float32, copy=True)
    resampled = np.empty((period.shape[0], length_samples), np.float32)
    for source, target in zip(period, resampled, strict=True):
        target[:] = scipy.signal.resample(source.astype(np.float64), length_samples)
    return resampled


def _fade_out(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> None:
    # A quarter of a very short take at most: its start must stay as it is.
    length = min(round(FADE_OUT_S * sample_rate_hz), audio.shape[1] // 4)
    if length:
        fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, length + 1) / length)
        audio[:, -length:] *= fade.astype(np.float32)
