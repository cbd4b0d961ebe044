"""Tempo and key as heard in finished audio, with how sure the figures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from dgx_music.finishing.key import estimate_key
from dgx_music.finishing.master import Analysis
from dgx_music.finishing.tempo import estimate_tempo

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MAX_ANALYSED_S", "analyse"]

_ANALYSIS_HZ = 22_050
"""librosa's usual rate; nothing that tells of tempo or key lies above 11 kHz."""
MAX_ANALYSED_S = 120
"""Two minutes tell as much as ten, at a fifth of the time."""


def analyse(
    audio: npt.NDArray[np.float32], sample_rate_hz: int, *, asked_bpm: float | None = None
) -> Analysis:
    """Measure tempo and key of `(channels, samples)` float32.

    Args:
        audio: finished audio; the first two minutes count.
        sample_rate_hz: its sample rate.
        asked_bpm: the tempo that was asked for. It only decides between half, same and double time; the figure
            itself is measured.
    """
    mono = audio[:, : MAX_ANALYSED_S * sample_rate_hz].mean(axis=0)
    mono -= mono.mean()
    peak = float(np.abs(mono).max(initial=0.0))
    if peak < 1e-5:
        return Analysis(None, 0.0, None, 0.0)
    # The same figures for quiet and loud audio: librosa's floors are absolute.
    mono = soxr.resample(mono / peak, sample_rate_hz, _ANALYSIS_HZ, quality="HQ")
    tempo_bpm, tempo_confidence = estimate_tempo(mono, _ANALYSIS_HZ, asked_bpm=asked_bpm)
    key, key_confidence = estimate_key(mono, _ANALYSIS_HZ)
    return Analysis(tempo_bpm, tempo_confidence, key, key_confidence)
