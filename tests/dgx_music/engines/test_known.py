from __future__ import annotations

import pytest

from dgx_music.engines import known
from dgx_music.engines.base import Availability, EngineSettings
from dgx_music.engines.known import KnownEngines
from dgx_music.errors import EngineUnavailableError

pytestmark = pytest.mark.usefixtures("faulty_engines")


@pytest.mark.parametrize(
    ("engine", "jobs"), [("test-together", 4), ("test-noise", 1), ("test-unusable", 1), ("not-installed", 1)]
)
def test_how_many_jobs_an_engine_takes_is_known_without_an_error(engine, jobs):
    assert KnownEngines(EngineSettings()).jobs_at_once(engine) == jobs


def test_what_an_engine_says_is_believed_for_a_while_and_asked_again_after(monkeypatch):
    asked, now_s = [], [0.0]

    def choose(wanted, _settings):
        asked.append(wanted)
        return "musicgen", Availability(usable=True, reason="", jobs_at_once=len(asked))

    monkeypatch.setattr(known, "choose_engine", choose)
    monkeypatch.setattr(known.time, "monotonic", lambda: now_s[0])
    engines = KnownEngines(EngineSettings())
    for now_s[0] in (0, 9, 11, 19, 22):
        assert engines.choose("auto")[0] == "musicgen"
        assert engines.jobs_at_once("musicgen") == len(asked)
    assert len(asked) == 3


def test_an_engine_that_cannot_be_used_is_refused():
    with pytest.raises(EngineUnavailableError, match="it has no weights"):
        KnownEngines(EngineSettings()).choose("test-unusable")
