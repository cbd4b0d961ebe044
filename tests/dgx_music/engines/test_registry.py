from __future__ import annotations

import subprocess
import sys

import pytest

from dgx_music.engines.base import EngineSettings
from dgx_music.engines.registry import choose_engine, engine_class, engine_names
from dgx_music.errors import EngineUnavailableError


def test_the_sketch_is_always_there_and_always_last():
    assert engine_names()[-1] == "sketch"
    assert choose_engine("sketch", EngineSettings())[1].usable


def test_auto_prefers_any_usable_engine_to_the_sketch(faulty_engines):
    assert engine_names()[-1] == "sketch"
    assert choose_engine("auto", EngineSettings())[0] != "sketch"


def test_auto_never_chooses_an_engine_that_does_not_want_it(faulty_engines, monkeypatch):
    """It would be the first by name."""
    from dgx_music.engines import registry

    monkeypatch.setattr(registry, "engine_names", lambda: ["test-keeper", "test-noise", "sketch"])
    assert choose_engine("auto", EngineSettings())[0] == "test-noise"
    assert choose_engine("test-keeper", EngineSettings())[0] == "test-keeper"


def test_a_named_engine_is_that_engine_or_an_error(faulty_engines):
    with pytest.raises(EngineUnavailableError, match="it has no weights"):
        choose_engine("test-unusable", EngineSettings())
    with pytest.raises(EngineUnavailableError, match="'nonesuch' is not installed; installed: "):
        engine_class("nonesuch")


def test_asking_what_is_there_loads_nothing_heavy():
    code = (
        "import sys; from dgx_music.engines.base import EngineSettings;"
        "from dgx_music.engines.registry import choose_engine; choose_engine('auto', EngineSettings());"
        "print([name for name in ('numpy', 'scipy', 'librosa', 'numba', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
