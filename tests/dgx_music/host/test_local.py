from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
import soundfile

from dgx_music.config import EngineConfig
from dgx_music.engines.base import EngineSettings
from dgx_music.errors import EngineTimeoutError, WorkerDiedError
from dgx_music.host.local import (
    EngineHost,
    Folders,
    JobCancelledError,
    JobFailedError,
    TimedOutInCompanyError,
    deadline_s,
)
from dgx_music.host.process import DiedInCompanyError, EndedForAnotherError
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


class Heard:
    """A listener that remembers; `during()` is called at the first progress."""

    def __init__(self, during=lambda: None):
        self.steps, self.previews, self.loadings = [], [], []
        self.begun = asyncio.Event()
        self.previewed = asyncio.Event()
        self._during = during

    def progress(self, fraction, step):
        self.steps.append((fraction, step))
        if not self.begun.is_set():
            self.begun.set()
            self._during()

    def preview(self, preview):
        self.previews.append(preview)
        self.previewed.set()

    def loaded(self, model, seconds):
        self.loadings.append((model, seconds))


@contextlib.asynccontextmanager
async def hosting(tmp_path, config=None):
    """A host, and a way to start a job in it: `start(job, heard=None)` returns the task."""
    host = EngineHost(config or EngineConfig(), EngineSettings(), tmp_path / "cache")

    def start(job, heard=None):
        folders = Folders(tmp_path / "staging" / job.id, tmp_path / "library", tmp_path / "previews" / job.id)
        return asyncio.create_task(host.run(job, folders, heard or Heard()))

    try:
        yield host, start
    finally:
        await host.stop()


async def until(condition):
    """Wait for what another process brings about by itself."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - it has no event for us
            await asyncio.sleep(0.02)


def run(tmp_path, job, config=None, during=None):
    """Run a job in a fresh host; `during(host)` is called at its first progress."""

    async def main():
        async with hosting(tmp_path, config) as (host, start):
            heard = Heard(lambda: during(host) if during else None)
            return await start(job, heard), heard

    return asyncio.run(main())


def test_takes_come_back_in_order_and_lie_finished_in_staging(tmp_path, job):
    takes, heard = run(tmp_path, job("test-noise", takes=2, seed=5))
    assert [(take.index, take.seed) for take in takes] == [(0, 5), (1, 6)]
    staged = {Path(file.staged) for take in takes for file in take.files}
    assert staged == set((tmp_path / "staging").rglob("*.wav"))
    fractions = [fraction for fraction, _step in heard.steps]
    assert fractions == sorted(fractions)
    assert {step for _fraction, step in heard.steps} == {"generating", "finishing"}


def test_a_worker_that_dies_says_how(tmp_path, job):
    with pytest.raises(WorkerDiedError, match="ended by signal 9"):
        run(tmp_path, job("test-dies"))


def test_a_hung_engine_is_killed_after_a_time_out_that_explains_itself(tmp_path, job):
    config = EngineConfig(timeout_base_s=1.5, timeout_per_audio_s=1.0)
    hangs = job("test-hangs")

    async def main():
        async with hosting(tmp_path, config) as (host, start):
            said = r"test-hangs was stopped after 2 s: 2 s and 1 s for each of 1 × 0.5 s"
            with pytest.raises(EngineTimeoutError, match=said):
                await start(hangs)
            assert host.worker_pid is None

    asyncio.run(main())


def test_time_in_which_a_model_is_fetched_does_not_count(tmp_path, job):
    config = EngineConfig(timeout_base_s=1.0, timeout_per_audio_s=1.0)
    with pytest.raises(JobFailedError, match="the model came"):
        run(tmp_path, job("test-fetches", "3"), config)


def test_the_deadline_grows_with_the_audio_of_all_takes(job):
    config = EngineConfig(timeout_base_s=10, timeout_per_audio_s=3)
    assert deadline_s(config, job("test-noise", duration=20, takes=4)) == 10 + 3 * 80


def test_a_running_job_stops_at_its_next_step_when_cancelled(tmp_path, job):
    slow = job("test-slow")
    with pytest.raises(JobCancelledError):
        run(tmp_path, slow, during=lambda host: host.cancel(slow.id))


def test_a_job_that_is_cancelled_while_a_worker_starts_does_not_begin(tmp_path, job):
    slow = job("test-slow")

    async def main():
        async with hosting(tmp_path) as (host, start):
            heard = Heard()
            running = start(slow, heard)
            await asyncio.sleep(0)
            assert host.worker_pid is None
            host.cancel(slow.id)
            with pytest.raises(JobCancelledError):
                async with asyncio.timeout(30):
                    await running
            assert heard.steps == []

    asyncio.run(main())


def test_cancelling_one_job_leaves_the_worker_fit_for_the_next(tmp_path, job):
    slow, noise = job("test-slow"), job("test-noise")

    async def main():
        async with hosting(tmp_path) as (host, start):
            with pytest.raises(JobCancelledError):
                await start(slow, Heard(lambda: host.cancel(slow.id)))
            pid = host.worker_pid
            takes = await start(noise)
            assert host.worker_pid == pid
            return takes

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
    (tmp_path / "staging").write_text("in the way")
    with pytest.raises(JobFailedError, match="Not a directory") as caught:
        run(tmp_path, job("test-noise"))
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
        async with hosting(tmp_path) as (host, start):
            await host.ready()
            os.kill(host.worker_pid, signal.SIGKILL)
            await until(lambda: host.worker_pid is None)
            return await start(noise)

    assert len(asyncio.run(main())) == 1


# -- several jobs at once ----------------------------------------------------------------------------------------


def test_jobs_that_wait_for_each_other_are_in_the_engine_at_the_same_time(tmp_path, job):
    jobs = [job("test-together", "meet 3") for _ in range(3)]

    async def main():
        async with hosting(tmp_path) as (_, start):
            return await asyncio.gather(*(start(each) for each in jobs))

    made = asyncio.run(main())
    assert [len(takes) for takes in made] == [1, 1, 1]
    for each, [take] in zip(jobs, made, strict=True):
        assert take.seed == each.request.seed
        assert each.id in Path(take.files[0].staged).name


def test_cancelling_one_of_several_stops_only_that_one(tmp_path, job):
    mark = tmp_path / "mark"
    kept, unwanted = (job("test-together", f"wait {mark}") for _ in range(2))

    async def main():
        async with hosting(tmp_path) as (host, start):
            heard = Heard(), Heard()
            keeping, stopping = start(kept, heard[0]), start(unwanted, heard[1])
            await asyncio.gather(*(each.begun.wait() for each in heard))
            host.cancel(unwanted.id)
            with pytest.raises(JobCancelledError):
                await stopping
            assert not keeping.done()
            mark.touch()
            return await keeping

    assert len(asyncio.run(main())) == 1


@pytest.mark.parametrize("engine", ["test-raises", "test-refuses"])
def test_one_jobs_failure_is_not_the_others(tmp_path, job, engine):
    mark = tmp_path / "mark"
    bad, good = job(engine), job("test-together", f"wait {mark}")

    async def main():
        async with hosting(tmp_path) as (_, start):
            heard = Heard()
            making = start(good, heard)
            await heard.begun.wait()
            with pytest.raises(JobFailedError):
                await start(bad)
            mark.touch()
            return await making

    assert len(asyncio.run(main())) == 1


def test_a_worker_that_dies_on_several_jobs_blames_none_of_them(tmp_path, job):
    waits, dies = job("test-together", f"wait {tmp_path}/never"), job("test-together", f"die {tmp_path}/mark")

    async def main():
        async with hosting(tmp_path) as (_, start):
            heard = Heard()
            waiting = start(waits, heard)
            await heard.begun.wait()
            return await asyncio.gather(waiting, start(dies), return_exceptions=True)

    errors = asyncio.run(main())
    assert [type(err) for err in errors] == [DiedInCompanyError, DiedInCompanyError]
    assert all("ended by signal 9" in str(err) for err in errors)


def test_when_one_job_is_given_up_the_others_hear_that_it_was_not_their_fault(tmp_path, job):
    """By its time-out; the other's is far away, for it is longer."""
    config = EngineConfig(timeout_base_s=5, timeout_per_audio_s=200)
    waits = job("test-together", f"wait {tmp_path}/never")
    hangs = job("test-together", "hang", duration=None, samples=480)

    async def main():
        async with hosting(tmp_path, config) as (host, start):
            await host.ready()
            heard = Heard()
            waiting = start(waits, heard)
            await heard.begun.wait()
            return await asyncio.gather(waiting, start(hangs), return_exceptions=True)

    errors = asyncio.run(main())
    assert [type(err) for err in errors] == [EndedForAnotherError, TimedOutInCompanyError]


def test_a_listener_with_a_bug_ends_its_job_and_does_not_leave_it_running(tmp_path, job):
    slow = job("test-slow")

    async def main():
        async with hosting(tmp_path) as (host, start):

            def buggy():
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await start(slow, Heard(buggy))
            assert host.worker_pid is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("prompt", "said"), [("plain", "for this; ask"), ("torch", r"this \(tried 20 GiB\)")]
)
def test_too_little_memory_is_told_as_such_with_what_helps(tmp_path, job, prompt, said):
    with pytest.raises(JobFailedError, match=said) as caught:
        run(tmp_path, job("test-out-of-memory", prompt))
    assert caught.value.code == "out_of_memory"
    assert "fewer seconds or takes" in str(caught.value)


# -- previews and models -----------------------------------------------------------------------------------------


def test_previews_are_told_with_the_file_and_how_much_is_in_it(tmp_path, job):
    mark = tmp_path / "mark"
    keeper = job("test-keeper", str(mark), takes=2)

    async def main():
        async with hosting(tmp_path) as (_, start):
            heard = Heard()
            making = start(keeper, heard)
            await heard.previewed.wait()
            assert not making.done()
            mark.touch()
            await making
            return heard.previews

    told = [(preview.take, preview.path, preview.seconds) for preview in asyncio.run(main())]
    folder = tmp_path / "previews" / keeper.id
    files = [str(folder / "take1.wav"), str(folder / "take2.wav")]
    assert told == [(take, files[take], seconds) for take in (0, 1) for seconds in (0.25, 0.5)]
    for file in files:
        audio, rate_hz = soundfile.read(file)
        assert (audio.shape, rate_hz) == ((16_000, 2), 32_000)
        assert audio.min() > 0.99  # clipped, not wrapped


def test_a_preview_that_cannot_be_written_does_not_harm_the_job(tmp_path, job):
    (tmp_path / "mark").touch()
    (tmp_path / "previews").write_text("in the way")
    takes, heard = run(tmp_path, job("test-keeper", str(tmp_path / "mark")))
    assert len(takes) == 1
    assert heard.previews == []


def test_a_model_is_loaded_once_kept_and_given_back_at_rest(tmp_path, job):
    (tmp_path / "mark").touch()
    first, second, other = (
        job("test-keeper", str(tmp_path / "mark"), model=model) for model in ("auto", "tiny", "huge")
    )

    async def main():
        async with hosting(tmp_path) as (host, start):
            heard = Heard()
            assert host.warm("test-keeper") == ()
            await start(first, heard)
            await start(second, heard)
            assert host.warm("test-keeper") == ("tiny",)
            await start(other, heard)
            assert host.warm("test-keeper") == ("huge",)
            assert heard.loadings == [("tiny", 40.0), ("huge", 40.0)]
            await until(lambda: not host.warm("test-keeper"))
            await start(first, heard)
            assert heard.loadings[2:] == [("tiny", 40.0)]
            os.kill(host.worker_pid, signal.SIGKILL)
            await until(lambda: host.worker_pid is None)
            assert host.warm("test-keeper") == ()

    asyncio.run(main())


def test_an_engine_that_takes_one_job_at_a_time_may_take_the_next_as_soon_as_the_last_has_ended(
    tmp_path, job
):
    jobs = [job("test-solo") for _ in range(5)]

    async def main():
        async with hosting(tmp_path) as (_, start):
            return [await start(each) for each in jobs]

    assert [len(takes) for takes in asyncio.run(main())] == [1] * 5
