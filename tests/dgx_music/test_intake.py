from __future__ import annotations

import asyncio
import sqlite3

import pytest

from dgx_music.core import open_core
from dgx_music.errors import (
    EngineUnavailableError,
    JobNotFoundError,
    QueueFullError,
    RequestError,
    StoreError,
)
from dgx_music.jobs import JobState, Source
from dgx_music.jobs.store import NewJob
from dgx_music.request import GenerationRequest
from support.core import config_with, ended, paths_in, running_core
from support.takes import take

pytestmark = pytest.mark.usefixtures("faulty_engines")
CLI = Source("cli")
NOISE = {"prompt": "a", "engine": "test-noise"}


def within(tmp_path, work, **config):
    """Run `work(core)` on a core whose dispatcher stands still, so that what is accepted stays pending."""

    async def main():
        async with open_core(config_with(**config), paths_in(tmp_path)) as core:
            return await work(core)

    return asyncio.run(main())


def test_an_accepted_request_is_on_disk_before_it_is_answered(tmp_path):
    async def work(core):
        accepted = await core.intake.submit(NOISE, CLI)
        with sqlite3.connect(paths_in(tmp_path).database) as db:
            return accepted, db.execute("SELECT id, state FROM jobs").fetchall()

    accepted, rows = within(tmp_path, work)
    assert rows == [(accepted.job_id, "pending")]
    assert (accepted.place, accepted.engine, accepted.duplicate) == (0, "test-noise", False)
    assert accepted.request_id == accepted.job_id


def test_a_request_sent_twice_is_done_once(tmp_path):
    async def work(core):
        return await asyncio.gather(
            *(core.intake.submit({**NOISE, "request_id": "r"}, CLI) for _ in range(5))
        )

    answers = within(tmp_path, work)
    assert len({answer.job_id for answer in answers}) == 1
    assert sorted(answer.duplicate for answer in answers) == [False, True, True, True, True]


def test_a_batch_enters_whole_or_not_at_all(tmp_path):
    async def work(core):
        with pytest.raises(RequestError) as caught:
            await core.intake.submit_batch([NOISE, {"prompt": ""}, {**NOISE, "takes": 99}], CLI)
        return caught.value.problems, (await core.intake.queue()).pending

    problems, pending = within(tmp_path, work)
    assert pending == 0
    assert [problem.split(":")[0] for problem in problems] == ["request 2", "request 3"]


def test_an_engine_that_is_missing_or_unusable_is_refused_and_never_replaced(tmp_path):
    async def work(core):
        with pytest.raises(EngineUnavailableError, match="'musicgen-nine' is not installed; installed: "):
            await core.intake.submit({"prompt": "a", "engine": "musicgen-nine"}, CLI)
        with pytest.raises(EngineUnavailableError, match="it has no weights; fetch them"):
            await core.intake.submit({"prompt": "a", "engine": "test-unusable"}, CLI)
        return (await core.intake.queue()).pending

    assert within(tmp_path, work) == 0


def test_an_engine_that_cannot_hear_refuses_audio_to_continue(tmp_path):
    async def work(core):
        with pytest.raises(
            RequestError, match="continue_from: engine 'sketch' cannot hear audio; MusicGen can"
        ):
            await core.intake.submit(
                {"prompt": "a", "engine": "sketch", "continue_from": {"path": "/a.wav"}}, CLI
            )

    within(tmp_path, work)


def test_a_full_queue_refuses_new_work_but_never_a_request_it_knows(tmp_path):
    async def work(core):
        first = await core.intake.submit({**NOISE, "request_id": "r"}, CLI)
        await core.intake.submit(NOISE, CLI)
        with pytest.raises(QueueFullError, match="2 jobs wait already"):
            await core.intake.submit(NOISE, CLI)
        again = await core.intake.submit({**NOISE, "request_id": "r"}, CLI)
        return first, again

    first, again = within(tmp_path, work, queue={"max_pending": 2})
    assert (again.job_id, again.duplicate) == (first.job_id, True)


def test_requests_that_arrive_together_each_get_their_own_answer(tmp_path):
    async def work(core):
        return await asyncio.gather(*(core.intake.submit({**NOISE, "seed": seed}, CLI) for seed in range(50)))

    answers = within(tmp_path, work)
    assert len({answer.job_id for answer in answers}) == 50
    assert [answer.place for answer in answers] == list(range(50))


def test_when_the_database_cannot_be_written_nobody_is_told_accepted(tmp_path):
    async def work(core):
        await core.intake.submit(NOISE, CLI)
        with sqlite3.connect(paths_in(tmp_path).database) as db:
            db.execute("DROP TABLE events")
        with pytest.raises(StoreError, match="no such table"):
            await core.intake.submit(NOISE, CLI)
        with sqlite3.connect(paths_in(tmp_path).database) as db:
            return db.execute("SELECT count(*) FROM jobs").fetchone()

    assert within(tmp_path, work) == (1,)


def test_a_pending_job_is_cancelled_at_once_and_everybody_hears_it(tmp_path):
    async def work(core):
        heard = []
        stop = core.intake.subscribe(lambda update: heard.append((update.job.id, update.kind)))
        accepted = await core.intake.submit(NOISE, CLI)
        job = await core.intake.cancel(accepted.job_id)
        stop()
        return accepted, job, heard

    accepted, job, heard = within(tmp_path, work)
    assert job.state is JobState.CANCELLED
    assert heard == [(accepted.job_id, "cancelled")]


def test_what_is_not_there_cannot_be_cancelled(tmp_path):
    async def work(core):
        with pytest.raises(JobNotFoundError):
            await core.intake.cancel("gen_0")

    within(tmp_path, work)


def test_a_listener_that_fails_does_not_stop_the_others(tmp_path, caplog):
    async def work(core):
        def broken(_update):
            raise ValueError("a bug in a surface")

        heard = []
        core.intake.subscribe(broken)
        core.intake.subscribe(lambda update: heard.append(update.kind))
        await core.intake.cancel((await core.intake.submit(NOISE, CLI)).job_id)
        return heard

    assert within(tmp_path, work) == ["cancelled"]
    assert "a listener failed" in caplog.text


# -- how long it will take ---------------------------------------------------------------------------------------


def completed(store, cost_s, **fields):
    """Let a job of 10 s have been made by test-keeper, at that cost."""
    request = GenerationRequest.from_fields({"prompt": "a", "duration": 10, **fields})
    [(job_id, _)] = store.add([NewJob(request, CLI, "test-keeper")])
    store.claim(job_id)
    store.record_takes(job_id, [take(0, job_id)])
    store.complete(job_id, None, cost_s)


def test_the_estimate_is_what_waits_times_what_a_second_cost(tmp_path):
    async def work(core):
        completed(core.store, 5.0)
        answers = [
            await core.intake.submit({**NOISE, "engine": "test-keeper", "duration": 10}, CLI) for _ in "ab"
        ]
        await core.intake.submit({**NOISE, "duration": 100}, CLI)
        answers.append(await core.intake.submit({**NOISE, "engine": "test-keeper", "duration": 10}, CLI))
        return [answer.eta_s for answer in answers]

    assert within(tmp_path, work) == [5.0, 10.0, 15.0]


def test_the_estimate_tells_the_loading_of_a_model_that_is_not_loaded(tmp_path):
    async def work(core):
        completed(core.store, 5.0)
        core.store.note_loading("test-keeper", "tiny", 40.0)
        core.store.note_loading("test-keeper", "huge", 90.0)
        submit, fields = core.intake.submit, {"prompt": "a", "engine": "test-keeper", "duration": 10}
        return [
            (await submit({**fields, "model": model}, CLI)).eta_s for model in ("auto", "tiny", "huge", "new")
        ]

    assert within(tmp_path, work) == [5.0 + 40, 10.0 + 40, 15.0 + 90, 20.0]


def test_the_estimate_leaves_out_a_model_that_is_loaded_and_loading_is_no_part_of_the_cost(tmp_path):
    (tmp_path / "mark").touch()
    fields = {"prompt": str(tmp_path / "mark"), "engine": "test-keeper", "duration": 0.5}

    async def main():
        async with running_core(tmp_path) as core:
            await ended(core, (await core.intake.submit(fields, CLI)).job_id)
            assert core.store.loading_s("test-keeper", "tiny") == 40.0  # so the engine says
            assert core.store.seconds_per_audio_second("test-keeper") == 0.0  # it took less than the 40 s
            assert core.host.warm("test-keeper") == ("tiny",)
            core.store.note_loading("test-keeper", "other", 7.0)
            return [(await core.intake.submit({**fields, "model": m}, CLI)).eta_s for m in ("auto", "other")]

    assert asyncio.run(main()) == [0.0, 7.0]
