"""The engine as the host sees it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dgx_music.engines.base import CancelledByUserError, EngineSettings, TakeSpec
from dgx_music.engines.sketch import SketchEngine
from dgx_music.errors import EngineError

NUMPY = EngineSettings(renderer="numpy")


def test_it_says_what_it_is(make):
    raw = make("lofi in C# minor, 84 bpm, 7/8, 2 bars")
    assert raw.info.name == "sketch"
    assert raw.info.neural is False
    assert raw.info.model == "numpy-synth"
    assert raw.info.model_hash == ""
    assert (raw.bpm, raw.meter, raw.key) == (84.0, "7/8", "C# minor")
    assert raw.sample_rate_hz == 48_000
    assert "procedural" in raw.notes
    assert "lofi" in raw.notes


def test_takes_come_out_once_each_and_alike_alone_or_in_a_batch(ask, control):
    request = ask("house", bpm=124, bars=1)
    specs = [TakeSpec(index, 40 + index, request) for index in range(3)]
    together = list(SketchEngine(NUMPY).generate(specs, control))
    assert [index for index, _ in together] == [0, 1, 2]
    ((_, alone),) = SketchEngine(NUMPY).generate([specs[1]], control)
    assert np.array_equal(alone.audio, together[1][1].audio)
    assert not np.array_equal(together[0][1].audio, together[1][1].audio)


def test_progress_rises_to_one_in_small_steps(ask, control):
    list(SketchEngine(NUMPY).generate([TakeSpec(4, 1, ask("house", duration=16))], control))
    fractions = [fraction for _, fraction, _ in control.reports]
    assert {index for index, _, _ in control.reports} == {4}
    assert {step for _, _, step in control.reports} == {"generating"}
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert max(np.diff(fractions)) < 0.25


def test_a_cancelled_job_stops_inside_a_take(ask):
    class Cancels:
        calls = 0

        def progress(self, take_index, fraction, step):
            self.calls += 1
            if fraction > 0.4:
                raise CancelledByUserError

    control = Cancels()
    with pytest.raises(CancelledByUserError):
        list(SketchEngine(NUMPY).generate([TakeSpec(0, 1, ask("rock", duration=30))], control))
    assert control.calls > 3


@pytest.mark.parametrize("field", ["continue_from", "melody"])
def test_what_needs_ears_is_refused_and_says_who_has_them(ask, control, field):
    request = ask("house", **{field: {"path": "/tmp/a.wav"}})
    with pytest.raises(EngineError, match=rf"{field}.*MusicGen"):
        list(SketchEngine(NUMPY).generate([TakeSpec(0, 1, request)], control))


def test_it_can_always_be_used():
    availability = SketchEngine.availability(EngineSettings())
    assert availability.usable
    assert availability.reason == ""


def test_a_soundfont_that_is_not_there_is_named(tmp_path, ask, control):
    settings = EngineSettings(soundfont=tmp_path / "missing.sf2")
    availability = SketchEngine.availability(settings)
    assert not availability.usable
    assert "missing.sf2" in availability.reason
    with pytest.raises(EngineError, match=r"missing\.sf2"):
        list(SketchEngine(settings).generate([TakeSpec(0, 1, ask("house", duration=1))], control))


def test_asking_for_availability_imports_no_numpy():
    code = (
        "import sys; from dgx_music.engines.sketch import SketchEngine; "
        "from dgx_music.engines.base import EngineSettings; SketchEngine.availability(EngineSettings()); "
        "print([name for name in ('numpy', 'scipy', 'librosa') if name in sys.modules])"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path
    )
    assert result.stdout.strip() == "[]"


def test_rendering_needs_numpy_alone():
    code = (
        "import sys; from dgx_music.engines.sketch import SketchEngine; "
        "from dgx_music.engines.base import EngineSettings, TakeSpec; "
        "from dgx_music.request import GenerationRequest; "
        "control = type('C', (), {'progress': lambda *a: None})(); "
        "request = GenerationRequest.from_fields({'prompt': 'pop', 'duration': 1}); "
        "list(SketchEngine(EngineSettings(renderer='numpy')).generate([TakeSpec(0, 1, request)], control)); "
        "print([name for name in ('scipy', 'librosa', 'numba', 'soundfile', 'torch') if name in sys.modules])"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path
    )
    assert result.stdout.strip() == "[]"
