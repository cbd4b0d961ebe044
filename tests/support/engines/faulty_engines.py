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


class Fetches(_Engine):
    """Is busy with its model for as many seconds as the prompt says, and says so; then finds it wanting."""

    name = "test-fetches"

    def misbehave(self, spec, control):
        until_s = time.monotonic() + float(spec.request.prompt)
        while time.monotonic() < until_s:
            control.progress(spec.index, 0.0, "loading_model")
            time.sleep(0.1)
        raise EngineError("the model came, and is no good")


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
            time.sleep(0.01)


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


class Solo(_Engine):
    """Cannot stand a second job beside the first, and says so."""

    name = "test-solo"

    def __init__(self, settings):
        super().__init__(settings)
        self._alone = threading.Lock()

    def generate(self, takes, control):
        if not self._alone.acquire(blocking=False):
            raise EngineError("two jobs at once")
        try:
            yield from super().generate(takes, control)
        finally:
            self._alone.release()


class Together(_Engine):
    """Makes up to four jobs at once. The prompt is what a job does: a word, and a number or a file.

    `meet 3` goes on when three jobs are here; `wait FILE` when the file is there; `die FILE` makes the file and takes
    the process along; `hang` never comes back.
    """

    name = "test-together"

    def __init__(self, settings):
        super().__init__(settings)
        self._here = 0
        self._changed = threading.Condition()

    @classmethod
    def availability(cls, _settings):
        return Availability(usable=True, reason="", jobs_at_once=4)

    def misbehave(self, spec, control):
        control.progress(spec.index, 0.1, "generating")
        what, _, how = spec.request.prompt.partition(" ")
        getattr(self, what)(how, lambda: control.progress(spec.index, 0.2, "generating"))

    def meet(self, number, _go_on):
        with self._changed:
            self._here += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._here >= int(number), 60), "nobody came"

    def wait(self, file, go_on):
        while not Path(file).exists():
            go_on()
            time.sleep(0.01)

    def die(self, file, _go_on):
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self, _how, _go_on):
        threading.Event().wait()


class OutOfMemoryError(RuntimeError):
    """Bears the name of torch's own."""


class OutOfMemory(_Engine):
    """Asks for more memory than there is; the prompt says how it is told."""

    name = "test-out-of-memory"

    def misbehave(self, spec, control):
        raise MemoryError if spec.request.prompt == "plain" else OutOfMemoryError("tried 20 GiB\nmore")


class Keeper(_Engine):
    """Keeps its model loaded from one job to the next, until it may rest, and lets its takes be heard early.

    Every job stays until the file that its prompt names is there.
    """

    name = "test-keeper"
    previewed_s = (0.25, 0.5)

    def __init__(self, settings):
        super().__init__(settings)
        self._warm = ()

    @classmethod
    def availability(cls, _settings):
        return Availability(usable=True, reason="", automatic=False, model="tiny")

    def warm(self):
        return self._warm

    def rest(self, idle_s):
        self._warm = ()

    def misbehave(self, spec, control):
        import numpy as np

        model = "tiny" if spec.request.model == "auto" else spec.request.model
        if model not in self._warm:
            control.progress(spec.index, 0.0, "loading_model")
            self._warm = (model,)
            control.loaded(model, 40.0)
        for _ in self.previewed_s:
            control.preview(spec.index, np.full((2, 8000), 2.0, np.float32), 32000)
        while not Path(spec.request.prompt).exists():
            control.progress(spec.index, 0.5, "generating")
            time.sleep(0.01)


class Hears(_Engine):
    """Gives back, over and over, the audio that it is to go on from."""

    name = "test-hears"

    @classmethod
    def availability(cls, _settings):
        return Availability(usable=True, reason="", hears_audio=True, automatic=False)

    def noise(self, spec):
        import numpy as np

        from dgx_music.engines.musicgen.conditioning.excerpt import read_excerpt

        raw = super().noise(spec)
        roots = (*self.settings.reading_roots, *spec.reading_roots)
        heard = read_excerpt(spec.request.continue_from, roots).samples
        return RawAudio(np.resize(heard.T, raw.audio.T.shape).T, 48000, raw.info)
