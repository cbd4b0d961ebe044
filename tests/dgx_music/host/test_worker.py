"""The worker's inside, within this process; `test_local` has whole worker processes."""

from __future__ import annotations

import queue
import threading

import pytest

from dgx_music.engines.base import EngineSettings
from dgx_music.finishing import finish as finishing
from dgx_music.host.messages import Done, Failed, Progress, Run, settings_to_json
from dgx_music.host.worker import _Worker
from dgx_music.request import GenerationRequest

pytestmark = pytest.mark.usefixtures("faulty_engines")


class FakeLine:
    """A line whose other end is a list."""

    def __init__(self):
        self.jobs = queue.SimpleQueue()
        self.sent = []
        self.changed = threading.Condition()

    def send(self, message):
        with self.changed:
            self.sent.append(message)
            self.changed.notify_all()

    def cancelled(self, _job_id):
        return False

    def forget(self, _job_id):
        pass

    def await_(self, kind, number, step=""):
        """Wait until so many jobs have had such a message."""

        def said():
            found = [message for message in self.sent if isinstance(message, kind)]
            return {message.job_id for message in found if not step or message.step == step}

        with self.changed:
            assert self.changed.wait_for(lambda: len(said()) >= number, 60), self.sent
            return said()


def order(tmp_path, job_id, engine, prompt):
    request = GenerationRequest.from_fields({"prompt": prompt, "duration": 0.5})
    return Run(
        job_id,
        engine,
        request.model_dump(mode="json"),
        "2026-11-24T12:00:00+00:00",
        str(tmp_path / job_id),
        str(tmp_path / "library"),
        str(tmp_path / "previews"),
        settings_to_json(EngineSettings()),
    )


def test_finishing_is_one_at_a_time_though_jobs_run_together(tmp_path, monkeypatch):
    """The first job's finishing lasts until the second job has come to its own."""
    line = FakeLine()
    inside = threading.Lock()
    finish = finishing.finish

    def watched(raw, spec):
        assert inside.acquire(blocking=False), "two at once"
        try:
            line.await_(Progress, 2, "finishing")
            return finish(raw, spec)
        finally:
            inside.release()

    monkeypatch.setattr(finishing, "finish", watched)
    worker = _Worker(line)
    for job_id in ("a", "b"):
        worker._start(order(tmp_path, job_id, "test-together", "meet 2"))
    assert line.await_(Done, 2) == {"a", "b"}


def test_whatever_happens_in_a_jobs_thread_its_last_word_comes(tmp_path, monkeypatch):
    def leave(_raw, _spec):
        raise SystemExit(3)

    monkeypatch.setattr(finishing, "finish", leave)
    line = FakeLine()
    worker = _Worker(line)
    worker._start(order(tmp_path, "a", "test-noise", "noise"))
    worker._start(order(tmp_path, "b", "no-such-engine", "noise"))
    assert line.await_(Failed, 2) == {"a", "b"}
    said = {message.job_id: message for message in line.sent if isinstance(message, Failed)}
    assert "SystemExit: 3" in said["a"].message
    assert said["b"].code == "engine_unavailable"


def test_an_engines_generator_is_closed_before_the_jobs_last_word_when_finishing_fails(tmp_path, monkeypatch):
    """What the job holds in the engine must be free when the next job is sent; this engine stands only one."""

    def fail(_raw, _spec):
        raise ValueError("not finite")

    monkeypatch.setattr(finishing, "finish", fail)
    line = FakeLine()
    worker = _Worker(line)
    for number, job_id in enumerate("abc", start=1):
        worker._start(order(tmp_path, job_id, "test-solo", "noise"))
        line.await_(Failed, number)
    assert ["not finite" in message.message for message in line.sent if isinstance(message, Failed)] == [
        True
    ] * 3
