"""Whole takes through the engine, as a job makes them: prompt to waveform, and when the first of it can be heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dgx_music.engines.base import EngineSettings, TakeSpec
from dgx_music.engines.musicgen import MusicGenEngine
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dgx_music.benchmark.task import Task

__all__ = ["measure"]


class _Clock:
    """A `Control` that notes when something was first heard."""

    first_second_s: float | None = None
    load_s = 0.0
    _heard_s = 0.0

    def progress(self, _take_index: int, _fraction: float, _step: str) -> None:
        """Nothing cancels a benchmark."""

    def preview(self, take_index: int, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> None:
        """Note when a second of the first take could be heard."""
        if take_index == 0:
            self._heard_s += audio.shape[1] / sample_rate_hz
        if self._heard_s >= 1 and self.first_second_s is None:
            self.first_second_s = time.perf_counter()

    def loaded(self, _model: str, seconds: float) -> None:
        """Note how long it took."""
        self.load_s = seconds


def measure(task: Task) -> dict[str, Any]:
    """Return `load_s` (cold), `s` (prompt to waveform, warm), `real_time` (audio over time), `first_second_s` (warm)."""
    engine = MusicGenEngine(EngineSettings(musicgen=task.settings))
    try:
        cold = _Clock()
        _make(engine, cold, 1.0, 1)
        clock = _Clock()
        began_s = time.perf_counter()
        _make(engine, clock, task.duration_s, task.batch)
        took_s = time.perf_counter() - began_s
    finally:
        engine.close()
    heard_s = clock.first_second_s
    return {
        "load_s": cold.load_s,
        "s": took_s,
        "real_time": task.duration_s * task.batch / took_s,
        "first_second_s": None if heard_s is None else heard_s - began_s,
    }


def _make(engine: MusicGenEngine, clock: _Clock, duration_s: float, takes: int) -> None:
    request = GenerationRequest.from_fields(
        {"prompt": "dusty lo-fi drums and rhodes, 84 bpm", "duration": duration_s, "takes": takes, "seed": 1}
    )
    for _ in engine.generate([TakeSpec(index, 1 + index, request) for index in range(takes)], clock):
        pass
