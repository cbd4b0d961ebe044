"""Ardour's part played with real files against the real daemon: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
import uuid

import pytest
from pythonosc.osc_message import OscMessage

from support.daemon import OscSender
from support.pretend_ardour import PretendArdour

pytestmark = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3 (apt install lua5.3)")


class Scene:
    """A daemon and an Ardour with one session open."""

    def __init__(self, here, tmp_path):
        self.here = here
        self.ardour = PretendArdour(here.home / "state" / "ardour", tmp_path / "songs" / "One & ü", self.tell)

    def tell(self, address, *values):
        """Send as Lua does: into the dark."""
        try:
            with OscSender(self.here.osc) as sender:
                sender.send(address, *values)
        except (OSError, ValueError):
            pass  # the daemon is away

    def ask_for_music(self, **fields):
        """Ask as the dialog does; return the id and the answer."""
        request_id = fields.pop("request_id", uuid.uuid4().hex)
        session = {"path": str(self.ardour.session), "position": 96_000, **fields.pop("session", {})}
        request = {"prompt": "noise", "duration": 0.5, "engine": "test-noise", **fields}
        self.tell("/dgx/generate", json.dumps({**request, "session": session, "request_id": request_id}))
        answer = self.await_answer(request_id)
        self.ardour.alive()  # as the hook does as soon as it finds the folder
        return request_id, answer

    def ask(self, command, **arguments):
        ask_id = uuid.uuid4().hex
        self.tell("/dgx/ardour", ask_id, str(self.ardour.session), command, json.dumps(arguments))
        return self.await_answer(ask_id)

    def await_answer(self, ask_id):
        self.here.await_((self.ardour.folder / f"answer.{ask_id}").exists, 30)
        return self.ardour.answer(ask_id)

    def claim(self):
        self.here.await_(self.ardour.next.exists, 180)
        return self.ardour.claim()

    def states(self):
        return [state for (state,) in self.here.query("SELECT state FROM deliveries ORDER BY seq")]

    def await_states(self, *states):
        self.here.await_(lambda: self.states() == list(states), 30)

    def kill(self):
        self.here.stop(signal.SIGKILL)


@pytest.fixture
def scene(running, tmp_path):
    return Scene(running, tmp_path)


def test_a_request_is_answered_delivered_landed_and_saved(scene):
    _, answer = scene.ask_for_music(takes=3, bpm=120)
    assert (answer["ok"], answer["takes"], answer["engine"]) == (True, 3, "test-noise")
    assert not answer["duplicate"]
    manifest = scene.claim()
    assert manifest["job"] == answer["job_id"]
    assert manifest["delivery"] == f"{answer['job_id']}-1"
    assert (manifest["format"], manifest["offer"], manifest["position"]) == (1, 1, 96_000)
    assert (manifest["sample_rate"], manifest["frames"]) == (48_000, 24_000)
    assert [take["frames"] for take in manifest["takes"]] == [24_000] * 3
    assert manifest["new_track"]
    assert scene.states() == ["offered"]
    scene.ardour.land(manifest)
    scene.await_states("landed")
    scene.here.await_(lambda: list((scene.ardour.folder / "audio").iterdir()) == [])
    scene.ardour.report("saved", snapshot="One")
    scene.ardour.tell("/dgx/look", str(scene.ardour.session))
    scene.await_states("saved")
    assert list(scene.ardour.folder.glob("report.*")) == []
    assert scene.ardour.folder.stat().st_mode & 0o777 == 0o700


def test_what_the_daemon_refuses_says_why_and_what_is_sent_twice_is_one_job(scene):
    _, refused = scene.ask_for_music(prompt="", bpm=9999)
    assert (refused["ok"], refused["code"]) == (False, "bad_request")
    assert len(refused["problems"]) == 2
    request_id, first = scene.ask_for_music()
    _, second = scene.ask_for_music(request_id=request_id)
    assert (second["job_id"], second["duplicate"]) == (first["job_id"], True)
    scene.ardour.land(scene.claim())
    scene.await_states("landed")
    assert scene.ardour.regions == [f"{first['job_id']}-1"]


@pytest.mark.parametrize("moment", ["accepted", "offered", "claimed", "placed", "reported", "done", "landed"])
def test_the_daemon_may_be_killed_at_every_moment(scene, moment):
    here, ardour = scene.here, scene.ardour
    if moment == "accepted":
        here.run("pause")
    _, answer = scene.ask_for_music()
    if moment == "accepted":
        scene.kill()
        here.start()
        here.run("resume")
    else:
        here.await_(ardour.next.exists, 180)
        steps = {
            "offered": lambda: None,
            "claimed": ardour.claim,
            "placed": lambda: ardour.place(ardour.take_up()),
            "reported": lambda: ardour.report("landed", ardour.take_up()),
            "done": ardour.taken.unlink,
        }
        for step, act in steps.items():
            if moment == step:
                scene.kill()
            act()
            if moment == step:
                here.start()
        if moment == "landed":
            ardour.tell("/dgx/look", str(ardour.session))
            scene.await_states("landed")
            scene.kill()
            here.start()
    if moment in ("accepted", "offered"):
        here.await_(lambda: ardour.next.exists() or ardour.regions, 180)
    if (manifest := ardour.claim()) is not None:
        ardour.land(manifest)
    scene.await_states("landed")
    assert ardour.regions == [f"{answer['job_id']}-1"]
    ardour.alive()
    scene.tell("/dgx/look", str(ardour.session))
    assert scene.ask("ping")["ok"]
    assert ardour.claim() is None


def test_ardour_may_end_between_claim_and_landing_and_begin_again_without_the_daemon(scene):
    _, answer = scene.ask_for_music()
    scene.claim()
    scene.kill()  # and Ardour with it
    manifest = scene.ardour.take_up()
    assert manifest["job"] == answer["job_id"]
    scene.ardour.land(manifest)  # nobody hears the look
    scene.here.start()
    scene.await_states("landed")
    assert scene.ardour.regions == [manifest["delivery"]]


def test_one_is_offered_at_a_time_and_in_the_order_of_completion(scene):
    jobs = [scene.ask_for_music(prompt=f"noise {number}")[1]["job_id"] for number in range(3)]
    landed = []
    for _ in jobs:
        manifest = scene.claim()
        assert not scene.ardour.next.exists()
        scene.ardour.land(manifest)
        landed.append(manifest["job"])
    scene.await_states("landed", "landed", "landed")
    assert sorted(landed) == sorted(jobs)
    completed = scene.here.query("SELECT job_id FROM deliveries ORDER BY seq")
    assert [(job,) for job in landed] == completed


def test_a_take_that_ardour_cannot_find_is_offered_three_times_each_under_another_path(scene):
    scene.ask_for_music()
    paths = []
    for offer in (1, 2, 3):
        manifest = scene.claim()
        assert manifest["offer"] == offer
        paths.append(manifest["takes"][0]["path"])
        scene.ardour.fail(manifest, "vanished")
    scene.await_states("failed")
    assert len(set(paths)) == 3
    [(code, message)] = scene.here.query("SELECT code, message FROM deliveries")
    assert code == "vanished"
    assert "as the test wants it" in message
    assert "offered 3 times" in message


@pytest.mark.parametrize(("damage", "code"), [("unlink", "vanished"), ("truncate", "damaged")])
def test_a_take_that_the_library_has_lost_fails_with_the_reason(scene, damage, code):
    scene.ask_for_music()
    manifest = scene.claim()
    [path] = [scene.here.library / name for name in scene.here.library_files()]
    if damage == "unlink":
        path.unlink()
    else:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-100])
    scene.ardour.fail(manifest, "vanished")
    scene.await_states("failed")
    assert scene.here.query("SELECT code FROM deliveries") == [(code,)]


def test_reports_of_nonsense_are_recorded_and_stop_nothing(scene):
    scene.ask_for_music()
    manifest = scene.claim()
    folder = scene.ardour.folder
    for number, content in enumerate(
        (b"", b"{", b"[]", b'{"kind": "flown"}', b'{"kind": "landed"}', b"\xff" * 100_000, b"[" * 50_000,
         b'{"kind": "landed", "delivery": "../../x"}', b'{"kind": "landed", "delivery": "gen_ffffffffffff-1"}')
    ):  # fmt: skip
        (folder / f"report.nonsense{number}").write_bytes(content)
    os.mkfifo(folder / "report.pipe")
    (folder / "report.link").symlink_to("/etc/passwd")
    scene.ardour.land(manifest)
    scene.await_states("landed")
    scene.here.await_(lambda: list(folder.glob("report.*")) == [])
    problems = [json.loads(line) for line in (folder / "problems").read_text().splitlines()]
    assert {problem["code"] for problem in problems} == {"nonsense"}
    assert sum(problem["count"] for problem in problems) == 11


def test_a_session_whose_folder_is_gone_keeps_its_delivery_until_it_is_back(scene):
    session = scene.ardour.session
    scene.here.run("pause")
    scene.ask_for_music()
    session.rename(session.with_name("elsewhere"))
    scene.here.run("resume")
    scene.here.await_(
        lambda: scene.here.query("SELECT state, code FROM deliveries") == [("waiting", "session")], 180
    )
    assert not session.exists()
    session.with_name("elsewhere").rename(session)
    scene.tell("/dgx/look", str(session))
    scene.ardour.land(scene.claim())
    scene.await_states("landed")


def test_a_spool_that_cannot_be_written_is_told_and_the_delivery_waits(scene):
    scene.here.run("pause")
    scene.ask_for_music()
    # A file where a folder belongs: that stops root as well.
    (scene.ardour.folder / "audio").write_text("in the way")
    scene.here.run("resume")
    scene.here.await_(
        lambda: scene.here.query("SELECT state, code FROM deliveries") == [("waiting", "spool")], 180
    )
    assert scene.ask("status")["deliveries"][0]["problem"]
    (scene.ardour.folder / "audio").unlink()
    scene.tell("/dgx/look", str(scene.ardour.session))
    scene.ardour.land(scene.claim())
    scene.await_states("landed")


def test_nothing_outside_of_the_spool_is_touched_whatever_is_asked(scene, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*") if "home" not in path.parts)
    session = str(scene.ardour.session)
    with OscSender(scene.here.osc) as sender:
        for ask_id in ("../evil", "a/b", "", "x" * 65, "a.b", "ü"):
            sender.send("/dgx/ardour", ask_id, session, "ping", "{}")
            assert sender.until("/dgx/error")[1] == "bad_request"
        for path in ("relative", "../..", "", "/" + "x" * 5000):
            sender.send("/dgx/ardour", "id", path, "ping", "{}")
            assert sender.until("/dgx/error")[1] == "bad_request"
            sender.send("/dgx/look", path)
            assert sender.until("/dgx/error")[1] == "bad_request"
        for path in ("/nowhere/at/all", f"{tmp_path}/songs/../../x", "/dev/null"):
            sender.send("/dgx/ardour", "id", path, "ping", "{}")
            sender.send("/dgx/look", path)
    assert scene.ask("ping")["ok"]
    spools = [path.name for path in (scene.here.home / "state" / "ardour").iterdir()]
    assert spools == [scene.ardour.folder.name]
    assert sorted(path for path in tmp_path.rglob("*") if "home" not in path.parts) == before


def test_the_desk_answers_ping_status_cancel_and_slips(scene):
    assert scene.ask("ping")["daemon"]
    scene.here.run("pause")
    _, first = scene.ask_for_music(prompt='say "no" to \\ drums', takes=2)
    status = scene.ask("status")
    assert (status["paused"], status["pending"], status["processing"]) == (True, 1, 0)
    [job] = status["jobs"]
    expected = {"job_id": first["job_id"], "prompt": 'say "no" to \\ drums', "state": "pending", "takes": 2}
    assert {name: job[name] for name in expected} == expected
    assert scene.ask("cancel", job_id=first["job_id"])["state"] == "cancelled"
    assert scene.ask("status")["jobs"] == []
    assert scene.ask("cancel", job_id="gen_0")["code"] == "job_not_found"
    assert "known are ping" in scene.ask("fly")["message"]
    assert "job_id" in scene.ask("cancel", job="x")["message"]


def test_fetch_offers_again_what_was_never_saved(scene):
    scene.ask_for_music()
    manifest = scene.claim()
    scene.ardour.land(manifest)
    scene.await_states("landed")
    assert scene.ask("fetch")["offered_again"] == 1
    again = scene.claim()
    assert (again["delivery"], again["offer"]) == (manifest["delivery"], 2)
    scene.ardour.land(again)
    scene.await_states("landed")
    assert scene.ardour.regions == [manifest["delivery"]]
    scene.ardour.report("saved", again)
    assert scene.ask("fetch")["offered_again"] in (0, 1)  # the report may be read after the ask


def test_a_region_tells_what_made_it_and_is_made_again_with_another_seed(scene):
    _, first = scene.ask_for_music(takes=2, seed=7, bpm=120)
    manifest = scene.claim()
    scene.ardour.land(manifest)
    (scene.ardour.session / "dgx-music.permissions").write_text("read = yes\n")
    audio = scene.ardour.session / "interchange" / "One & ü" / "audiofiles"
    audio.mkdir(parents=True)
    [path] = [scene.here.library / name for name in scene.here.library_files() if "_t2" in name]
    shutil.copy(path, audio / "take.wav")
    sources = [{"path": str(audio / "take.wav"), "channel": channel} for channel in (0, 1)]
    made = scene.ask("who_made", sources=sources)
    assert made["found"], made
    assert (made["job_id"], made["take"], made["seed"]) == (first["job_id"], 2, 8)
    again = scene.ask(
        "again", sources=sources, session={"path": str(scene.ardour.session), "position": 5, "track": "A"},
        replace={"position": 5, "length": 24_000, "name": "old"},
    )  # fmt: skip
    assert again["ok"], again
    manifest = scene.claim()
    assert manifest["job"] == again["job_id"] != first["job_id"]
    assert (manifest["position"], manifest["track"], len(manifest["takes"])) == (5, "A", 1)
    assert manifest["replace"] == {"position": 5, "length": 24_000, "name": "old"}
    request = json.loads(scene.here.query("SELECT request FROM jobs WHERE id = ?", again["job_id"])[0][0])
    assert (request["prompt"], request["bpm"], request["takes"]) == ("noise", 120, 1)
    assert request["seed"] not in (7, 8)


def test_what_nobody_fetched_within_an_hour_is_cleared_at_the_start(scene):
    scene.ask_for_music()
    scene.claim()
    folder = scene.ardour.folder
    old = time.time() - 3700
    for name in ("answer.old", "part.old", "memory"):
        (folder / name).write_text("return {}")
        os.utime(folder / name, (old, old))
    (folder / "answer.new").write_text("return {}")
    scene.kill()
    scene.here.start()
    scene.here.await_(lambda: not (folder / "answer.old").exists())
    scene.here.await_(lambda: not (folder / "part.old").exists())
    assert (folder / "answer.new").exists()
    assert (folder / "memory").exists()


def test_while_ardour_records_neural_jobs_wait_and_the_queue_says_so(here, tmp_path):
    here.environ["DGX_MUSIC__QUEUE__HOLD_WHILE_RECORDING"] = "true"
    here.start()
    scene = Scene(here, tmp_path)
    with OscSender(here.osc) as sender:
        sender.send("/dgx/transport", "recording")
        _, answer = scene.ask_for_music()
        sketch = scene.ask_for_music(engine="sketch", bars=1, bpm=120, duration=None)[1]

        def sketch_is_done():
            sender.send("/dgx/transport", "recording")  # Ardour's hook repeats it, too
            return here.state(sketch["job_id"]) == "completed"

        here.await_(sketch_is_done, 180)
        sender.send("/dgx/queue")
        _, _, pending, processing, *_, transport = sender.until("/dgx/queue")
        assert (pending, processing, transport) == (1, 0, "recording")
        sender.send("/dgx/transport", "stopped")
        here.await_state(answer["job_id"], "completed", 180)


def test_an_ardour_whose_osc_surface_is_on_is_told_at_once(here, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(180)
        here.environ["DGX_MUSIC__ARDOUR__OSC_PORT"] = str(ear.getsockname()[1])
        here.environ["DGX_MUSIC__ARDOUR__ARRIVAL_MARKER"] = "true"
        here.start()
        scene = Scene(here, tmp_path)
        (scene.ardour.session / "dgx-music.permissions").write_text("markers = yes\n")
        here.run("pause")
        scene.ask_for_music()
        here.run("resume")
        scene.claim()
        os.utime(scene.ardour.folder / "alive")
        # The job may have taken longer than the hook is believed to live: then nobody is told, and it is offered anew.
        scene.ardour.taken.unlink()
        scene.tell("/dgx/look", str(scene.ardour.session))
        message = OscMessage(ear.recv(4096))
        assert (message.address, *message.params) == ("/add_marker", "DGX Music: arrived")


def test_where_it_is_switched_off_nothing_is_made_for_ardour(here, tmp_path):
    here.environ["DGX_MUSIC__ARDOUR__ENABLED"] = "false"
    here.start()
    with OscSender(here.osc) as sender:
        sender.send("/dgx/ardour", "id", str(tmp_path), "ping", "{}")
        assert "ardour.enabled" in sender.until("/dgx/error")[2]
    assert not (here.home / "state" / "ardour").exists()
