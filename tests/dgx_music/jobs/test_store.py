from __future__ import annotations

import multiprocessing
import sqlite3
from dataclasses import replace

import pytest

from dgx_music.errors import JobNotFoundError, JobStateError
from dgx_music.jobs import JobState, JobStep, Source
from dgx_music.jobs.store import NewJob, Store
from dgx_music.jobs.tables import REQUEST_COLUMNS
from dgx_music.request import GenerationRequest
from support.claim_all import claim_all
from support.takes import take

OSC = Source("osc", "127.0.0.1:9000")


def new(**fields):
    return NewJob(GenerationRequest.from_fields({"prompt": "a", **fields}), OSC, "sketch")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "jobs.sqlite")
    yield store
    store.close()


def add(store, **fields):
    return store.add([new(**fields)])[0][0]


def test_a_request_comes_back_with_all_its_fields(store):
    wanted = new(bpm=93.5, bars=4, meter="7/8", takes=3, session={"path": "/s"}, request_id="r", priority=3)
    [(job_id, known)] = store.add([wanted])
    job = store.get(job_id)
    assert not known
    assert (job.request, job.source, job.engine) == (wanted.request, OSC, "sketch")
    assert (job.state, job.step, job.attempts) == (JobState.PENDING, JobStep.QUEUED, 0)


def test_every_field_of_the_request_is_a_column(store):
    assert set(REQUEST_COLUMNS) == set(GenerationRequest.model_fields)
    add(store, bpm=93.5, bars=4, top_k=99)
    with sqlite3.connect(store.path) as db:
        row = db.execute(
            "SELECT req_prompt, req_bpm, req_bars, req_top_k, req_loop, req_key FROM jobs"
        ).fetchone()
    assert row == ("a", 93.5, 4, 99, 0, None)


def test_a_request_id_is_done_once_also_within_one_transaction(store):
    first = store.add([new(request_id="r"), new(request_id="r"), new()])
    assert [known for _, known in first] == [False, True, False]
    assert first[0][0] == first[1][0] != first[2][0]
    assert store.add([new(request_id="r")]) == [(first[0][0], True)]
    assert store.counts()[JobState.PENDING] == 2


def test_jobs_run_by_priority_then_age(store):
    old, urgent, young, lazy = (add(store, priority=p) for p in (0, 5, 0, -5))
    assert [store.claim().id for _ in range(4)] == [urgent, old, young, lazy]
    assert store.claim() is None


def test_jobs_of_full_engines_are_passed_over_and_the_order_of_the_others_stays(store):
    engines = ["full", "a", "b", "full", "a"]
    ids = [store.add([replace(new(priority=-n), engine=engine)])[0][0] for n, engine in enumerate(engines)]
    assert store.claim(full=["full", "b"]).id == ids[1]
    assert store.claim(full=["full"]).id == ids[2]
    assert store.claim(ids[3], full=["full"]) is None
    assert store.claim(full=["full", "a"]) is None
    assert [store.claim().id for _ in range(3)] == [ids[0], ids[3], ids[4]]


def test_only_a_named_job_is_claimed_where_one_is_named(store):
    _other, wanted = add(store), add(store)
    assert store.claim(wanted).id == wanted
    assert store.claim(wanted) is None


def test_recorded_takes_come_back_equal_and_show_when_completed(store):
    job_id = add(store, takes=2)
    store.claim()
    takes = (take(0, job_id), take(1, job_id, stems=("drums", "bass")))
    assert store.record_takes(job_id, takes)
    assert store.processing()[0].takes == takes
    done = store.complete(job_id, "/s/s.ardour", 1.5)
    assert (done.takes, done.session_path, done.state) == (takes, "/s/s.ardour", JobState.COMPLETED)
    assert done.finished_at is not None


def test_every_change_of_state_leaves_an_event(store):
    job_id = add(store)
    store.claim()
    store.set_step(job_id, JobStep.GENERATING, 0.1)
    store.requeue(job_id, "the worker died")
    store.claim()
    store.record_takes(job_id, [take(0, job_id)])
    store.complete(job_id, None, 1.0)
    seen = [(event["kind"], event["state"], event["attempt"]) for event in store.events_of(job_id)]
    assert seen == [
        ("accepted", "pending", 0),
        ("claimed", "processing", 1),
        ("step", "processing", 1),
        ("requeued", "pending", 1),
        ("claimed", "processing", 2),
        ("takes_recorded", "processing", 2),
        ("completed", "completed", 2),
    ]
    assert store.events_of(job_id)[3]["detail"] == {"reason": "the worker died"}


def test_a_requeued_job_keeps_its_place(store):
    first, second = add(store), add(store)
    store.claim()
    store.requeue(first, "interrupted")
    assert store.claim().id == first
    assert store.claim().id == second


def test_a_job_with_recorded_takes_is_not_requeued(store):
    job_id = add(store)
    store.claim()
    store.record_takes(job_id, [take(0, job_id)])
    assert store.requeue(job_id, "stopped").state is JobState.PROCESSING
    store.forget_takes(job_id)
    assert store.requeue(job_id, "its files are gone").state is JobState.PENDING


def test_a_failed_job_says_why_and_keeps_no_takes(store):
    job_id = add(store)
    store.claim()
    failed = store.fail(job_id, "engine", "it broke")
    assert (failed.state, failed.error_code, failed.error_message) == (JobState.FAILED, "engine", "it broke")
    assert failed.takes == ()


def test_cancel_a_pending_job_at_once_and_mark_a_running_one(store):
    running, pending = add(store), add(store)
    store.claim()
    assert store.ask_cancel(pending).state is JobState.CANCELLED
    asked = store.ask_cancel(running)
    assert (asked.state, asked.cancel_asked) == (JobState.PROCESSING, True)
    assert not store.record_takes(running, [take(0, running)])
    assert store.requeue(running, "stopped").state is JobState.CANCELLED


def test_asking_twice_to_cancel_is_the_same_as_once(store):
    job_id = add(store)
    assert store.ask_cancel(job_id) == store.ask_cancel(job_id)
    assert [event["kind"] for event in store.events_of(job_id)] == ["accepted", "cancelled"]


def test_what_has_ended_or_is_being_saved_cannot_be_cancelled(store):
    saving, ended = add(store), add(store)
    store.claim()
    store.record_takes(saving, [take(0, saving)])
    store.claim()
    store.fail(ended, "engine", "it broke")
    with pytest.raises(JobStateError, match="is being saved; only pending and running"):
        store.ask_cancel(saving)
    with pytest.raises(JobStateError, match="is failed"):
        store.ask_cancel(ended)


def test_an_ended_job_cannot_end_again(store):
    job_id = add(store)
    store.claim()
    store.fail(job_id, "engine", "it broke")
    with pytest.raises(JobStateError):
        store.complete(job_id, None, 1.0)


def test_an_unknown_job_is_named_in_the_error(store):
    with pytest.raises(JobNotFoundError, match="gen_nothing"):
        store.get("gen_nothing")


def test_the_place_counts_what_goes_before(store):
    jobs = [add(store, duration=10, takes=2) for _ in range(3)]
    urgent = add(store, duration=5, priority=1)
    store.claim()
    assert store.ahead(urgent) == (0, 5.0)
    assert store.ahead(jobs[0]) == (1, 25.0)
    assert store.ahead(jobs[2]) == (3, 65.0)


def test_the_cost_of_a_second_comes_from_this_machines_history(store):
    assert store.seconds_per_audio_second("sketch") is None
    job_id = add(store, duration=10, takes=2)
    store.claim()
    store.record_takes(job_id, [take(0, job_id), take(1, job_id)])
    store.complete(job_id, None, 5.0)
    assert store.seconds_per_audio_second("sketch") == pytest.approx(0.25)
    assert store.seconds_per_audio_second("musicgen") is None


def test_audio_of_other_engines_is_not_waited_for(store):
    store.add([replace(new(duration=100), engine="musicgen")])
    mine = [add(store, duration=10) for _ in range(2)]
    assert store.ahead(mine[1]) == (2, 20.0)


def test_the_time_that_a_model_took_to_load_is_kept_by_engine_and_model(store):
    assert store.loading_s("musicgen", "small") == 0.0
    store.note_loading("musicgen", "small", 3.0)
    store.note_loading("musicgen", "small", 2.5)
    assert store.loading_s("musicgen", "small") == 2.5
    assert store.loading_s("audiocraft", "small") == 0.0
    assert store.loading_s("musicgen", "large") == 0.0


def test_claims_and_estimates_read_the_queues_index_alone(store):
    """Both look through everything that waits, which may be fifty thousand jobs with long requests."""
    with sqlite3.connect(store.path) as db:
        for looked in (
            "SELECT seq FROM jobs WHERE state = 'pending' AND engine NOT IN ('a') ORDER BY priority DESC, seq DESC",
            "SELECT count(*), sum(CASE WHEN engine = 'a' THEN audio_s ELSE 0 END) FROM jobs WHERE state = 'pending'",
        ):
            plan = db.execute(f"EXPLAIN QUERY PLAN {looked}").fetchall()
            assert "USING COVERING INDEX ix_jobs_queue" in plan[0][3]


def test_a_source_finds_its_jobs_again(store):
    mine = [store.add([replace(new(), source=Source("drop", "claim-1"))])[0][0] for _ in range(2)]
    add(store)
    assert [job.id for job in store.jobs_of(Source("drop", "claim-1"))] == mine


def test_flags_are_kept(store):
    assert store.flag("paused") is None
    store.set_flag("paused", "1")
    store.set_flag("paused", "0")
    assert store.flag("paused") == "0"


def test_a_checkpoint_empties_the_write_ahead_log(store):
    for _ in range(50):
        add(store)
    log = store.path.with_name(store.path.name + "-wal")
    assert log.stat().st_size > 0
    store.checkpoint()
    assert log.stat().st_size == 0
    assert store.counts()[JobState.PENDING] == 50


def test_four_processes_never_claim_a_job_twice(tmp_path):
    store = Store(tmp_path / "jobs.sqlite")
    wanted = {job_id for job_id, _ in store.add([new() for _ in range(120)])}
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        claimed = manager.list()
        workers = [context.Process(target=claim_all, args=(store.path, claimed)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert sorted(claimed) == sorted(wanted)
    store.close()
