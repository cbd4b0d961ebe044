"""How deliveries are offered and reports taken in: by a real courier, store and files, with Ardour's part played."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sqlite3

import pytest

from dgx_music.delivery.ardour import courier as courier_module
from dgx_music.delivery.ardour import offering
from dgx_music.delivery.ardour.layout import Spool, session_key
from dgx_music.delivery.ardour.reports import note_problem, noted_problems
from dgx_music.jobs import JobUpdate
from support.delivery_scene import until

pytestmark = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3 (apt install lua5.3)")


@pytest.fixture
def quick(monkeypatch):
    """A courier that comes again soon where nobody seems to be there."""
    monkeypatch.setattr(courier_module, "_POLL_CLOSED_S", 0.05)
    monkeypatch.setattr(courier_module, "_POLL_SOON_S", 0.05)


def claimed(scene):
    async def wait():
        await until(scene.ardour.next.exists)
        return scene.ardour.claim()

    return wait()


def test_a_completed_job_is_offered_when_it_is_heard_of(scene):
    async def main():
        async with scene.courier() as courier:
            job = scene.complete(takes=2)
            courier.on_update(JobUpdate(job, "completed"))
            manifest = await claimed(scene)
            scene.ardour.land(manifest)
            await until(lambda: scene.states() == ["landed"])
            await until(lambda: not list((scene.ardour.folder / "audio").iterdir()))
            assert (courier.counters.offered, courier.counters.landed) == (1, 1)

    asyncio.run(main())
    assert scene.ardour.regions == [f"{scene.deliveries.recent(1)[0].id}"]


def test_a_report_is_found_without_a_look_while_something_is_offered(scene, quick):
    async def main():
        scene.complete()
        async with scene.courier():
            manifest = await claimed(scene)
            scene.ardour.tell = lambda *_: None
            scene.ardour.alive()
            scene.ardour.land(manifest)
            await until(lambda: scene.states() == ["landed"])
            scene.ardour.report("saved", manifest)
            await until(lambda: scene.states() == ["saved"])

    asyncio.run(main())


def test_nothing_is_looked_at_when_all_is_done(scene, monkeypatch):
    async def main():
        scene.complete()
        async with scene.courier() as courier:
            scene.ardour.land(await claimed(scene))
            await until(lambda: scene.states() == ["landed"])
            scene.ardour.report("saved", snapshot="x")
            courier.look(str(scene.ardour.session))
            await until(lambda: scene.states() == ["saved"])
            await until(lambda: not courier._again_at)

    asyncio.run(main())


@pytest.mark.parametrize("name", ["next", "taken", "retaken"])
def test_nothing_is_put_up_while_ardour_has_something(scene, name):
    async def main():
        scene.complete()
        spool = Spool(scene.spool_root).of(str(scene.ardour.session))
        spool.make()
        (spool.folder / name).write_text("return {}")
        async with scene.courier() as courier:
            await courier.fetch(str(scene.ardour.session))
            assert scene.states() == ["waiting"]
            (spool.folder / name).unlink()
            courier.look(str(scene.ardour.session))
            assert (await claimed(scene))["offer"] == 1

    asyncio.run(main())


def test_an_offer_that_ardour_gives_back_in_this_moment_stays(scene, monkeypatch):
    async def main():
        scene.complete()
        prepare = offering.prepare

        def prepare_late(spool, *arguments):
            made = prepare(spool, *arguments)
            spool.next.write_bytes(b"return { mine = true }")
            return made

        monkeypatch.setattr(courier_module, "prepare", prepare_late)
        async with scene.courier() as courier:
            await courier.fetch(str(scene.ardour.session))
            assert scene.ardour.claim() == {"mine": True}

    asyncio.run(main())


def test_an_offer_that_is_gone_without_a_word_is_put_up_again_with_its_number_but_ever_more_rarely(
    scene, quick
):
    async def main():
        scene.complete()
        async with scene.courier():
            for _ in range(4):
                assert (await claimed(scene))["offer"] == 1
                scene.ardour.taken.unlink()

    asyncio.run(main())
    assert scene.states() == ["offered"]


def test_sessions_that_nobody_opens_are_hardly_looked_at(scene, monkeypatch):
    """A thousand of them, over the months, must not keep the daemon busy."""
    monkeypatch.setattr(courier_module, "_POLL_SOON_S", 0.01)
    monkeypatch.setattr(courier_module, "_POLL_CLOSED_S", 3600.0)

    async def main():
        gone = scene.ardour.session.with_name("gone")
        scene.complete()
        scene.complete(path=str(gone))
        async with scene.courier() as courier:
            await until(scene.ardour.next.exists)
            soon = asyncio.get_running_loop().time() + 1000
            await until(
                lambda: len(courier._again_at) == 2 and all(at > soon for at in courier._again_at.values())
            )

    asyncio.run(main())


def test_each_session_has_its_own_turn(scene, tmp_path):
    async def main():
        other = tmp_path / "songs" / "two"
        other.mkdir()
        scene.complete()
        scene.complete(path=str(other))
        async with scene.courier():
            await until((scene.spool_root / session_key(str(other)) / "next").exists)
            await until(scene.ardour.next.exists)

    asyncio.run(main())


def test_a_delivery_that_cannot_be_made_lets_the_next_one_pass(scene):
    async def main():
        broken, whole = scene.complete(), scene.complete()
        (scene.library / broken.takes[0].files[0].final).write_bytes(b"short")
        async with scene.courier() as courier:
            assert (await claimed(scene))["job"] == whole.id
            assert courier.counters.failed == 1

    asyncio.run(main())
    assert scene.states() == ["failed", "offered"]
    assert scene.deliveries.recent(2)[1].code == "damaged"


@pytest.mark.parametrize("code", ["rate", "import", "session", "crashed", "internal", ""])
def test_what_is_not_the_file_s_fault_fails_at_once(scene, code):
    async def main():
        scene.complete()
        async with scene.courier():
            scene.ardour.fail(await claimed(scene), code, "no")
            await until(lambda: scene.states() == ["failed"])

    asyncio.run(main())
    assert scene.deliveries.recent(1)[0].code == (code or "failed")


def test_the_failure_of_an_older_offer_is_no_news(scene):
    async def main():
        scene.complete()
        async with scene.courier() as courier:
            first = await claimed(scene)
            scene.ardour.fail(first, "vanished")
            second = await claimed(scene)
            assert second["offer"] == 2
            scene.ardour.report("failed", first, code="import")
            courier.look(str(scene.ardour.session))
            await until(lambda: not list(scene.ardour.folder.glob("report.*")))
            assert scene.states() == ["offered"]

    asyncio.run(main())


def test_a_removed_delivery_is_known_and_stays_removed(scene):
    async def main():
        scene.complete()
        async with scene.courier() as courier:
            manifest = await claimed(scene)
            scene.ardour.land(manifest)
            await until(lambda: scene.states() == ["landed"])
            scene.ardour.report("removed", manifest)
            courier.look(str(scene.ardour.session))
            await until(lambda: scene.states() == ["removed"])
            assert await courier.fetch(str(scene.ardour.session)) == 0

    asyncio.run(main())


def test_problems_are_kept_with_the_delivery_or_with_the_session(scene):
    async def main():
        scene.complete()
        async with scene.courier() as courier:
            manifest = await claimed(scene)
            scene.ardour.report("problem", manifest, code="markers", message="no marker")
            for _ in range(3):
                scene.ardour.report("problem", code="hook", message="the hook met an error")
            courier.look(str(scene.ardour.session))
            await until(lambda: not list(scene.ardour.folder.glob("report.*")))

    asyncio.run(main())
    [delivery] = scene.deliveries.troubled(5)
    assert (delivery.state, delivery.code, delivery.message) == ("offered", "markers", "no marker")
    [problem] = noted_problems(Spool(scene.spool_root).of(str(scene.ardour.session)))
    assert (problem["code"], problem["count"]) == ("hook", 3)


def test_a_report_on_another_session_s_delivery_changes_nothing(scene, tmp_path):
    async def main():
        other = tmp_path / "songs" / "two"
        other.mkdir()
        scene.complete(path=str(other))
        spool = Spool(scene.spool_root).of(str(scene.ardour.session))
        spool.make()
        async with scene.courier() as courier:
            await until((scene.spool_root / session_key(str(other)) / "next").exists)
            delivery = scene.deliveries.recent(1)[0]
            scene.ardour.report("landed", {"delivery": delivery.id, "offer": 1})
            courier.look(str(scene.ardour.session))
            await until(lambda: not list(spool.folder.glob("report.*")))
            assert courier.counters.nonsense == 1

    asyncio.run(main())
    assert scene.states() == ["offered"]


def test_a_store_that_is_out_of_order_for_a_while_ends_nothing(scene, quick, caplog):
    async def main():
        scene.complete()
        async with scene.courier() as courier:
            manifest = await claimed(scene)
            with sqlite3.connect(scene.store.path) as db:
                db.execute(
                    "CREATE TRIGGER no BEFORE UPDATE ON deliveries BEGIN SELECT RAISE (ABORT, 'disk full'); END"
                )
            scene.ardour.land(manifest)
            await until(lambda: courier.counters.troubles >= 2)
            assert list(scene.ardour.folder.glob("report.*"))
            with sqlite3.connect(scene.store.path) as db:
                db.execute("DROP TRIGGER no")
            await until(lambda: scene.states() == ["landed"])

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "disk full" in caplog.text


def test_a_session_known_by_a_link_is_delivered_into_one_folder(scene, tmp_path):
    """Ardour calls a session that it has just made by the path as typed, and later by the one without links."""

    async def main():
        link = tmp_path / "songs" / "link"
        link.symlink_to("one")
        async with scene.courier() as courier:
            job = scene.complete(path=str(link))
            courier.on_update(JobUpdate(job, "completed"))
            await until((scene.spool_root / session_key(str(link)) / "next").exists)
            scene.ardour.land(await claimed(scene))
            await until(lambda: scene.states() == ["landed"])

    asyncio.run(main())


def test_a_session_whose_folder_was_moved_behind_a_link_still_gets_what_waits(scene):
    async def main():
        session = scene.ardour.session
        scene.complete()
        session.rename(session.with_name("moved"))
        session.symlink_to("moved")
        async with scene.courier():
            moved = scene.spool_root / session_key(str(session.with_name("moved")))
            await until((moved / "next").exists)
            await until(lambda: scene.states() == ["offered"])

    asyncio.run(main())
    assert scene.deliveries.recent(1)[0].session_path == str(scene.ardour.session.with_name("moved"))


def test_a_session_that_is_moved_behind_a_link_while_it_is_looked_after_has_one_name_from_then_on(
    scene, quick
):
    async def main():
        session, moved = scene.ardour.session, scene.ardour.session.with_name("moved")
        scene.complete()
        async with scene.courier() as courier:
            await until(scene.ardour.next.exists)
            session.rename(moved)
            session.symlink_to("moved")
            await until(lambda: scene.deliveries.recent(1)[0].session_path == str(moved))
            await until(lambda: list(courier._again_at) == [str(moved)])
            await until((scene.spool_root / session_key(str(moved)) / "next").exists)

    asyncio.run(main())


def test_a_completed_job_is_heard_of_however_many_looks_are_sent(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(courier_module, "_MAX_DUE", 1)

    async def main():
        async with scene.courier() as courier:
            await courier.fetch(str(tmp_path))  # it has begun
            job = scene.complete()
            courier.look(str(tmp_path / "a"))
            courier.look(str(tmp_path / "b"))
            courier.on_update(JobUpdate(job, "completed"))
            await claimed(scene)

    asyncio.run(main())


def test_what_nobody_can_read_or_note_holds_no_report_up(scene, monkeypatch):
    async def main():
        scene.complete()
        async with scene.courier() as courier:
            manifest = await claimed(scene)
            (scene.ardour.folder / "report.0").mkdir()
            (scene.ardour.folder / "report.1").symlink_to("/etc/passwd")
            scene.ardour.report("problem", code="hook", message="the hook met an error")

            def full(*_):
                raise OSError(28, os.strerror(28))

            monkeypatch.setattr(courier_module, "note_problem", full)
            scene.ardour.land(manifest)
            await until(lambda: scene.states() == ["landed"])
            await until(lambda: [path.name for path in scene.ardour.folder.glob("report.*")] == ["report.0"])
            assert courier.counters.nonsense == 1

    asyncio.run(main())


def test_a_full_disk_is_not_filled_further_and_the_delivery_comes_when_it_has_room(
    scene, quick, monkeypatch, caplog
):
    scene.complete(takes=2)
    whole, calls = offering.fingerprint, []

    def full(path):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, os.strerror(28), str(path))
        return whole(path)

    monkeypatch.setattr(offering, "fingerprint", full)
    seen = []
    in_the_way = courier_module.Courier._in_the_way

    async def look_around(courier, *arguments):
        seen.append(list((scene.ardour.folder / "audio").iterdir()))
        await in_the_way(courier, *arguments)

    monkeypatch.setattr(courier_module.Courier, "_in_the_way", look_around)

    async def main():
        async with scene.courier():
            assert (await claimed(scene))["offer"] == 1

    asyncio.run(main())
    assert seen == [[]]
    assert "No space left" in caplog.text


def test_a_session_that_is_gone_is_remembered_and_delivered_into_when_it_is_back(scene, quick):
    async def main():
        scene.complete()
        scene.ardour.session.rmdir()
        async with scene.courier():
            await until(lambda: scene.deliveries.recent(1)[0].code == "session")
            assert not scene.spool_root.exists()
            scene.ardour.session.mkdir()
            await claimed(scene)

    asyncio.run(main())
    assert scene.deliveries.recent(1)[0].code == ""


def test_a_path_that_is_none_fails_with_the_reason(scene):
    async def main():
        scene.complete(path="songs/one")
        async with scene.courier():
            await until(lambda: scene.states() == ["failed"])

    asyncio.run(main())
    assert "no absolute path" in scene.deliveries.recent(1)[0].message
    assert not scene.spool_root.exists()


def test_audio_of_another_file_system_is_copied(scene, monkeypatch):
    def no_link(*_, **__):
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(offering.os, "link", no_link)

    async def main():
        job = scene.complete()
        async with scene.courier():
            manifest = await claimed(scene)
            scene.ardour.check_audio(manifest)
            original = scene.library / job.takes[0].files[0].final
            assert original.stat().st_nlink == 1

    asyncio.run(main())


def test_who_hears_of_offers_is_told_of_each_once(scene):
    heard = []

    async def main():
        scene.complete()
        scene.complete()
        async with scene.courier(on_offer=lambda _: heard.append(scene.states())):
            scene.ardour.land(await claimed(scene))
            scene.ardour.fail(await claimed(scene), "vanished")
            assert (await claimed(scene))["offer"] == 2

    asyncio.run(main())
    assert heard == [["offered", "waiting"], ["landed", "offered"]]


def test_the_newest_deliveries_are_told_with_their_prompts(scene):
    async def main():
        for _ in range(3):
            scene.complete()
        async with scene.courier() as courier:
            return await courier.recent(f"{scene.ardour.session}/", 2)

    found = asyncio.run(main())
    assert [prompt for _, prompt in found] == ["dusty: drums, slow"] * 2
    assert found[0][0].id == scene.deliveries.recent(1)[0].id


def test_the_problems_of_a_session_are_bounded(scene):
    spool = Spool(scene.spool_root).of(str(scene.ardour.session))
    spool.make()
    (spool.folder / "problems").write_text("nonsense\n[]\n\xff\n")
    for number in range(130):
        note_problem(spool, "hook", f"error {number}")
    found = noted_problems(spool)
    assert [problem["message"] for problem in found] == [f"error {number}" for number in range(30, 130)]
    assert all(json.loads(line) for line in spool.problems.read_text().splitlines())
