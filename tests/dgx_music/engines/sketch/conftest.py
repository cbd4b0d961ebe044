"""Takes made by the sketch engine with its own instruments, whatever is installed on the machine."""

from __future__ import annotations

import pytest

from dgx_music.engines.base import EngineSettings, TakeSpec
from dgx_music.engines.sketch import SketchEngine
from dgx_music.request import GenerationRequest


class Quiet:
    """A control that only remembers what was reported."""

    def __init__(self):
        self.reports = []

    def progress(self, take_index, fraction, step):
        self.reports.append((take_index, fraction, step))


@pytest.fixture
def control():
    return Quiet()


@pytest.fixture
def ask():
    """Return a function from a prompt and fields to a request."""

    def build(prompt, **fields):
        return GenerationRequest.from_fields({"prompt": prompt, "seed": 1, **fields})

    return build


@pytest.fixture
def make(ask):
    """Return a function from a prompt and fields to a rendered take."""

    def render(prompt, *, seed=1, settings=None, **fields):
        engine = SketchEngine(settings or EngineSettings(renderer="numpy"))
        request = ask(prompt, seed=seed, **fields)
        ((_, raw),) = engine.generate([TakeSpec(0, seed, request)], Quiet())
        return raw

    return render
