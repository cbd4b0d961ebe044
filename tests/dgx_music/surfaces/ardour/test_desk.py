"""What Ardour's scripts are answered: always in the spool, whatever they ask and whatever goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil

import pytest

from dgx_music.delivery.ardour.answers import Answers
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.errors import LibraryError, RequestError
from dgx_music.jobs import Source
from dgx_music.surfaces.ardour import Desk
from support.delivery_scene import DeliveryScene, until
from support.memory_door import MemoryDoor
from support.osc_peer import message, osc_scene

pytestmark = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3 (apt install lua5.3)")


class Ears:
    """Stands in for the child that reads audio: says what it is told to, and counts who is at it."""

    def __init__(self, answer=None):
        self.answer = answer or {"found": False}
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, sources, session_path):
        self.asked.append((sources, session_path))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.free.wait()
        finally:
            self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class DeskScene:
    def __init__(self, made, courier, ears):
        self.ardour, self.deliveries, self.complete = made.ardour, made.deliveries, made.complete
        self.session = str(made.ardour.session)
        self.door = MemoryDoor()
        self.ears = ears
        self.answers = Answers(Spool(made.spool_root))
        self.desk = Desk(self.door, courier, self.answers, identify=ears, version="1.2.3")
        self.desk.start()

    async def ask(self, command, ask_id="a1", **arguments):
        self.desk.ask(ask_id, self.session, command, json.dumps(arguments))
        await self.desk.settled()
        return self.ardour.answer(ask_id)


def run(tmp_path, story, answer=None):
    async def main():
        made = DeliveryScene(tmp_path)
        try:
            async with made.courier() as courier:
                scene = DeskScene(made, courier, Ears(answer))
                try:
                    await story(scene)
                finally:
                    await scene.desk.stop()
        finally:
            made.close()

    asyncio.run(main())


def test_ping(tmp_path):
    async def story(scene):
        answer = await scene.ask("ping")
        assert (answer["ok"], answer["daemon"]) == (True, "1.2.3")

    run(tmp_path, story)


def test_status_tells_this_session_s_jobs_live_and_its_deliveries(tmp_path):
    async def story(scene):
        for path in (scene.session, "/songs/other"):
            await scene.door.submit({"prompt": path, "takes": 3, "session": {"path": path}}, Source("osc"))
        job_id = next(iter(scene.door.jobs))
        scene.door.progress(job_id, 0.25)
        scene.complete()
        scene.desk.look(scene.session)
        await until(scene.ardour.next.exists)
        await scene.door.pause()
        answer = await scene.ask("status")
        [job] = answer["jobs"]
        assert job == {
            "job_id": job_id, "prompt": scene.session, "state": "processing", "step": "generating",
            "progress": 0.25, "takes": 3,
        }  # fmt: skip
        [delivery] = answer["deliveries"]
        assert (delivery["state"], delivery["prompt"]) == ("offered", "dusty: drums, slow")
        assert "problem" not in delivery
        assert (answer["paused"], answer["pending"], answer["processing"]) == (True, 1, 1)
        scene.door.complete(job_id)
        assert (await scene.ask("status"))["jobs"] == []
        assert scene.desk._steps == {}

    run(tmp_path, story)


def test_cancel(tmp_path):
    async def story(scene):
        accepted = await scene.door.submit({"prompt": "x"}, Source("osc"))
        assert (await scene.ask("cancel", job_id=accepted.job_id))["state"] == "cancelled"
        assert (await scene.ask("cancel", job_id=accepted.job_id))["code"] == "job_state"
        assert (await scene.ask("cancel", job_id="gen_x"))["code"] == "job_not_found"

    run(tmp_path, story)


SOURCES = [{"path": "/songs/x.wav", "channel": 0}]


def test_who_made_passes_on_what_is_known(tmp_path):
    async def story(scene):
        answer = await scene.ask("who_made", sources=SOURCES)
        assert answer == {"ok": True, "found": True, "job_id": "gen_1", "prompt": 'a "b"', "take": 2}
        assert scene.ears.asked == [(SOURCES, scene.session)]

    run(tmp_path, story, {"found": True, "job_id": "gen_1", "prompt": 'a "b"', "take": 2, "stem": None})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("may not be read"), "bad_request"),
        (LibraryError("too slow"), "library"),
        (ValueError("a mistake of ours"), "internal"),
    ],
)
def test_what_goes_wrong_is_the_answer(tmp_path, error, code):
    async def story(scene):
        answer = await scene.ask("who_made", sources=SOURCES)
        assert (answer["ok"], answer["code"]) == (False, code)
        assert answer["message"]

    run(tmp_path, story, error)


def test_again_asks_for_the_same_with_another_seed_and_one_take(tmp_path):
    async def story(scene):
        fields = {
            "prompt": "dusty 90 bpm drums", "bars": 3, "meter": "7/8", "takes": 4, "seed": 9, "request_id": "one",
            "key": "C minor", "loudness": "none", "sample_rate": 44_100, "session": {"path": "/old", "position": 1},
            "tempo_map": None, "make_session": True, "priority": 3,
        }  # fmt: skip
        first = await scene.door.submit(fields, Source("osc"))
        scene.ears.answer = {"found": True, "job_id": first.job_id}
        session = {"path": scene.session, "position": 77, "track": "Drums"}
        replace = {"position": 77, "length": 5, "name": "old"}
        answer = await scene.ask("again", sources=SOURCES, session=session, replace=replace)
        old, new = scene.door.jobs[first.job_id], scene.door.jobs[answer["job_id"]]
        assert new.request.seed != old.request.seed
        assert (answer["ok"], answer["takes"]) == (True, 1)
        assert new.source == Source("ardour", scene.session)
        assert new.request.session.replace.model_dump() == replace
        assert (new.request.session.position, new.request.session.track) == (77, "Drums")
        changed = {"seed", "takes", "session", "request_id", "make_session", "priority", "engine"}
        assert new.request.model_dump(exclude=changed) == old.request.model_dump(exclude=changed)
        # Lost and sent again: one job.
        assert (await scene.ask("again", sources=SOURCES, session=session))["job_id"] == answer["job_id"]

    run(tmp_path, story)


def test_again_of_audio_that_nobody_here_made_says_so(tmp_path):
    async def story(scene):
        answer = await scene.ask("again", sources=SOURCES, session={"path": scene.session})
        assert "was not made here" in answer["message"]
        assert scene.door.jobs == {}

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("fly", "{}", "known are ping, status"),
        ("cancel", "{}", "job_id"),
        ("cancel", '{"job_id": "x", "job_id": "y"}', "twice"),
        ("cancel", "nonsense", "not valid JSON"),
        ("cancel", "[1]", "must be a JSON object"),
        ("ping", '{"x": 1}', "x"),
        ("who_made", '{"sources": []}', "sources"),
        ("who_made", '{"sources": 1e999}', "sources"),
        ("again", '{"sources": [{}]}', "session"),
        ("ping", "[" * 100_000, "nested"),
    ],
)
def test_a_slip_is_told(tmp_path, command, arguments, said):
    async def story(scene):
        scene.desk.ask("a1", scene.session, command, arguments)
        await scene.desk.settled()
        answer = scene.ardour.answer("a1")
        assert (answer["ok"], answer["code"]) == (False, "bad_request")
        assert said in answer["message"]

    run(tmp_path, story)


def test_no_arguments_may_be_an_empty_text_or_lua_s_empty_table(tmp_path):
    async def story(scene):
        for number, arguments in enumerate(("", "{}", "[]")):
            scene.desk.ask(f"a{number}", scene.session, "ping", arguments)
            await scene.desk.settled()
            assert scene.ardour.answer(f"a{number}")["ok"]

    run(tmp_path, story)


def test_what_is_sent_again_while_it_is_under_way_is_done_once_and_the_children_are_few(tmp_path):
    async def story(scene):
        scene.ears.free.clear()
        for number in range(6):
            for _ in range(3):
                scene.desk.ask(f"a{number}", scene.session, "who_made", json.dumps({"sources": SOURCES}))
        await asyncio.sleep(0)
        scene.ears.free.set()
        await scene.desk.settled()
        assert len(scene.ears.asked) == 6
        assert scene.ears.most_at_once <= 2
        assert all(scene.ardour.answer(f"a{number}") for number in range(6))

    run(tmp_path, story)


def test_more_asks_than_anybody_has_are_left_out(tmp_path, caplog):
    async def story(scene):
        for number in range(500):
            scene.desk.ask(f"a{number}", scene.session, "ping", "{}")
        assert len(scene.desk._running) == 200
        await scene.desk.settled()
        assert scene.answers.given == 200

    run(tmp_path, story)
    assert "left out" in caplog.text


def test_a_session_that_is_not_there_gets_no_answer_and_no_folder(tmp_path, caplog):
    async def story(scene):
        for path in ("/nowhere", "/dev/null", "/a\0b", "/songs/\ud800"):
            scene.desk.ask("a1", path, "ping", "{}")
            await scene.desk.settled()
        assert scene.answers.not_given == 4
        assert not scene.ardour.folder.parent.exists()

    run(tmp_path, story)
    assert "no such folder" in caplog.text


def test_an_answer_that_cannot_be_written_is_counted(tmp_path):
    async def story(scene):
        assert (await scene.ask("ping"))["ok"]
        (scene.ardour.folder / "answer.a1").mkdir()
        scene.desk.ask("a1", scene.session, "ping", "{}")
        await scene.desk.settled()
        assert scene.answers.not_given == 1

    run(tmp_path, story)


@contextlib.asynccontextmanager
async def listening(scene):
    async with osc_scene(scene.door, desk=scene.desk) as osc:
        yield osc


def request(scene, **fields):
    base = {"prompt": "dusty drums", "session": {"path": scene.session}, "request_id": "r1"}
    return message("/dgx/generate", "s", json.dumps({**base, **fields}))


def test_a_request_by_osc_is_answered_in_the_spool_too(tmp_path):
    async def story(scene):
        async with listening(scene) as osc:
            osc.peer.send(request(scene, takes=2))
            accepted = await osc.peer.receive()
            await scene.desk.settled()
            answer = scene.ardour.answer("r1")
            assert answer == {
                "ok": True, "job_id": accepted[2], "place": 0, "eta_s": 1.5, "engine": "sketch", "takes": 2,
                "duplicate": False,
            }  # fmt: skip
            osc.peer.send(request(scene, takes=2))
            await osc.peer.receive()
            await scene.desk.settled()
            assert scene.ardour.answer("r1")["duplicate"]
            osc.peer.send(request(scene, request_id="r2", bpm=9999, bars="x"))
            assert (await osc.peer.receive())[0] == "/dgx/error"
            await scene.desk.settled()
            assert len(scene.ardour.answer("r2")["problems"]) == 2

    run(tmp_path, story)


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": "../x"},
        {"request_id": None},
        {"session": None},
        {"session": {"path": "relative"}},
        {"session": {"path": 3}},
        {"session": "/songs"},
        {"request_id": 7},
    ],
)
def test_who_cannot_be_a_script_is_answered_by_osc_alone(tmp_path, fields):
    async def story(scene):
        async with listening(scene) as osc:
            osc.peer.send(request(scene, **fields))
            await osc.peer.receive()
            await scene.desk.settled()
            assert scene.answers.given == scene.answers.not_given == 0

    run(tmp_path, story)


def test_asks_and_looks_come_in_by_osc(tmp_path):
    async def story(scene):
        looked = []
        scene.desk._courier.look = looked.append
        async with listening(scene) as osc:
            osc.peer.send(message("/dgx/ardour", "ssss", "a1", scene.session, "ping", "{}"))
            osc.peer.send(message("/dgx/look", "s", scene.session))
            assert await osc.peer.nothing_more()
            await scene.desk.settled()
            assert scene.ardour.answer("a1")["ok"]
            assert looked == [scene.session]
            osc.peer.send(message("/dgx/ardour", "ssss", "../a", scene.session, "ping", "{}"))
            assert (await osc.peer.receive())[:2] == ("/dgx/error", "bad_request")
            osc.peer.send(message("/dgx/look", "s", "relative"))
            assert (await osc.peer.receive())[:2] == ("/dgx/error", "bad_request")

    run(tmp_path, story)


def test_where_it_is_switched_off_the_sender_is_told():
    async def main():
        async with osc_scene() as osc:
            for sent in (
                message("/dgx/ardour", "ssss", "a", "/s", "ping", "{}"),
                message("/dgx/look", "s", "/s"),
            ):
                osc.peer.send(sent)
                address, code, said, _ = await osc.peer.receive()
                assert (address, code) == ("/dgx/error", "bad_config")
                assert "ardour.enabled" in said

    asyncio.run(main())
