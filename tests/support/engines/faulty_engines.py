"""Engines that misbehave in one way each, installed for tests as entry points like any other engine."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from dgx_music.engines.base import Availability, EngineInfo, RawAudio
from dgx_music.errors import EngineError


class _Engine:
    name = "test-noise"

    def __init__(self, settings):
        self.settings = settings

    @classmethod
    def availability(cls, _settings):
        return Availability(usable=True, reason="")

    def generate(self, takes, control):
        for spec in takes:
            self.misbehave(spec, control)
            yield spec.index, self.noise(spec)

    def misbehave(self, spec, control):
        control.progress(spec.index, 0.5, "generating")

    def noise(self, spec):
        import numpy as np

        frames = spec.request.length_samples * 48000 // spec.request.sample_rate + 100
        audio = np.random.default_rng(spec.seed).normal(0, 0.1, (2, frames)).astype(np.float32)
        info = EngineInfo(self.name, "1", neural=False, model="noise", model_hash="")
        return RawAudio(audio, 48000, info)


class Noise(_Engine):
    """Behaves."""


class Dies(_Engine):
    """Takes its process along, every time."""

    name = "test-dies"

    def misbehave(self, spec, control):
        control.progress(spec.index, 0.2, "generating")
        os.kill(os.getpid(), signal.SIGKILL)


class DiesOnce(_Engine):
    """Takes its process along the first time; the prompt names the file that remembers it."""

    name = "test-dies-once"

    def misbehave(self, spec, control):
        control.progress(spec.index, 0.2, "generating")
        mark = Path(spec.request.prompt)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Hangs(_Engine):
    """Never comes back and never says anything."""

    name = "test-hangs"

    def misbehave(self, spec, control):
        threading.Event().wait()


class Raises(_Engine):
    """Has a bug."""

    name = "test-raises"

    def misbehave(self, spec, control):
        raise ZeroDivisionError("a bug in the engine")


class Refuses(_Engine):
    """Cannot do what is asked."""

    name = "test-refuses"

    def misbehave(self, spec, control):
        raise EngineError("this engine plays only waltzes; ask for 3/4")


class Slow(_Engine):
    """Goes on until it is stopped, telling its progress all the time."""

    name = "test-slow"

    def misbehave(self, spec, control):
        for step in range(100_000):
            control.progress(spec.index, step / 100_000, "generating")
            time.sleep(0.002)


class Unusable(_Engine):
    """Is installed and lacks its weights."""

    name = "test-unusable"

    @classmethod
    def availability(cls, _settings):
        return Availability(usable=False, reason="it has no weights; fetch them")


class OddStep(_Engine):
    """Tells of a step that the daemon has no word for."""

    name = "test-odd-step"

    def misbehave(self, spec, control):
        control.progress(spec.index, 0.5, "polishing")
