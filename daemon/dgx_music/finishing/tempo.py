"""Tempo from the periodicity of onsets, finer than a beat tracker's frame grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import librosa
import numpy as np
import scipy.fft
from scipy.ndimage import uniform_filter1d

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["estimate_tempo"]

_HOP = 128
"""172 frames a second at 22.05 kHz."""
_MIN_BPM, _MAX_BPM = 30.0, 300.0
_MIN_LENGTH_S = 3.0
_USUAL_BPM = 120.0
_USUAL_SPREAD_OCTAVES = 1.0
_ASKED_SPREAD_OCTAVES = 0.4
_MIN_CONFIDENCE = 0.1
"""Below it nothing repeats: noise comes to 0.05."""
_COMB = 4
"""Multiples of a beat that a candidate is judged by."""


def estimate_tempo(
    mono: npt.NDArray[np.float32], sample_rate_hz: int, *, asked_bpm: float | None = None
) -> tuple[float | None, float]:
    """Return the tempo in beats a minute and a confidence from 0 to 1; `(None, 0.0)` where there is none.

    The onset strength (spectral flux over mel bands) is autocorrelated. Candidates are beat periods, judged by
    the autocorrelation at the period and at its first multiples, weighted by a Gaussian in log tempo (Ellis 2007) around
    the asked tempo, or 120. The best one is then followed to ever larger multiples, so that its period comes
    from many beats at once: a frame of 6 ms read 16 beats away is 0.4 ms a beat.

    The confidence is the autocorrelation at the beat: near 1 for a click, near 0 for noise. It does not say
    that the octave is the one a listener would tap.
    """
    if mono.size < _MIN_LENGTH_S * sample_rate_hz:
        return None, 0.0
    onsets = librosa.onset.onset_strength(y=mono, sr=sample_rate_hz, hop_length=_HOP)
    frames_per_s = sample_rate_hz / _HOP
    similarity = _autocorrelation(onsets, round(frames_per_s))
    if similarity is None:
        return None, 0.0
    longest = round(0.75 * similarity.size)
    lags = np.arange(
        np.ceil(60 * frames_per_s / _MAX_BPM), min(60 * frames_per_s / _MIN_BPM, longest / 2), 0.25
    )
    centre = asked_bpm or _USUAL_BPM
    spread = _ASKED_SPREAD_OCTAVES if asked_bpm else _USUAL_SPREAD_OCTAVES
    prior = np.exp(-0.5 * (np.log2(60 * frames_per_s / lags / centre) / spread) ** 2)
    frames = np.arange(similarity.size)
    at_beat = np.interp(lags, frames, similarity)
    total, counted = np.zeros(lags.size), np.zeros(lags.size)
    for multiple in range(1, _COMB + 1):
        reached = multiple * lags <= longest
        total += np.where(reached, np.interp(multiple * lags, frames, similarity), 0)
        counted += reached
    # Without the first factor, twice the tempo would share every other tooth of the comb and look half as good.
    score = np.sqrt(np.maximum(at_beat, 0) * np.maximum(total / counted, 0)) * prior
    lag = float(lags[np.argmax(score)])
    beats = 1
    while True:
        lag = _peak_near(similarity, lag * beats, reach=max(2.0, 0.04 * lag)) / beats
        if lag * beats * 2 > longest:
            break
        beats *= 2
    confidence = float(np.clip(np.interp(lag, frames, similarity), 0, 1))
    if confidence < _MIN_CONFIDENCE:
        return None, 0.0
    return float(60 * frames_per_s / lag), confidence


def _autocorrelation(onsets: npt.NDArray[np.float32], frames_per_s: int) -> npt.NDArray[np.float64] | None:
    """Return the unbiased autocorrelation, 1 at lag 0; `None` where nothing begins."""
    sharp = np.maximum(onsets - uniform_filter1d(onsets.astype(np.float64), frames_per_s), 0)
    sharp -= sharp.mean()
    size = sharp.size
    spectrum = scipy.fft.rfft(sharp, scipy.fft.next_fast_len(2 * size, real=True))
    product = scipy.fft.irfft(np.abs(spectrum) ** 2)[:size]
    if product[0] <= 1e-12:
        return None
    unbiased: npt.NDArray[np.float64] = product / product[0] * size / np.arange(size, 0, -1)
    return unbiased


def _peak_near(similarity: npt.NDArray[np.float64], lag: float, reach: float) -> float:
    """Return the place of the highest value within `reach`, between frames by a parabola through three."""
    low = max(1, int(np.floor(lag - reach)))
    high = min(similarity.size - 2, int(np.ceil(lag + reach)))
    top = low + int(np.argmax(similarity[low : high + 1]))
    left, middle, right = similarity[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return top + (0.5 * (left - right) / bend if bend < 0 and left <= middle >= right else 0.0)
