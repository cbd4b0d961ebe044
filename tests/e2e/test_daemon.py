"""The installed daemon, asked from all sides, stopped, killed and started again."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess

import psutil
import pytest

from dgx_music.surfaces.dropfolder.names import RECEIPT_SUFFIX
from support.daemon import OscSender

NOISE = {"engine": "test-noise", "duration": 0.5}
needs_liblo = pytest.mark.skipif(
    shutil.which("oscsend") is None, reason="oscsend (liblo-tools) is not installed"
)
needs_sqlite3 = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")


def generate(sender, prompt="noise", **fields):
    """Send a request and return the job's id."""
    sender.send("/dgx/generate", json.dumps({"prompt": prompt, **NOISE, **fields}))
    return sender.until("/dgx/accepted")[2]


@pytest.fixture
def paused(shared):
    """The shared daemon with its queue at a standstill; it goes on afterwards."""
    shared.run("pause")
    yield shared
    shared.run("resume")


# -- from prompt to file ---------------------------------------------------------------------------------------


@needs_liblo
@needs_sqlite3
def test_oscsend_makes_a_job_whose_every_trace_sqlite3_shows(shared, sender):
    words = ["dusty drums, 120 bpm", "bars", "1", "takes", "2", "seed", "7", "engine", "sketch"]
    host, port = shared.osc
    tags = ["ssisisisssi", *words, "reply_port", str(sender.port)]
    subprocess.run(["oscsend", host, str(port), "/dgx/generate", *tags], check=True)
    _, request_id, job_id, place, _eta_s, engine = sender.until("/dgx/accepted")
    assert (request_id, place, engine) == (job_id, 0, "sketch")
    done = [sender.until("/dgx/done"), sender.until("/dgx/done")]

    [job] = shared.sqlite3(f"SELECT * FROM jobs WHERE id = '{job_id}'")
    assert (job["state"], job["source_surface"], job["attempts"]) == ("completed", "osc", 1)
    assert (job["req_prompt"], job["req_bars"], job["req_bpm"]) == (words[0], 1, 120.0)
    assert (job["req_takes"], job["req_seed"], job["req_engine"]) == (2, 7, "sketch")
    events = shared.sqlite3(f"SELECT kind, step FROM events WHERE job_id = '{job_id}' ORDER BY id")
    kinds = [event["kind"] for event in events]
    assert (kinds[:2], kinds[-2:]) == (["accepted", "claimed"], ["takes_recorded", "completed"])
    assert {event["step"] for event in events if event["kind"] == "step"} >= {"generating", "finishing"}
    takes = shared.sqlite3(
        "SELECT takes.*, files.final, files.sha256 FROM takes JOIN files ON files.take_id = takes.id"
        f" WHERE job_id = '{job_id}' AND stem IS NULL ORDER BY \"index\""
    )
    assert [(take["index"], take["seed"]) for take in takes] == [(0, 7), (1, 8)]
    for take, (_, told_job, index, path, made_by, count) in zip(takes, done, strict=True):
        assert (told_job, index, made_by, count) == (job_id, take["index"], "sketch", 2)
        assert path == str(shared.library / take["final"])
        said = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
        assert said.split()[0] == take["sha256"]
        assert take["true_peak_dbtp"] <= -1
        # Drums alone may have peaks too high for the wanted loudness; then the row says so.
        reached = take["loudness_lufs"] == pytest.approx(-16, abs=0.1)
        assert reached == (take["level_outcome"] == "on_target")
        assert take["frames"] == 96_000


def test_the_sender_hears_accepted_progress_and_done_in_this_order(shared, sender):
    job_id = generate(sender)
    sender.until("/dgx/done")
    addresses = [heard[0] for heard in sender.heard]
    assert addresses[0] == "/dgx/accepted"
    assert addresses[-1] == "/dgx/done"
    assert set(addresses[1:-1]) == {"/dgx/progress"}
    progress = [heard for heard in sender.heard if heard[0] == "/dgx/progress"]
    assert {heard[1] for heard in progress} == {job_id}
    assert [heard[2] for heard in progress] == sorted(heard[2] for heard in progress)


@needs_sqlite3
def test_a_copied_file_makes_a_job_and_ends_beside_its_receipt(shared):
    dropped = shared.drop("warm.json", json.dumps({"prompt": "warm noise", "takes": 2, "seed": 3, **NOISE}))
    receipt = shared.inbox / "done" / f"warm.json{RECEIPT_SUFFIX}"
    taken = shared.inbox / "done" / "warm.json"
    shared.await_(lambda: receipt.exists() and taken.exists())
    assert not dropped.exists()
    [told] = json.loads(receipt.read_text())["jobs"]
    [job] = shared.sqlite3(f"SELECT * FROM jobs WHERE id = '{told['job_id']}'")
    assert (job["state"], job["source_surface"], job["req_prompt"]) == ("completed", "drop", "warm noise")
    measured = shared.sqlite3(
        f"SELECT seed, loudness_lufs, true_peak_dbtp, final FROM takes JOIN files ON take_id = takes.id"
        f" WHERE job_id = '{job['id']}' ORDER BY \"index\""
    )
    assert [
        (take["seed"], take["loudness_lufs"], take["true_peak_dbtp"], take["path"]) for take in told["takes"]
    ] == [
        (row["seed"], row["loudness_lufs"], row["true_peak_dbtp"], str(shared.library / row["final"]))
        for row in measured
    ]


def test_a_file_that_cannot_be_understood_ends_in_failed_with_the_reason(shared):
    shared.drop("odd.json", '{"prompt": "noise", "tempo": 93}')
    reason = shared.inbox / "failed" / "odd.json.error.txt"
    shared.await_(lambda: reason.exists() and (shared.inbox / "failed" / "odd.json").exists())
    assert "tempo" in reason.read_text()


# -- the command line ------------------------------------------------------------------------------------------


def test_generate_is_done_by_the_daemon_and_shown_by_status_and_history(shared):
    made = shared.json("generate", "noise", "--engine", "test-noise", "--duration", 0.5, "--takes", 2)
    assert (made["status"], made["engine"], len(made["takes"])) == ("completed", "test-noise", 2)
    assert f"{made['job_id']}: attempt 1" in shared.log()  # the daemon's own words
    shown = shared.json("status", made["job_id"])
    assert shown["takes"] == made["takes"]
    assert [event["kind"] for event in shown["events"]][-1] == "completed"
    assert shared.json("history", "--limit", 1)[0]["job_id"] == made["job_id"]
    told = shared.json("status")
    assert (told["daemon"]["running"], told["daemon"]["pid"]) == (True, shared.daemon.pid)


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["generate", "noise", "--engine", "test-refuses"], 1, "engine"),
        (["generate", "noise", "--takes", 99], 2, "bad_request"),
        (["generate", " "], 2, "bad_request"),
        (["generate", "noise", "--engine", "test-unusable"], 2, "engine_unavailable"),
        (["status", "gen_000000000000"], 2, "job_not_found"),
        (["cancel", "gen_000000000000"], 2, "job_not_found"),
    ],
)
def test_what_goes_wrong_has_its_exit_code_and_word(shared, arguments, status, code):
    done = shared.run(*arguments, "--json", check=False)
    assert done.returncode == status, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == code
    spoken = shared.run(*arguments, check=False)
    assert (spoken.returncode, spoken.stdout) == (status, "")
    assert "dgx-music: " in spoken.stderr


def test_wrong_use_of_the_command_line_ends_with_2(shared):
    assert shared.run("generate", "noise", "--bars", "four", check=False).returncode == 2


def test_a_waiting_job_is_cancelled(paused, sender):
    job_id = generate(sender)
    assert [job["job_id"] for job in paused.json("queue")] == [job_id]
    assert paused.json("cancel", job_id)["status"] == "cancelled"
    assert sender.until("/dgx/cancelled")[1] == job_id
    assert paused.json("queue") == []
    assert paused.json("cancel", job_id)["status"] == "cancelled"  # asked again: still so


def test_a_finished_job_cannot_be_cancelled(shared, sender):
    job_id = generate(sender)
    sender.until("/dgx/done")
    refused = shared.run("cancel", job_id, "--json", check=False)
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (1, "job_state")


def test_a_running_job_is_cancelled_and_the_waiting_command_says_so(shared):
    before = shared.library_files()
    waiting = shared.spawn("generate", "slow", "--engine", "test-slow", "--json")
    shared.await_(lambda: any(job["current_step"] == "generating" for job in shared.json("queue")))
    [job] = shared.json("queue")
    assert job["status"] == "processing"
    shared.run("cancel", job["job_id"])
    said, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, json.loads(said)["error"]["code"]) == (1, "cancelled")
    assert shared.state(job["job_id"]) == "cancelled"
    assert shared.library_files() == before


def test_an_interrupted_command_takes_its_job_along(shared):
    waiting = shared.spawn("generate", "slow", "--engine", "test-slow")
    shared.await_(lambda: any(job["current_step"] == "generating" for job in shared.json("queue")))
    [job] = shared.json("queue")
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    shared.await_state(job["job_id"], "cancelled")


def test_a_paused_queue_takes_jobs_and_starts_them_in_order_when_resumed(paused):
    first = paused.json("generate", "one", "--engine", "test-noise", "--duration", 0.5, "--no-wait")
    urgent = ["--priority", 5, "--no-wait"]
    second = paused.json("generate", "two", "--engine", "test-noise", "--duration", 0.5, *urgent)
    assert (first["place"], second["place"]) == (0, 0)
    assert [job["request"]["prompt"] for job in paused.json("queue")] == ["two", "one"]
    assert paused.json("status")["paused"] is True
    assert paused.json("resume") == {"paused": False}
    paused.await_state(first["job_id"], "completed")
    ends = "SELECT id FROM jobs WHERE id IN (?, ?) ORDER BY finished_at"
    assert paused.query(ends, first["job_id"], second["job_id"]) == [(second["job_id"],), (first["job_id"],)]


def test_a_request_sent_twice_is_done_once_and_answered_twice(shared, sender):
    first = generate(sender, request_id="the same")
    sender.until("/dgx/done")
    assert generate(sender, request_id="the same") == first
    assert sender.until("/dgx/done")[1] == first
    assert shared.query("SELECT count(*) FROM jobs WHERE request_id = 'the same'") == [(1,)]


def test_a_daemon_that_does_not_answer_is_unreachable(shared):
    shared.daemon.send_signal(signal.SIGSTOP)
    try:
        done = shared.run("pause", "--json", check=False)
    finally:
        shared.daemon.send_signal(signal.SIGCONT)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (3, "daemon_unreachable")
    shared.run("resume")  # the pause was in the socket and has been heard meanwhile


# -- what must not disturb it ----------------------------------------------------------------------------------


def test_malformed_packets_disturb_nobody(shared, sender):
    rng = random.Random(5)
    good = b"/dgx/generate\0\0\0,s\0\0noise\0\0\0"
    for length in range(len(good)):
        sender.send_raw(good[:length])
    for _ in range(300):
        sender.send_raw(rng.randbytes(rng.randrange(1, 600)))
        broken = bytearray(good)
        broken[rng.randrange(len(good))] = rng.randrange(256)
        sender.send_raw(b"#bundle\0" + rng.randbytes(12) + bytes(broken))
    sender.send_raw(b"\xff" * 65_507)
    sender.send("/dgx/ping")
    assert sender.until("/dgx/pong")[2] == shared.daemon.pid
    job_id = generate(sender)
    assert sender.until("/dgx/done")[1] == job_id
    assert "malformed packet" in shared.log()
    assert "Traceback" not in shared.log()


def test_a_second_daemon_on_the_same_state_refuses_and_names_the_first(shared, sender):
    second = shared.run("daemon", check=False)
    assert second.returncode == 1
    assert f"pid {shared.daemon.pid}" in second.stderr
    assert "DGX_MUSIC_HOME" in second.stderr
    sender.send("/dgx/ping")
    assert sender.until("/dgx/pong")[2] == shared.daemon.pid
    assert shared.json("status")["daemon"]["pid"] == shared.daemon.pid


# -- end and beginning -----------------------------------------------------------------------------------------


def test_sigterm_ends_in_order_and_the_next_daemon_takes_the_queue_up(running, tmp_path):
    mark = tmp_path / "mark"
    with OscSender(running.osc) as sender:
        slow = generate(sender, "slow", engine="test-slow")
        waiting = generate(sender, f"wait {mark}", engine="test-together")
        running.await_state(slow, "processing")
        running.await_state(waiting, "processing")
        [worker] = running.workers()
        assert running.stop(signal.SIGTERM) == 0
    assert not psutil.pid_exists(worker.pid)
    assert not (running.home / "state" / "daemon.json").exists()
    assert running.query("SELECT id, state FROM jobs ORDER BY seq") == [
        (slow, "pending"),
        (waiting, "pending"),
    ]
    assert "stopping" in running.log()
    told = running.json("status")
    assert (told["daemon"], told["jobs"]["pending"]) == ({"running": False}, 2)

    # Without a daemon the command works on the queue itself.
    assert running.json("cancel", slow)["status"] == "cancelled"
    mark.touch()
    running.start()
    running.await_state(waiting, "completed")
    assert running.states() == {"cancelled": 1, "completed": 1}


def test_a_killed_daemons_record_is_not_believed_and_its_worker_ends(running):
    with OscSender(running.osc) as sender:
        job_id = generate(sender, "slow", engine="test-slow")
    running.await_state(job_id, "processing")
    [worker] = running.workers()
    running.stop(signal.SIGKILL)
    record = running.home / "state" / "daemon.json"
    assert record.exists()
    assert running.json("status")["daemon"] == {"running": False}
    assert running.json("pause") == {"paused": True}  # in place, since nobody is asked
    running.await_(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    running.start()
    assert running.json("status")["daemon"]["pid"] == running.daemon.pid
    assert running.state(job_id) == "pending"
    assert [job["job_id"] for job in running.json("queue")] == [job_id]


def test_a_job_stored_while_nobody_ran_is_done_by_the_next_daemon(here):
    made = here.json("generate", "noise", "--engine", "test-noise", "--duration", 0.5, "--no-wait")
    here.start()
    here.await_state(made["job_id"], "completed")
    assert len(here.library_files()) == 1


@needs_sqlite3
def test_a_newer_database_is_refused_with_a_clear_word_and_left_alone(here):
    here.json("generate", "noise", "--engine", "test-noise", "--duration", 0.5, "--no-wait")
    database = here.home / "jobs.sqlite"
    newer = "UPDATE alembic_version SET version_num = '9999'; PRAGMA wal_checkpoint(TRUNCATE)"
    subprocess.run(["sqlite3", database, newer], check=True, capture_output=True)
    before = database.read_bytes()
    refused = here.run("daemon", check=False)
    assert refused.returncode == 1
    assert re.search(r"newer DGX Music \(schema 9999", refused.stderr)
    assert "Traceback" not in refused.stderr
    assert database.read_bytes() == before
    assert not (here.home / "state" / "daemon.json").exists()


def test_a_wrong_setting_is_named_and_nothing_starts(here):
    here.home.mkdir()
    (here.home / "config.toml").write_text("[osc]\nprot = 7400\n")
    refused = here.run("daemon", check=False)
    assert refused.returncode == 2
    assert "osc.prot" in refused.stderr
    assert not (here.home / "jobs.sqlite").exists()
