"""Integrated loudness by ITU-R BS.1770-5, in bounded memory."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MIN_CLIP_S", "MIN_LOOP_S", "LoudnessMeter", "integrated_loudness_lufs"]

MIN_CLIP_S = 0.4
"""One block of BS.1770: under it there is no loudness."""
MIN_LOOP_S = 3.0
"""A shorter loop is measured as it will be heard: repeated, until at least this long."""
_STEPS_PER_S = 10
_STEPS_PER_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_SEGMENT_STEPS = 300
"""Steps of 100 ms that are filtered at a time: 30 s."""
_RUN_IN_STEPS = 10
"""What the filters hear again before each further segment; in 1 s their slowest pole (38 Hz) has long died."""
_ANCHOR_LUFS = 10 * math.log10(0.5)
"""What a 997 Hz sine at 0 dBFS in one channel reads (BS.1770-5, Annex 1)."""


class LoudnessMeter:
    """Measures mono or stereo audio that comes in pieces; only complete blocks of 400 ms count."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._calibration = _calibration(sample_rate_hz)
        self._pending: npt.NDArray[np.float32] | None = None
        self._run_in_steps = 0
        self._blocks_lufs: list[float] = []

    def add(self, audio: npt.NDArray[np.float32]) -> None:
        """Take in the next `(channels, samples)` float32."""
        pending = audio if self._pending is None else np.concatenate((self._pending, audio), axis=1)
        while self._steps_in(pending) >= self._run_in_steps + _SEGMENT_STEPS:
            steps = self._run_in_steps + _SEGMENT_STEPS
            self._blocks_lufs += self._measure(pending, steps)
            # The next block to count starts three steps before the segment's end; its run-in, before that.
            pending = pending[:, self._samples_in(steps - _STEPS_PER_BLOCK + 1 - _RUN_IN_STEPS) :]
            self._run_in_steps = _RUN_IN_STEPS
        self._pending = pending

    def integrated_lufs(self) -> float | None:
        """Return the gated loudness of all that was added; `None` for silence and under 400 ms."""
        blocks_lufs = list(self._blocks_lufs)
        if self._pending is not None:
            steps = self._steps_in(self._pending)
            if steps >= self._run_in_steps + _STEPS_PER_BLOCK:
                blocks_lufs += self._measure(self._pending, steps)
        power = np.power(10.0, np.array(blocks_lufs) / 10)
        power = power[power >= 10 ** (_ABSOLUTE_GATE_LUFS / 10)]
        if not power.size:
            return None
        power = power[power > power.mean() * 10 ** (_RELATIVE_GATE_LU / 10)]
        return float(10 * np.log10(power.mean()))

    def _measure(self, audio: npt.NDArray[np.float32], steps: int) -> list[float]:
        """Return the loudness of each block after the run-in, in the audio's first `steps`."""
        meter = pyloudnorm.Meter(self._rate, filter_class="DeMan", block_size=MIN_CLIP_S)
        meter.integrated_loudness(audio[:, : self._samples_in(steps)].T * self._calibration)
        return [float(block) for block in meter.blockwise_loudness[self._run_in_steps :]]

    def _steps_in(self, audio: npt.NDArray[np.float32]) -> int:
        return int(audio.shape[1] * _STEPS_PER_S // self._rate)

    def _samples_in(self, steps: int) -> int:
        return math.ceil(steps * self._rate / _STEPS_PER_S)


def integrated_loudness_lufs(
    audio: npt.NDArray[np.float32], sample_rate_hz: int, *, loop: bool = False
) -> float | None:
    """Return the integrated loudness of `(channels, samples)` float32, mono or stereo.

    `None` where there is no such figure: everything below the −70 LUFS gate, or a clip under 400 ms that is
    not a loop.
    """
    if loop and audio.shape[1] < MIN_LOOP_S * sample_rate_hz:
        audio = np.tile(audio, math.ceil(MIN_LOOP_S * sample_rate_hz / audio.shape[1]))
    meter = LoudnessMeter(sample_rate_hz)
    meter.add(audio)
    return meter.integrated_lufs()


@functools.cache
def _calibration(sample_rate_hz: int) -> float:
    """Return the gain that makes the meter read the 997 Hz anchor exactly at this sample rate.

    BS.1770-5 gives its filter for 48 kHz and asks for the same response at other rates; the bilinear transform
    bends it by 0.014 dB at 32 kHz.
    """
    tone = np.sin(2 * np.pi * 997 * np.arange(2 * sample_rate_hz) / sample_rate_hz)
    meter = pyloudnorm.Meter(sample_rate_hz, filter_class="DeMan", block_size=MIN_CLIP_S)
    return float(10 ** ((_ANCHOR_LUFS - meter.integrated_loudness(tone)) / 20))
