from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dgx_music.config import EngineConfig
from dgx_music.errors import EngineTimeoutError, WorkerDiedError
from dgx_music.host.local import EngineHost, JobCancelledError, JobFailedError, deadline_s
from dgx_music.jobs import Source
from dgx_music.jobs.store import NewJob, Store
from dgx_music.request import GenerationRequest

pytestmark = pytest.mark.usefixtures("faulty_engines")


@pytest.fixture
def job(tmp_path):
    store = Store(tmp_path / "jobs.sqlite")

    def make(engine, prompt="noise", **fields):
        request = GenerationRequest.from_fields({"prompt": prompt, "duration": 0.5, **fields})
        [(job_id, _)] = store.add([NewJob(request, Source("cli"), engine)])
        return store.claim(job_id)

    yield make
    store.close()


def run(tmp_path, job, config=None, during=None, hosts=None):
    """Run a job in a fresh host; `during(host)` is called at its first progress."""

    async def main():
        host = EngineHost(config or EngineConfig(), tmp_path / "cache")
        if hosts is not None:
            hosts.append(host)
        seen = []

        def on_progress(fraction, step):
            if not seen and during is not None:
                during(host)
            seen.append((fraction, step))

        try:
            (tmp_path / "staging").mkdir(exist_ok=True)
            return await host.run(job, tmp_path / "staging", tmp_path / "library", on_progress), seen
        finally:
            await host.stop()

    return asyncio.run(main())


def test_takes_come_back_in_order_and_lie_finished_in_staging(tmp_path, job):
    takes, progress = run(tmp_path, job("test-noise", takes=2, seed=5))
    assert [(take.index, take.seed) for take in takes] == [(0, 5), (1, 6)]
    staged = {Path(file.staged).name for take in takes for file in take.files}
    assert staged == {path.name for path in (tmp_path / "staging").iterdir()}
    fractions = [fraction for fraction, _step in progress]
    assert fractions == sorted(fractions)
    assert {step for _fraction, step in progress} == {"generating", "finishing"}


def test_a_worker_that_dies_says_how(tmp_path, job):
    with pytest.raises(WorkerDiedError, match="ended by signal 9"):
        run(tmp_path, job("test-dies"))


def test_a_hung_engine_is_killed_after_a_time_out_that_explains_itself(tmp_path, job):
    config = EngineConfig(timeout_base_s=1.5, timeout_per_audio_s=1.0)
    hosts = []
    with pytest.raises(
        EngineTimeoutError, match=r"test-hangs was stopped after 2 s: 2 s and 1 s for each of 1 × 0.5 s"
    ):
        run(tmp_path, job("test-hangs"), config, hosts=hosts)
    assert hosts[0].worker_pid is None


def test_the_deadline_grows_with_the_audio_of_all_takes(job):
    config = EngineConfig(timeout_base_s=10, timeout_per_audio_s=3)
    assert deadline_s(config, job("test-noise", duration=20, takes=4)) == 10 + 3 * 80


def test_a_running_job_stops_at_its_next_step_when_cancelled(tmp_path, job):
    slow = job("test-slow")
    with pytest.raises(JobCancelledError):
        run(tmp_path, slow, during=lambda host: host.cancel(slow.id))


def test_cancelling_one_job_leaves_the_worker_fit_for_the_next(tmp_path, job):
    slow, noise = job("test-slow"), job("test-noise")

    async def main():
        host = EngineHost(EngineConfig(), tmp_path / "cache")
        (tmp_path / "staging").mkdir()
        try:
            with pytest.raises(JobCancelledError):
                await host.run(
                    slow,
                    tmp_path / "staging",
                    tmp_path / "library",
                    lambda _fraction, _step: host.cancel(slow.id),
                )
            pid = host.worker_pid
            takes = await host.run(noise, tmp_path / "staging", tmp_path / "library", lambda *_: None)
            assert host.worker_pid == pid
            return takes
        finally:
            await host.stop()

    assert len(asyncio.run(main())) == 1


@pytest.mark.parametrize(
    ("engine", "code", "said"),
    [
        ("test-raises", "engine", "ZeroDivisionError: a bug in the engine"),
        ("test-refuses", "engine", "plays only waltzes; ask for 3/4"),
        ("no-such-engine", "engine_unavailable", "is not installed; installed: "),
    ],
)
def test_what_an_engine_cannot_do_is_a_failed_job_with_its_reason(tmp_path, job, engine, code, said):
    with pytest.raises(JobFailedError, match=said) as caught:
        run(tmp_path, job(engine))
    assert caught.value.code == code


def test_a_full_or_missing_disk_is_a_failed_job_that_names_the_place(tmp_path, job):
    noise = job("test-noise")

    async def main():
        host = EngineHost(EngineConfig(), tmp_path / "cache")
        (tmp_path / "file").write_text("in the way")
        try:
            await host.run(noise, tmp_path / "file" / "staging", tmp_path / "library", lambda *_: None)
        finally:
            await host.stop()

    with pytest.raises(JobFailedError, match="Not a directory") as caught:
        asyncio.run(main())
    assert caught.value.code == "io"


def test_the_worker_ends_when_the_daemon_does(tmp_path):
    """The worker reads its orders from a pipe; when the other end is gone, so is the worker."""
    import subprocess
    import sys

    worker = subprocess.Popen(
        [sys.executable, "-m", "dgx_music.host.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert b"Ready" in worker.stdout.readline()
    worker.stdin.close()
    assert worker.wait(timeout=20) == 0
    worker.stdout.close()


def test_what_a_killed_worker_left_in_its_temporary_folder_is_cleared_away(tmp_path, job):
    left = tmp_path / "cache" / "tmp" / "half-rendered.wav"
    left.parent.mkdir(parents=True)
    left.touch()
    run(tmp_path, job("test-noise"))
    assert left.parent.is_dir()
    assert not left.exists()


def test_a_worker_killed_while_idle_is_replaced(tmp_path, job):
    noise = job("test-noise")

    async def main():
        host = EngineHost(EngineConfig(), tmp_path / "cache")
        (tmp_path / "staging").mkdir()
        try:
            await host.ready()
            os.kill(host.worker_pid, signal.SIGKILL)
            await host._process.wait()
            return await host.run(noise, tmp_path / "staging", tmp_path / "library", lambda *_: None)
        finally:
            await host.stop()

    assert len(asyncio.run(main())) == 1
