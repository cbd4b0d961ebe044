"""`kill -9` at any instant: every job that was accepted completes, once, and nothing else is left behind.

`DGX_MUSIC_KILL_SEED` chooses other instants.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from support.daemon import OscSender

SEED = int(os.environ.get("DGX_MUSIC_KILL_SEED", "1"))
KILLS = 30
JOBS = 20
LONGEST_WAIT_S = 4.0
STAGES = (
    ("claimed", "queued"),
    ("step", "generating"),
    ("step", "finishing"),
    ("takes_recorded", "saving"),
    ("completed", "completed"),
)
"""Events (kind and step) that a kill may follow at once; some of what comes next takes only milliseconds."""


def requests():
    """Twenty requests: by file, by OSC and by command; one to three takes; every other with a session."""
    rng = random.Random(SEED)
    for number in range(JOBS):
        fields = {"prompt": f"job {number}", "takes": rng.randint(1, 3), "make_session": number % 2 == 0}
        if rng.random() < 0.5:
            fields |= {"engine": "sketch", "bpm": 120, "bars": rng.randint(1, 2)}
        else:
            fields |= {"engine": "test-noise", "duration": rng.choice([0.5, 2, 5])}
        yield ("drop", "osc", "cli")[number % 3], fields


def send_by_osc(here, fields, request_id):
    text = json.dumps({**fields, "request_id": request_id})
    while True:
        try:
            with OscSender(here.osc) as sender:
                sender.send("/dgx/generate", text)
                if (heard := sender.receive(1.0)) is not None:
                    assert heard[0] == "/dgx/accepted", heard
                    return
        except (OSError, ValueError, TypeError):  # no daemon, or none that listens yet
            time.sleep(0.05)


def send_by_command(here, fields, request_id):
    options = ["--session"] if fields["make_session"] else []
    for name in ("takes", "engine", "bpm", "bars", "duration"):
        options += [f"--{name}", fields[name]] if name in fields else []
    command = ["generate", fields["prompt"], *options, "--request-id", request_id, "--no-wait"]
    while (done := here.run(*command, check=False)).returncode == 3:  # no daemon answered
        pass
    assert done.returncode == 0, done.stderr


class Submissions(threading.Thread):
    """Sends the requests, spread over the time of the kills, each until it is accepted."""

    def __init__(self, here):
        super().__init__()
        self._here = here
        self.kills = 0
        self.error = None

    def run(self):
        rng = random.Random(SEED)
        try:
            for number, (surface, fields) in enumerate(requests()):
                self._here.await_(lambda due=number * KILLS / JOBS - 3: self.kills >= due, 300)
                time.sleep(rng.random() * 0.5)
                if surface == "drop":
                    self._here.drop(f"job {number}.json", json.dumps(fields))
                elif surface == "osc":
                    send_by_osc(self._here, fields, f"osc-{number}")
                else:
                    send_by_command(self._here, fields, f"cli-{number}")
        except BaseException as err:
            self.error = err
            raise


def await_next(here, stage, patience_s):
    """Wait until some job comes to a stage; gives up after a while."""
    seen = "SELECT coalesce(max(id), 0) FROM events WHERE kind = ? AND step = ?"
    before = here.query(seen, *stage)
    until = time.monotonic() + patience_s
    while time.monotonic() < until and here.query(seen, *stage) == before:
        time.sleep(0.001)


def kill(here, whom):
    """Kill the worker or the daemon; a daemon is started again at once."""
    if whom == "worker":
        with contextlib.suppress(psutil.NoSuchProcess):
            workers = here.workers()
            if workers:
                workers[0].kill()
                return
    here.daemon.kill()
    here.daemon.wait()
    here.start(wait=False)


@pytest.mark.slow
def test_nothing_is_lost_doubled_or_left_behind_by_thirty_kills(here, capsys):
    rng = random.Random(SEED)
    here.environ["DGX_MUSIC__ENGINE__MAX_ATTEMPTS"] = "1000"
    here.start()
    submissions = Submissions(here)
    submissions.start()
    hit = Counter()
    for number in range(KILLS):
        if number % 2:
            stage = rng.choice(STAGES)
            await_next(here, stage, LONGEST_WAIT_S)
            time.sleep(rng.random() * 0.01)
        else:
            time.sleep(rng.random() * LONGEST_WAIT_S)
        whom = rng.choice(["daemon", "worker"])
        running = here.query("SELECT step FROM jobs WHERE state = 'processing'")
        kill(here, whom)
        hit[f"{whom} at {running[0][0] if running else 'rest'}"] += 1
        submissions.kills = number + 1
    submissions.join(300)
    assert submissions.error is None
    here.await_(lambda: here.states().get("completed") == JOBS, 300)
    here.await_(lambda: len(list((here.inbox / "done").glob("*.receipt.json"))) == len(range(0, JOBS, 3)))
    here.await_(lambda: not any((here.inbox / "processing").iterdir()))
    attempts = here.query("SELECT sum(attempts) FROM jobs")[0][0]
    assert here.stop() == 0

    assert here.states() == {"completed": JOBS}
    wanted = {fields["prompt"]: fields for _, fields in requests()}
    jobs = here.query("SELECT id, req_prompt, req_takes, req_engine, session_path FROM jobs")
    assert Counter(prompt for _, prompt, *_ in jobs) == Counter(wanted.keys())
    files = here.query("SELECT job_id, final, sha256 FROM files JOIN takes ON takes.id = take_id")
    for _, final, sha256 in files:
        assert hashlib.sha256((here.library / final).read_bytes()).hexdigest() == sha256
    sessions = []
    for job_id, prompt, takes, engine, session in jobs:
        assert (takes, engine) == (wanted[prompt]["takes"], wanted[prompt]["engine"])
        made = here.query('SELECT "index" FROM takes WHERE job_id = ? ORDER BY "index"', job_id)
        assert made == [(index,) for index in range(takes)]
        assert (session is not None) == wanted[prompt]["make_session"]
        if session:
            sessions.append(Path(session).parent)
            assert here.json("inspect", session)["findings"] == []

    # Nothing else: no partial file, no half-built session, no take of an attempt that died.
    days = {(here.library / final).parent for _, final, _ in files}
    assert {path for day in days for path in day.iterdir()} == {
        *(here.library / final for _, final, _ in files),
        *sessions,
    }
    assert {path for path in here.library_files() if path.startswith(".staging")} == set()
    dropped = [f"job {number}.json" for number in range(0, JOBS, 3)]
    expected = sorted(name + suffix for name in dropped for suffix in ("", ".receipt.json"))
    assert sorted(path.name for path in (here.inbox / "done").iterdir()) == expected
    assert {path.name for path in here.inbox.iterdir()} == {"done", "failed", "processing"}
    assert list((here.inbox / "failed").iterdir()) == []
    with capsys.disabled():
        print(f"\nseed {SEED}: {JOBS} jobs, {attempts} attempts; kills: {dict(sorted(hit.items()))}")


@pytest.mark.slow
def test_saving_goes_on_after_a_crash_at_any_of_its_steps(tmp_path):
    """Publishing takes milliseconds, which random kills seldom meet; here each of its steps meets one."""
    shown = subprocess.run(
        [sys.executable, "-m", "support.crash_while_publishing", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert int(shown.stdout) > 30
