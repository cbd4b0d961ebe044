"""`Master`: finished audio and what was measured on it, after quantisation, as the file will hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    FileAudio: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.int32] | npt.NDArray[np.int16]

__all__ = ["Analysis", "LevelReport", "Master"]


@dataclass(frozen=True)
class LevelReport:
    """Level of the finished file. `None` means that there is no such figure (silence, or under 400 ms)."""

    loudness_lufs: float | None
    """Integrated loudness, ITU-R BS.1770-5."""
    true_peak_dbtp: float | None
    """Highest true peak of all channels, at least 4× oversampled; `None` for digital silence."""
    sample_peak_dbfs: float | None
    target_lufs: float | None
    """What was asked for; `None` for `loudness = none`."""
    outcome: str
    """`on_target`, `silent`, `too_short`, `untouched`, or `off_target`."""
    remark: str
    """Why the outcome is not `on_target`, and whatever else the level has to be said of; else empty."""


@dataclass(frozen=True)
class Analysis:
    """Tempo and key as heard in the finished audio; confidences from 0 to 1."""

    tempo_bpm: float | None
    tempo_confidence: float
    key: str | None
    key_confidence: float


@dataclass(frozen=True)
class Master:
    """Finished audio of one take, not yet written."""

    audio: FileAudio
    """`(channels, samples)`: int16 for 16 bit, int32 holding 24-bit values (±2^23) for 24, float32 for 32."""
    stems: Mapping[str, FileAudio]
    """Parts in the same format, with the take's own gain and limiting, so that they sum to it within dither."""
    sample_rate_hz: int
    bit_depth: int
    level: LevelReport
    analysis: Analysis
