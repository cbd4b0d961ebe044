"""What the daemon's process carries, and what it tells systemd."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from support.daemon import OscSender

HEAVY = {"torch", "librosa", "numba", "scipy", "llvmlite", "soxr", "pyloudnorm", "transformers", "audiocraft"}
"""What belongs into worker processes; never in the daemon."""
NOT_BEFORE_READY = {"numpy", "soundfile", "alembic", "lxml", "rich", "apscheduler"}
"""What may come with the first job that needs it, or with an upgrade, and must not delay the start."""

RUN_AND_TELL = """
import json, sys
import dgx_music.app

run_daemon = dgx_music.app.run_daemon

async def told(config, paths):
    def tell():
        print(json.dumps(sorted(sys.modules)), flush=True)
    await run_daemon(config, paths, on_ready=tell)
    tell()

dgx_music.app.run_daemon = told
sys.argv = ["dgx-music", "daemon"]
from dgx_music.cli import main
main()
"""
"""The installed command's own `main`; prints the loaded modules when ready and again after the end."""


def packages(line):
    return {name.partition(".")[0] for name in json.loads(line)}


def test_the_daemon_imports_nothing_heavy_for_its_start_nor_for_a_job_with_a_session(here):
    here.json("generate", "noise", "--engine", "test-noise", "--duration", 0.5, "--session", "--no-wait")
    with subprocess.Popen(
        [sys.executable, "-c", RUN_AND_TELL], env=here.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as daemon:
        at_ready = packages(daemon.stdout.readline())
        here.await_(lambda: here.states() == {"completed": 1})
        daemon.send_signal(signal.SIGTERM)
        rest, words = daemon.communicate(timeout=30)
    assert daemon.returncode == 0, words.decode()
    assert "sqlalchemy" in at_ready
    assert at_ready & (HEAVY | NOT_BEFORE_READY) == set()
    assert packages(rest) & HEAVY == set()
    [[session]] = here.query("SELECT session_path FROM jobs")
    assert here.json("inspect", session)["findings"] == []


class Systemd:
    """The service manager's end of the notification socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.heard = []

    def until(self, start, timeout_s=60):
        """Read messages up to one with a line that starts so; return it."""
        until = time.monotonic() + timeout_s
        while True:
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            self.heard.append(self.socket.recv(4096).decode())
            if any(line.startswith(start) for line in self.heard[-1].splitlines()):
                return self.heard[-1]

    def falls_silent(self):
        """Read what is in the socket already; say whether nothing follows it for a second."""
        self.socket.settimeout(1)
        try:
            self.heard += [self.socket.recv(4096).decode() for _ in range(10)]
        except TimeoutError:
            return True
        return False


@pytest.fixture
def systemd(tmp_path):
    made = Systemd(tmp_path / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def supervised(here, systemd, tmp_path):
    here.environ |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    here.start(wait=False)
    return here


def test_ready_is_said_when_requests_are_heard_and_kept(supervised, systemd):
    said = systemd.until("READY=1")
    assert systemd.heard == [said]  # nothing came before it
    host, port = supervised.osc
    assert f"STATUS=listening on osc.udp://{host}:{port}" in said
    with OscSender((host, port)) as sender:
        sender.send("/dgx/ping")
        assert sender.until("/dgx/pong", 10)[2] == supervised.daemon.pid
    assert supervised.query("SELECT count(*) FROM jobs") == [(0,)]
    assert (supervised.inbox / "processing").is_dir()


def test_the_watchdog_is_fed_on_and_on_also_while_a_job_runs(supervised, systemd):
    systemd.until("READY=1")
    with OscSender(supervised.osc) as sender:
        sender.send("/dgx/generate", json.dumps({"prompt": "slow", "engine": "test-slow"}))
        systemd.until("STATUS=gen_")
    fed_s = []
    while len(fed_s) < 10:
        systemd.until("WATCHDOG=1", 10)
        fed_s.append(time.monotonic())
    # Half of WATCHDOG_USEC each; a test machine may be late, but the daemon is never early.
    assert fed_s[-1] - fed_s[0] >= 9 * 0.2 * 0.8
    assert any("generating" in said for said in systemd.heard)


def test_a_frozen_daemon_feeds_no_watchdog(supervised, systemd):
    systemd.until("READY=1")
    systemd.until("WATCHDOG=1")
    supervised.daemon.send_signal(signal.SIGSTOP)
    try:
        assert systemd.falls_silent()
    finally:
        supervised.daemon.send_signal(signal.SIGCONT)
    systemd.until("WATCHDOG=1")


def test_stopping_is_said_first_of_all(supervised, systemd):
    systemd.until("READY=1")
    with OscSender(supervised.osc) as sender:
        sender.send("/dgx/generate", json.dumps({"prompt": "slow", "engine": "test-slow"}))
        systemd.until("STATUS=gen_")
    supervised.daemon.send_signal(signal.SIGTERM)
    systemd.until("STOPPING=1")
    assert supervised.daemon.wait(30) == 0
    supervised.daemon = None


def test_a_daemon_that_cannot_listen_never_says_ready(here, systemd, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        here.environ |= {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "DGX_MUSIC__OSC__PORT": str(taken.getsockname()[1]),
        }
        refused = here.run("daemon", check=False)
    assert refused.returncode == 2
    assert "osc.port" in refused.stderr
    systemd.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        systemd.socket.recv(4096)
