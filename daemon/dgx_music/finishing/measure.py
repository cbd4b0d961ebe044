"""Measures any audio file: level, tempo and key. Reads it in pieces, so that its length does not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from dgx_music.errors import AudioError
from dgx_music.finishing.analyse import MAX_ANALYSED_S, analyse
from dgx_music.finishing.loudness import LoudnessMeter
from dgx_music.finishing.true_peak import TruePeakMeter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MeasuredFile", "measure_file"]

_MIN_RATE_HZ, _MAX_RATE_HZ = 8_000, 768_000
_SECONDS_AT_ONCE = 10
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}


@dataclass(frozen=True)
class MeasuredFile:
    """What a file is and how it sounds. `None` means that there is no such figure."""

    duration_s: float
    frames: int
    sample_rate_hz: int
    channels: int
    encoding: str
    """libsndfile's name for it: `PCM_24`, `FLOAT`, `VORBIS` …"""
    bit_depth: int | None
    """Bits a sample; `None` for lossy encodings."""
    loudness_lufs: float | None
    """Integrated loudness; `None` for silence and under 400 ms."""
    true_peak_dbtp: float | None
    """`None` for digital silence."""
    sample_peak_dbfs: float | None
    tempo_bpm: float | None
    tempo_confidence: float
    key: str | None
    key_confidence: float


def measure_file(path: Path) -> MeasuredFile:
    """Measure a mono or stereo file in any format that libsndfile reads.

    Raises:
        AudioError: when it is not there, not readable as audio, damaged, empty, or has more than two channels.
    """
    if not path.is_file():
        raise AudioError(f"{path}: there is no such file" if not path.exists() else f"{path}: is not a file")
    try:
        with soundfile.SoundFile(path) as file:
            return _measure(path, file)
    except (soundfile.SoundFileError, TypeError) as err:
        # TypeError: soundfile asks for rate and channels where a name ends in .raw
        reason = getattr(err, "error_string", "it has no header that says what it holds")
        raise AudioError(
            f"{path}: cannot be read as audio: {reason.rstrip('.')}; WAV, FLAC, OGG or AIFF would do"
        ) from err
    except OSError as err:
        raise AudioError(f"{path}: cannot be read: {err.strerror or err}") from err


def _measure(path: Path, file: soundfile.SoundFile) -> MeasuredFile:
    rate = file.samplerate
    if file.channels > 2:
        raise AudioError(f"{path}: has {file.channels} channels; mono and stereo can be measured")
    if not _MIN_RATE_HZ <= rate <= _MAX_RATE_HZ:
        raise AudioError(
            f"{path}: has a sample rate of {rate} Hz; {_MIN_RATE_HZ} to {_MAX_RATE_HZ} can be measured"
        )
    loudness, true_peak = LoudnessMeter(rate), TruePeakMeter(rate)
    beginning: list[np.ndarray] = []
    frames, sample_peak = 0, 0.0
    for block in file.blocks(_SECONDS_AT_ONCE * rate, dtype="float32", always_2d=True):
        audio = np.ascontiguousarray(block.T)
        if not np.isfinite(audio).all():
            bad = frames + int(np.flatnonzero(~np.isfinite(audio).all(axis=0))[0])
            raise AudioError(f"{path}: is damaged: sample {bad} ({bad / rate:.3f} s) is not a number")
        loudness.add(audio)
        true_peak.add(audio)
        sample_peak = max(sample_peak, float(np.abs(audio).max(initial=0.0)))
        if frames < MAX_ANALYSED_S * rate:
            beginning.append(audio)
        frames += audio.shape[1]
    if frames == 0:
        raise AudioError(f"{path}: holds no samples")
    if frames < file.frames:
        raise AudioError(f"{path}: ends early: {frames} of {file.frames} samples could be read")
    analysis = analyse(np.concatenate(beginning, axis=1), rate)
    return MeasuredFile(
        duration_s=frames / rate,
        frames=frames,
        sample_rate_hz=rate,
        channels=file.channels,
        encoding=file.subtype,
        bit_depth=_BITS.get(file.subtype),
        loudness_lufs=loudness.integrated_lufs(),
        true_peak_dbtp=true_peak.peak_dbtp(),
        sample_peak_dbfs=20 * float(np.log10(sample_peak)) if sample_peak > 0 else None,
        tempo_bpm=analysis.tempo_bpm,
        tempo_confidence=analysis.tempo_confidence,
        key=analysis.key,
        key_confidence=analysis.key_confidence,
    )
