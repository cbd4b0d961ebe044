"""A delivery begins with its job's completion, and no report of it, however late or often, turns it around."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from dgx_music.errors import JobNotFoundError, JobStateError, StoreError
from dgx_music.jobs import JobState, Source
from dgx_music.jobs.deliveries import Deliveries, DeliveryState, session_folder
from dgx_music.jobs.store import NewJob, Store
from dgx_music.request import GenerationRequest, SessionTarget
from support.takes import take

SESSION = "/songs/one"


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "jobs.sqlite")
    yield made
    made.close()


@pytest.fixture
def deliveries(store):
    return Deliveries(store.database)


def completed(store, path=SESSION, **fields):
    target = {"session": {"path": path}} if path else {}
    request = GenerationRequest.from_fields({"prompt": "x", **target, **fields})
    [(job_id, _)] = store.add([NewJob(request, Source("cli"), "sketch")])
    store.claim(job_id)
    store.record_takes(job_id, (take(0, job_id),))
    store.complete(job_id, None, 1.0)
    return job_id


def states(deliveries):
    return [delivery.state.value for delivery in reversed(deliveries.recent(100))]


def test_a_completed_job_with_a_session_waits_for_its_delivery(store, deliveries):
    job_id = completed(store, "/songs/one//")
    [delivery] = deliveries.due(SESSION)
    assert (delivery.id, delivery.job_id, delivery.session_path) == (f"{job_id}-1", job_id, SESSION)
    assert (delivery.state, delivery.offers) == (DeliveryState.WAITING, 0)
    assert deliveries.sessions([DeliveryState.WAITING]) == [SESSION]


def test_a_job_without_a_session_or_without_success_has_no_delivery(store, deliveries):
    completed(store, None)
    [(job_id, _)] = store.add(
        [
            NewJob(
                GenerationRequest.from_fields({"prompt": "x", "session": {"path": SESSION}}),
                Source("cli"),
                "sketch",
            )
        ]
    )
    store.claim(job_id)
    store.fail(job_id, "engine", "no")
    assert deliveries.recent(10) == []


def test_job_and_delivery_are_completed_together_or_not_at_all(store, deliveries):
    request = GenerationRequest.from_fields({"prompt": "x", "session": {"path": SESSION}})
    [(job_id, _)] = store.add([NewJob(request, Source("cli"), "sketch")])
    store.claim(job_id)
    with sqlite3.connect(store.path) as db:
        db.execute("CREATE TRIGGER no BEFORE INSERT ON deliveries BEGIN SELECT RAISE (ABORT, 'full'); END")
    with pytest.raises(StoreError, match="full"):
        store.complete(job_id, None, 1.0)
    assert store.get(job_id).state is JobState.PROCESSING
    with sqlite3.connect(store.path) as db:
        db.execute("DROP TRIGGER no")
    store.complete(job_id, None, 1.0)
    assert len(deliveries.due(SESSION)) == 1


def test_the_way_of_a_delivery_that_goes_well(store, deliveries):
    job_id = completed(store)
    delivery = f"{job_id}-1"
    deliveries.offered(delivery, 1)
    assert deliveries.due(SESSION)[0].offers == 1
    assert deliveries.landed(delivery, "one")
    assert not deliveries.landed(delivery, "one")
    assert deliveries.due(SESSION) == []
    assert deliveries.saved(SESSION, snapshot="mix") == 1
    assert deliveries.saved(SESSION, snapshot="mix") == 0
    found = deliveries.get(delivery)
    assert (found.state, found.snapshot, found.code) == (DeliveryState.SAVED, "mix", "")
    assert deliveries.removed(delivery)
    assert not deliveries.removed(delivery)
    assert not deliveries.landed(delivery)
    assert states(deliveries) == ["removed"]


def test_a_late_report_of_an_older_offer_changes_nothing(store, deliveries):
    delivery = f"{completed(store)}-1"
    deliveries.offered(delivery, 1)
    assert deliveries.offer_again(delivery, 1, "vanished", "gone")
    assert not deliveries.offer_again(delivery, 1, "vanished", "gone")
    deliveries.offered(delivery, 2)
    assert not deliveries.offer_again(delivery, 1, "vanished", "gone")
    assert states(deliveries) == ["offered"]
    assert deliveries.due(SESSION)[0].code == ""


def test_what_landed_cannot_fail_and_what_failed_may_have_landed_after_all(store, deliveries):
    first, second = (f"{completed(store)}-1" for _ in range(2))
    deliveries.landed(first)
    assert not deliveries.failed(first, "import", "no")
    assert deliveries.failed(second, "import", "no")
    assert states(deliveries) == ["landed", "failed"]
    assert [delivery.id for delivery in deliveries.troubled(5)] == [second]
    assert deliveries.landed(second)
    assert deliveries.troubled(5) == []


def test_fetch_takes_up_only_what_landed_and_was_never_saved(store, deliveries):
    made = [f"{completed(store)}-1" for _ in range(4)]
    elsewhere = f"{completed(store, '/songs/two')}-1"
    for delivery in (*made[:3], elsewhere):
        deliveries.offered(delivery, 1)
        deliveries.landed(delivery)
    deliveries.saved(SESSION, made[0], "one")
    deliveries.removed(made[1])
    assert deliveries.fetch(SESSION) == 1
    assert states(deliveries) == ["saved", "removed", "waiting", "waiting", "landed"]
    assert [delivery.id for delivery in deliveries.due(SESSION)] == made[2:]


def test_what_is_fetched_while_it_is_being_saved_is_saved(store, deliveries):
    first, second = (f"{completed(store)}-1" for _ in range(2))
    for delivery in (first, second):
        deliveries.offered(delivery, 1)
        deliveries.landed(delivery, message="2 regions")
    assert deliveries.has_unsaved(SESSION)
    assert deliveries.fetch(SESSION) == 2
    assert deliveries.saved(SESSION, first, "one") == 1
    assert [delivery.id for delivery in deliveries.due(SESSION)] == [second]
    deliveries.offered(second, 2)
    assert deliveries.saved(SESSION, second, "one") == 1
    assert not deliveries.landed(second, "one")  # Ardour takes what was put up before, and finds it there
    assert (states(deliveries), deliveries.fetch(SESSION)) == (["saved", "saved"], 0)
    assert not deliveries.has_unsaved(SESSION)


def test_a_job_can_be_delivered_once_more_and_elsewhere(store, deliveries):
    job_id = completed(store)
    assert deliveries.add(job_id).id == f"{job_id}-2"
    assert deliveries.add(job_id, "/songs/two/").session_path == "/songs/two"
    assert len(deliveries.recent(10)) == 3
    assert [delivery.id for delivery in deliveries.recent(10, "/songs/two/")] == [f"{job_id}-3"]


def test_a_delivery_may_have_a_place_of_its_own(store, deliveries):
    job_id = completed(store, None)
    target = SessionTarget(path="/songs/two", position=7, track="Drums", on_top="mine")
    assert deliveries.add(job_id, target=target).session_path == "/songs/two"
    assert deliveries.due("/songs/two")[0].target == target


def test_a_session_has_one_name_whatever_links_lead_to_it(store, deliveries, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    completed(store, f"{tmp_path}/link/")
    assert len(deliveries.due(str(tmp_path / "real"))) == 1
    assert len(deliveries.recent(10, f"{tmp_path}/link")) == 1


@pytest.mark.parametrize("path", ["relative/one", "/\0/x", "", "/", "/songs/\ud800"])
def test_whatever_a_path_holds_it_has_a_name(path):
    assert isinstance(session_folder(path), str)


def test_what_cannot_be_delivered_says_why(store, deliveries):
    with pytest.raises(JobNotFoundError, match="gen_x"):
        deliveries.add("gen_x")
    with pytest.raises(JobStateError, match="names no Ardour session"):
        deliveries.add(completed(store, None))
    [(job_id, _)] = store.add(
        [NewJob(GenerationRequest.from_fields({"prompt": "x"}), Source("cli"), "sketch")]
    )
    with pytest.raises(JobStateError, match="is pending"):
        deliveries.add(job_id, SESSION)


def test_a_remark_is_news_only_once(store, deliveries):
    delivery = f"{completed(store)}-1"
    assert deliveries.remark(delivery, "session", "its folder is gone")
    assert not deliveries.remark(delivery, "session", "its folder is gone")
    assert states(deliveries) == ["waiting"]
    assert [found.code for found in deliveries.troubled(5)] == ["session"]
    deliveries.offered(delivery, 1)
    assert deliveries.troubled(5) == []


def test_the_unfinished_jobs_of_a_session_are_its_own(store):
    completed(store)
    for path in (SESSION, SESSION + "/", "/songs/two", None):
        target = {"session": {"path": path}} if path else {}
        request = GenerationRequest.from_fields({"prompt": str(path), **target})
        store.add([NewJob(request, Source("cli"), "sketch")])
    found = store.unfinished_of_session([SESSION, "/elsewhere"], 10)
    assert [job.request.prompt for job in found] == [SESSION, SESSION + "/"]
    assert len(store.unfinished_of_session([SESSION], 1)) == 1


def test_the_hashes_of_a_file_s_channels_come_back_as_they_were(store):
    [(job_id, _)] = store.add(
        [NewJob(GenerationRequest.from_fields({"prompt": "x"}), Source("cli"), "sketch")]
    )
    store.claim()
    plain = take(0, job_id, stems=("bass",))
    hashed = replace(plain.files[0], pcm_sha256=("ab" * 32, "cd" * 32))
    made = replace(plain, files=(hashed, plain.files[1]))
    assert store.record_takes(job_id, [made])
    assert store.complete(job_id, None, 1.0).takes == (made,)
