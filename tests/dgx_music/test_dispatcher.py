from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from ardour_session import read_session
from dgx_music import dispatcher
from dgx_music.jobs import JobState, JobStep, Source
from dgx_music.jobs.store import NewJob, Store
from dgx_music.library.take import StagedFile
from dgx_music.request import GenerationRequest
from support.core import config_with, ended, make, paths_in, running_core
from support.takes import take

pytestmark = pytest.mark.usefixtures("faulty_engines")


def library_files(folder):
    library = paths_in(folder).library
    return sorted(str(path.relative_to(library)) for path in library.rglob("*") if path.is_file())


def test_a_job_ends_with_its_takes_in_the_library_and_nothing_in_staging(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            return await make(core, takes=2, bpm=120)

    job = asyncio.run(main())
    assert (job.state, job.step, job.progress, job.attempts) == (
        JobState.COMPLETED,
        JobStep.COMPLETED,
        1.0,
        1,
    )
    assert library_files(tmp_path) == sorted(file.final for made in job.takes for file in made.files)
    for made in job.takes:
        for file in made.files:
            path = paths_in(tmp_path).library / file.final
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def test_a_session_is_written_where_one_is_asked_for(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            return await make(core, takes=2, bpm=93.5, make_session=True)

    job = asyncio.run(main())
    session = read_session(Path(job.session_path))
    [track] = session.tracks
    assert [len(playlist.regions) for playlist in track.playlists] == [1, 1]
    assert track.playlist.regions[0].length_samples == job.takes[0].frames


@pytest.mark.parametrize("engine", ["test-raises", "test-refuses"])
def test_a_job_that_cannot_be_done_fails_with_its_reason_and_the_queue_goes_on(tmp_path, engine):
    async def main():
        async with running_core(tmp_path) as core:
            return await make(core, engine), await make(core)

    failed, good = asyncio.run(main())
    assert (failed.state, failed.error_code) == (JobState.FAILED, "engine")
    assert failed.error_message
    assert good.state is JobState.COMPLETED
    assert library_files(tmp_path) == [good.takes[0].files[0].final]


def test_a_job_whose_engine_hangs_fails_with_the_time_out(tmp_path):
    async def main():
        config = config_with(engine={"timeout_base_s": 5, "timeout_per_audio_s": 0.1})
        async with running_core(tmp_path, config) as core:
            return await make(core, "test-hangs")

    job = asyncio.run(main())
    assert (job.state, job.error_code, job.attempts) == (JobState.FAILED, "engine_timeout", 1)


def test_a_job_whose_worker_dies_is_made_again(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            return await make(core, "test-dies-once", prompt=str(tmp_path / "mark"))

    job = asyncio.run(main())
    assert (job.state, job.attempts) == (JobState.COMPLETED, 2)
    assert len(library_files(tmp_path)) == 1


def test_a_job_that_kills_every_worker_is_given_up_with_the_reason(tmp_path):
    async def main():
        async with running_core(tmp_path, config_with(engine={"max_attempts": 2})) as core:
            return await make(core, "test-dies"), await make(core)

    dead, good = asyncio.run(main())
    assert (dead.state, dead.error_code, dead.attempts) == (JobState.FAILED, "worker_died", 2)
    assert "ended by signal 9" in dead.error_message
    assert good.state is JobState.COMPLETED


def test_a_running_job_is_cancelled_and_leaves_nothing(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            generating = asyncio.Event()
            core.intake.subscribe(
                lambda update: generating.set() if update.job.step == "generating" else None
            )
            accepted = await core.intake.submit({"prompt": "a", "engine": "test-slow"}, Source("cli"))
            await asyncio.wait_for(generating.wait(), 60)
            await core.intake.cancel(accepted.job_id)
            return await ended(core, accepted.job_id), await make(core)

    cancelled, good = asyncio.run(main())
    assert (cancelled.state, cancelled.step) == (JobState.CANCELLED, JobStep.CANCELLED)
    assert library_files(tmp_path) == [good.takes[0].files[0].final]


def test_a_paused_queue_starts_nothing_also_after_a_restart(tmp_path):
    async def accept():
        async with running_core(tmp_path) as core:
            await core.intake.pause()
            return (
                await core.intake.submit(
                    {"prompt": "a", "duration": 0.5, "engine": "test-noise"}, Source("cli")
                )
            ).job_id

    async def resume(job_id):
        async with running_core(tmp_path) as core:
            assert (await core.intake.queue()).paused
            assert (await core.intake.job(job_id)).state is JobState.PENDING
            await core.intake.resume()
            return await ended(core, job_id)

    assert asyncio.run(resume(asyncio.run(accept()))).state is JobState.COMPLETED


def test_stopping_puts_the_running_job_back_into_the_queue(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            generating = asyncio.Event()
            core.intake.subscribe(
                lambda update: generating.set() if update.job.step == "generating" else None
            )
            accepted = await core.intake.submit({"prompt": "a", "engine": "test-slow"}, Source("cli"))
            await asyncio.wait_for(generating.wait(), 60)
            pid = core.host.worker_pid
        return accepted.job_id, pid

    job_id, pid = asyncio.run(main())
    store = Store(paths_in(tmp_path).database)
    assert store.get(job_id).state is JobState.PENDING
    store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_job_that_another_process_stored_is_found_though_nobody_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(dispatcher, "_LOOK_AGAIN_S", 0.1)

    async def main():
        async with running_core(tmp_path) as core:
            await make(core)  # now the dispatcher has nothing to do and waits
            store = Store(paths_in(tmp_path).database)
            request = GenerationRequest.from_fields({"prompt": "noise", "duration": 0.5})
            [(job_id, _)] = store.add([NewJob(request, Source("cli"), "test-noise")])
            store.close()
            return await ended(core, job_id)

    assert asyncio.run(main()).state is JobState.COMPLETED


# What a crash can leave behind, and what start-up makes of it. --------------------------------------------------


@pytest.fixture
def crashed(tmp_path):
    """A store with one job in processing whose two files were staged and recorded."""
    paths = paths_in(tmp_path)
    store = Store(paths.database)
    request = GenerationRequest.from_fields({"prompt": "noise", "duration": 0.5, "engine": "test-noise"})
    [(job_id, _)] = store.add([NewJob(request, Source("cli"), "test-noise")])
    store.claim()
    staging = paths.staging_in(paths.library) / f"{job_id}.1"
    staging.mkdir(parents=True)
    files = []
    for name in ("a.wav", "a_drums.wav"):
        content = name.encode() * 1000
        (staging / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        stem = "drums" if "drums" in name else None
        files.append(StagedFile(str(staging / name), f"2026/11/22/{name}", sha256, len(content), stem))
    store.record_takes(job_id, [replace(take(0, job_id), files=tuple(files))])
    store.close()
    return job_id, files, paths


def recovered(folder, job_id):
    async def main():
        async with running_core(folder) as core:
            return await ended(core, job_id)

    return asyncio.run(main())


def test_recorded_takes_are_published_after_a_crash_without_making_them_again(tmp_path, crashed):
    job_id, files, paths = crashed
    job = recovered(tmp_path, job_id)
    assert (job.state, job.attempts) == (JobState.COMPLETED, 1)
    assert library_files(tmp_path) == [file.final for file in files]
    assert not any(paths.staging_in(paths.library).glob("*"))


def test_a_half_published_take_is_published_whole_after_a_crash(tmp_path, crashed):
    job_id, files, paths = crashed
    final = paths.library / files[0].final
    final.parent.mkdir(parents=True)
    os.link(files[0].staged, final)
    Path(files[0].staged).unlink()
    assert recovered(tmp_path, job_id).attempts == 1
    assert library_files(tmp_path) == [file.final for file in files]


def test_a_take_whose_file_was_lost_is_made_again_and_nothing_is_left_twice(tmp_path, crashed):
    job_id, files, paths = crashed
    final = paths.library / files[0].final
    final.parent.mkdir(parents=True)
    os.link(files[0].staged, final)
    shutil.rmtree(Path(files[1].staged).parent)
    job = recovered(tmp_path, job_id)
    assert (job.state, job.attempts) == (JobState.COMPLETED, 2)
    assert library_files(tmp_path) == [job.takes[0].files[0].final]


def test_a_damaged_staged_file_is_never_published(tmp_path, crashed):
    job_id, files, _paths = crashed
    Path(files[0].staged).write_bytes(b"half a fi")
    job = recovered(tmp_path, job_id)
    assert (job.state, job.attempts) == (JobState.COMPLETED, 2)
    assert library_files(tmp_path) == [job.takes[0].files[0].final]


def test_a_name_that_a_foreign_file_bears_is_not_overwritten(tmp_path, crashed):
    job_id, files, paths = crashed
    final = paths.library / files[1].final
    final.parent.mkdir(parents=True)
    final.write_text("the user's own")
    job = recovered(tmp_path, job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "library")
    assert library_files(tmp_path) == [files[1].final]
    assert final.read_text() == "the user's own"


def test_a_job_that_was_being_cancelled_when_the_daemon_died_stays_cancelled(tmp_path):
    store = Store(paths_in(tmp_path).database)
    request = GenerationRequest.from_fields({"prompt": "noise", "duration": 0.5})
    [(job_id, _)] = store.add([NewJob(request, Source("cli"), "test-noise")])
    store.claim()
    store.ask_cancel(job_id)
    store.close()
    assert recovered(tmp_path, job_id).state is JobState.CANCELLED


def test_a_library_folder_that_leads_elsewhere_fails_the_job_and_never_the_daemon(tmp_path):
    """A link inside the library is not followed; the job says so, at once and after a crash, and the queue goes on."""
    library = paths_in(tmp_path).library
    library.mkdir()
    (tmp_path / "elsewhere").mkdir()

    async def main():
        async with running_core(tmp_path) as core:
            good = await make(core)
            year = library / good.takes[0].files[0].final.split("/")[0]
            year.rename(tmp_path / "kept")
            year.symlink_to(tmp_path / "elsewhere")
            failed = await make(core)
            year.unlink()
            (tmp_path / "kept").rename(year)
            return failed, await make(core)

    failed, good = asyncio.run(main())
    assert (failed.state, failed.error_code) == (JobState.FAILED, "library")
    assert good.state is JobState.COMPLETED
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_crashed_job_that_cannot_be_published_does_not_keep_the_daemon_from_starting(tmp_path, crashed):
    job_id, files, paths = crashed
    (tmp_path / "elsewhere").mkdir()
    (paths.library / files[0].final.split("/")[0]).symlink_to(tmp_path / "elsewhere")

    async def main():
        async with running_core(tmp_path) as core:
            return await ended(core, job_id)

    job = asyncio.run(main())
    assert (job.state, job.error_code) == (JobState.FAILED, "library")
    assert "leads out of the library" in job.error_message


def test_stopping_while_takes_are_published_waits_for_them(tmp_path, monkeypatch):
    """The publication is held up until the stop has begun; it must still come to its end."""
    import threading

    from dgx_music import job_runner

    publishing, go_on = threading.Event(), threading.Event()

    def slow_publish(files, root):
        publishing.set()
        assert go_on.wait(30)
        return publish(files, root)

    publish = job_runner.publish
    monkeypatch.setattr(job_runner, "publish", slow_publish)

    async def main():
        async with running_core(tmp_path) as core:
            accepted = await core.intake.submit(
                {"prompt": "a", "duration": 0.5, "engine": "test-noise", "takes": 2}, Source("cli")
            )
            await asyncio.to_thread(publishing.wait, 30)
            asyncio.get_running_loop().call_later(0.2, go_on.set)
        return accepted.job_id

    job_id = asyncio.run(main())
    store = Store(paths_in(tmp_path).database)
    job = store.get(job_id)
    store.close()
    assert job.state is JobState.COMPLETED
    assert library_files(tmp_path) == [made.files[0].final for made in job.takes]


def test_a_step_that_nobody_knows_is_no_reason_to_fail(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            return await make(core, "test-odd-step")

    assert asyncio.run(main()).state is JobState.COMPLETED


def test_a_fault_of_our_own_fails_the_job_and_the_queue_goes_on(tmp_path, monkeypatch):
    from dgx_music.jobs.store import Store as RealStore

    record_takes = RealStore.record_takes
    calls = []

    def broken_once(self, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise TypeError("a bug of ours")
        return record_takes(self, *arguments)

    monkeypatch.setattr(RealStore, "record_takes", broken_once)

    async def main():
        async with running_core(tmp_path) as core:
            return await make(core), await make(core)

    failed, good = asyncio.run(main())
    assert (failed.state, failed.error_code) == (JobState.FAILED, "internal")
    assert "TypeError: a bug of ours" in failed.error_message
    assert good.state is JobState.COMPLETED


# -- several jobs at once ----------------------------------------------------------------------------------------


async def submit(core, engine, *prompts, **fields):
    """Submit jobs together; return their ids."""
    batch = [{"prompt": prompt, "duration": 0.5, "engine": engine, **fields} for prompt in prompts]
    return [accepted.job_id for accepted in await core.intake.submit_batch(batch, Source("cli"))]


@contextlib.asynccontextmanager
async def all_generating(core, number):
    """Leave the block when so many jobs are generating."""
    seen, enough = set(), asyncio.Event()

    def look(update):
        if update.job.step == "generating":
            seen.add(update.job.id)
        if len(seen) >= number:
            enough.set()

    stop = core.intake.subscribe(look)
    yield
    await asyncio.wait_for(enough.wait(), 60)
    stop()


def states(folder, job_ids):
    store = Store(paths_in(folder).database)
    found = [store.get(job_id).state for job_id in job_ids]
    store.close()
    return found


def test_jobs_that_an_engine_makes_together_run_together(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            ids = await submit(core, "test-together", *["meet 3"] * 3)
            return [await ended(core, job_id) for job_id in ids]

    jobs = asyncio.run(main())
    assert [(job.state, job.attempts) for job in jobs] == [(JobState.COMPLETED, 1)] * 3
    assert library_files(tmp_path) == sorted(job.takes[0].files[0].final for job in jobs)


def test_an_engine_that_takes_one_job_at_a_time_never_gets_two(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            ids = await submit(core, "test-solo", *"abcd")
            return [await ended(core, job_id) for job_id in ids]

    jobs = asyncio.run(main())
    assert [job.state for job in jobs] == [JobState.COMPLETED] * 4
    assert sorted(job.finished_at for job in jobs) == [job.finished_at for job in jobs]


def test_a_full_engine_keeps_its_own_jobs_waiting_and_no_others(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            async with all_generating(core, 1):
                [slow, next_slow] = await submit(core, "test-slow", "a", "b")
            assert (await make(core)).state is JobState.COMPLETED
            queue = await core.intake.queue()
            assert [job.id for job in queue.running] == [slow]
            assert (await core.intake.job(next_slow)).state is JobState.PENDING
            await core.intake.cancel(slow)
            assert (await ended(core, slow)).state is JobState.CANCELLED
            async with all_generating(core, 1):
                pass
            assert (await core.intake.job(next_slow)).state is JobState.PROCESSING

    asyncio.run(main())


def test_one_of_several_running_jobs_is_cancelled_and_the_others_go_on(tmp_path):
    mark = tmp_path / "mark"

    async def main():
        async with running_core(tmp_path) as core:
            async with all_generating(core, 3):
                ids = await submit(core, "test-together", *[f"wait {mark}"] * 3)
            assert {job.id for job in (await core.intake.queue()).running} == set(ids)
            await core.intake.cancel(ids[1])
            assert (await ended(core, ids[1])).state is JobState.CANCELLED
            mark.touch()
            return [await ended(core, job_id) for job_id in (ids[0], ids[2])]

    assert [job.state for job in asyncio.run(main())] == [JobState.COMPLETED] * 2


def test_stopping_puts_all_running_jobs_back_and_clears_their_files(tmp_path):
    async def main():
        async with running_core(tmp_path) as core, all_generating(core, 3):
            return await submit(core, "test-together", *[f"wait {tmp_path}/never"] * 3)

    assert states(tmp_path, asyncio.run(main())) == [JobState.PENDING] * 3
    paths = paths_in(tmp_path)
    assert not any(paths.staging_in(paths.library).glob("*"))


def test_a_pause_lets_running_jobs_end_and_starts_no_other(tmp_path):
    mark = tmp_path / "mark"

    async def main():
        async with running_core(tmp_path) as core:
            async with all_generating(core, 2):
                running = await submit(core, "test-together", *[f"wait {mark}"] * 2)
            await core.intake.pause()
            [waiting] = await submit(core, "test-together", f"wait {mark}")
            mark.touch()
            assert [(await ended(core, job_id)).state for job_id in running] == [JobState.COMPLETED] * 2
            assert (await core.intake.job(waiting)).state is JobState.PENDING
            await core.intake.resume()
            return await ended(core, waiting)

    assert asyncio.run(main()).state is JobState.COMPLETED


def test_of_several_jobs_on_a_dead_worker_only_the_guilty_one_is_given_up(tmp_path):
    """It kills its worker each time. The others are dragged along once, then each runs alone: so whoever dies did it."""
    mark = tmp_path / "mark"

    async def main():
        async with running_core(tmp_path, config_with(engine={"max_attempts": 2})) as core:
            async with all_generating(core, 2):
                innocent = await submit(core, "test-together", *[f"wait {mark}"] * 2)
            [guilty] = await submit(core, "test-together", f"die {mark}", priority=-1)
            jobs = [await ended(core, job_id) for job_id in (*innocent, guilty)]
            together = await submit(core, "test-together", *["meet 2"] * 2)  # nobody is under suspicion now
            return jobs, [await ended(core, job_id) for job_id in together]

    (*innocent, guilty), after = asyncio.run(main())
    assert [(job.state, job.attempts) for job in innocent] == [(JobState.COMPLETED, 2)] * 2
    assert (guilty.state, guilty.error_code, guilty.attempts) == (JobState.FAILED, "worker_died", 3)
    assert "attempt 2 of 2" in guilty.error_message
    assert [job.state for job in after] == [JobState.COMPLETED] * 2


def test_a_guilty_job_that_goes_first_fails_before_the_others_are_tried_again(tmp_path):
    mark = tmp_path / "mark"

    async def main():
        async with running_core(tmp_path, config_with(engine={"max_attempts": 3})) as core:
            await core.intake.pause()
            ids = await submit(core, "test-together", f"die {mark}", *[f"wait {mark}"] * 3)
            await core.intake.resume()
            return [await ended(core, job_id) for job_id in ids]

    guilty, *innocent = asyncio.run(main())
    assert (guilty.state, guilty.error_code) == (JobState.FAILED, "worker_died")
    assert [job.state for job in innocent] == [JobState.COMPLETED] * 3
    assert max(job.attempts for job in innocent) <= 2


def test_a_suspect_that_is_cancelled_while_it_waits_keeps_nobody_apart(tmp_path):
    mark = tmp_path / "mark"

    async def main():
        async with running_core(tmp_path, config_with(engine={"max_attempts": 1})) as core:
            async with all_generating(core, 1):
                [suspect] = await submit(core, "test-together", f"wait {tmp_path}/never", priority=-5)
            [guilty] = await submit(core, "test-together", f"die {mark}")
            assert (await ended(core, guilty)).error_code == "worker_died"
            await core.intake.cancel(suspect)
            await ended(core, suspect)
            ids = await submit(core, "test-together", *["meet 2"] * 2)
            return [await ended(core, job_id) for job_id in ids]

    assert [job.state for job in asyncio.run(main())] == [JobState.COMPLETED] * 2


def test_a_time_out_is_held_against_nobody_else(tmp_path):
    mark = tmp_path / "mark"
    config = config_with(engine={"timeout_base_s": 5, "timeout_per_audio_s": 200, "max_attempts": 1})

    async def main():
        async with running_core(tmp_path, config) as core:
            await make(core)  # so that the time-out does not have to wait for a worker to come up
            async with all_generating(core, 1):
                [waits] = await submit(core, "test-together", f"wait {mark}")
            # It goes first, so it is alone when it has been told apart.
            [hangs] = await submit(core, "test-together", "hang", duration=None, samples=480, priority=1)
            timed_out = await ended(core, hangs)
            async with all_generating(core, 2):  # and they run together again, as before
                [other] = await submit(core, "test-together", f"wait {mark}")
            mark.touch()
            return timed_out, await ended(core, waits), await ended(core, other)

    timed_out, waited, other = asyncio.run(main())
    assert (timed_out.state, timed_out.error_code, timed_out.attempts) == (
        JobState.FAILED,
        "engine_timeout",
        2,
    )
    assert (waited.state, waited.attempts) == (JobState.COMPLETED, 2)
    assert other.state is JobState.COMPLETED


@pytest.mark.slow
def test_a_job_that_others_held_up_until_its_time_out_is_made_alone(tmp_path):
    """The one who waits times out first, for it is shorter; who hangs is to blame, and fails when it is alone."""
    mark = tmp_path / "mark"
    config = config_with(engine={"timeout_base_s": 20, "timeout_per_audio_s": 10, "max_attempts": 1})

    async def main():
        async with running_core(tmp_path, config) as core:
            await make(core)
            async with all_generating(core, 1):
                [hangs] = await submit(core, "test-together", "hang", priority=-1)
            [held_up] = await submit(core, "test-together", f"wait {mark}", duration=None, samples=480)
            while (await core.intake.job(held_up)).attempts < 2:  # noqa: ASYNC110 - nobody tells of an attempt
                await asyncio.sleep(0.1)
            mark.touch()
            return await ended(core, held_up), await ended(core, hangs)

    held_up, hung = asyncio.run(main())
    assert (held_up.state, held_up.attempts) == (JobState.COMPLETED, 2)
    assert (hung.state, hung.error_code, hung.attempts) == (JobState.FAILED, "engine_timeout", 2)


def test_trouble_with_one_jobs_records_leaves_the_others_running(tmp_path, monkeypatch):
    """The database fails when one job's takes are recorded: it is taken up again while the other goes on."""
    from dgx_music.errors import StoreError

    mark = tmp_path / "mark"
    record_takes = Store.record_takes
    calls = []

    def broken_once(self, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise StoreError("the disk is full")
        return record_takes(self, *arguments)

    monkeypatch.setattr(Store, "record_takes", broken_once)

    async def main():
        async with running_core(tmp_path) as core:
            async with all_generating(core, 1):
                [waits] = await submit(core, "test-together", f"wait {mark}")
            troubled = await make(core)
            assert (await core.intake.job(waits)).state is JobState.PROCESSING
            mark.touch()
            return troubled, await ended(core, waits)

    troubled, waited = asyncio.run(main())
    assert (troubled.state, troubled.attempts) == (JobState.COMPLETED, 2)
    assert (waited.state, waited.attempts) == (JobState.COMPLETED, 1)
    assert library_files(tmp_path) == sorted(job.takes[0].files[0].final for job in (troubled, waited))


# -- previews ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_previews_are_told_and_are_gone_when_the_job_has_ended(tmp_path, end):
    mark = tmp_path / "mark"

    async def main():
        async with running_core(tmp_path) as core:
            told, enough = [], asyncio.Event()

            def hear(update):
                if update.preview is not None:
                    told.append(update)
                    if len(told) == 2:
                        enough.set()

            core.intake.subscribe(hear)
            [job_id] = await submit(core, "test-keeper", str(mark))
            await asyncio.wait_for(enough.wait(), 60)
            path = paths_in(tmp_path).state_dir / "previews" / job_id / "take1.wav"
            assert told[-1].preview.path == str(path)
            assert len(await asyncio.to_thread(path.read_bytes)) == 44 + 4 * 16_000
            assert [(update.kind, update.preview.take, update.preview.seconds) for update in told] == [
                ("preview", 0, 0.25),
                ("preview", 0, 0.5),
            ]
            if end == "cancelled":
                await core.intake.cancel(job_id)
            else:
                mark.touch()
            return await ended(core, job_id)

    job = asyncio.run(main())
    assert job.state == end
    assert list(paths_in(tmp_path).previews.glob("*")) == []


def test_previews_that_a_crash_has_left_are_cleared_at_the_start(tmp_path):
    left = paths_in(tmp_path).previews / "gen_000000000000" / "take1.wav"
    left.parent.mkdir(parents=True)
    left.touch()

    async def main():
        async with running_core(tmp_path):
            assert not left.parent.exists()

    asyncio.run(main())


@pytest.mark.slow
def test_a_worker_killed_at_any_instant_costs_no_job_and_doubles_none(tmp_path):
    """The worker is killed at 12 instants spread over the jobs' run; every job completes exactly once."""

    async def main():
        async with running_core(tmp_path, config_with(engine={"max_attempts": 50})) as core:
            fields = [{"prompt": f"n{i}", "duration": 0.5, "engine": "test-noise"} for i in range(8)]
            accepted = await core.intake.submit_batch(fields, Source("cli"))
            moments, left = asyncio.Queue(), len(accepted)
            core.intake.subscribe(moments.put_nowait)
            for kill in range(12):
                for _ in range(1 + kill % 4):
                    update = await asyncio.wait_for(moments.get(), 60)
                    left -= update.kind == "completed"
                    if not left:
                        break
                if not left:
                    break
                if core.host.worker_pid is not None:
                    with contextlib.suppress(ProcessLookupError):  # it may have died of the kill before
                        os.kill(core.host.worker_pid, signal.SIGKILL)
            return [await ended(core, item.job_id) for item in accepted]

    jobs = asyncio.run(main())
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    assert library_files(tmp_path) == sorted(job.takes[0].files[0].final for job in jobs)
    assert sum(job.attempts for job in jobs) > len(jobs)


async def _states_while_recording(core):
    """Let a neural job and a sketch wait while the DAW records; return what became of both, then of the first."""
    core.transport.tell("recording")
    neural = await core.intake.submit({"prompt": "x", "duration": 0.5, "engine": "test-noise"}, Source("cli"))
    sketch = await core.intake.submit({"prompt": "x", "duration": 0.5, "engine": "sketch"}, Source("cli"))
    done = await ended(core, sketch.job_id)
    held = await core.intake.job(neural.job_id)
    return neural.job_id, held, done


@pytest.mark.parametrize("release", ["stopped", "rolling", "silence"])
def test_while_the_daw_records_neural_engines_wait_and_the_sketch_does_not(tmp_path, release):
    async def main():
        async with running_core(tmp_path, config_with(queue={"hold_while_recording": True})) as core:
            job_id, held, done = await _states_while_recording(core)
            assert (held.state, done.state) == (JobState.PENDING, JobState.COMPLETED)
            if release == "silence":
                core.transport._expire()
            else:
                core.transport.tell(release)
            assert (await ended(core, job_id)).state is JobState.COMPLETED

    asyncio.run(main())


def test_what_runs_already_goes_on_while_the_daw_records(tmp_path):
    async def main():
        async with running_core(tmp_path, config_with(queue={"hold_while_recording": True})) as core:
            running = asyncio.Event()
            core.intake.subscribe(lambda update: running.set() if update.kind == "progress" else None)
            accepted = await core.intake.submit(
                {"prompt": "x", "duration": 0.5, "engine": "test-noise"}, Source("cli")
            )
            await asyncio.wait_for(running.wait(), 60)
            core.transport.tell("recording")
            assert (await ended(core, accepted.job_id)).state is JobState.COMPLETED

    asyncio.run(main())


def test_nothing_is_held_unless_the_user_set_that(tmp_path):
    async def main():
        async with running_core(tmp_path) as core:
            core.transport.tell("recording")
            assert (await make(core)).state is JobState.COMPLETED

    asyncio.run(main())
