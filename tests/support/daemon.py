"""Runs the installed `dgx-music` command, and the daemon, in a folder of a test's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

COMMAND = str(Path(sys.executable).with_name("dgx-music"))
ENGINES = Path(__file__).with_name("engines")
"""For PYTHONPATH: engines that misbehave, and one that is quick (`test-noise`)."""


class Installation:
    """One `DGX_MUSIC_HOME`, its daemon and its commands."""

    def __init__(self, home, environ=None):
        self.home = Path(home)
        outside = {name: value for name, value in os.environ.items() if not name.startswith("DGX_MUSIC_")}
        own = {"DGX_MUSIC_HOME": str(home), "DGX_MUSIC__OSC__PORT": "0"}
        self.environ = {**outside, **own, **(environ or {})}
        self.daemon = None

    @property
    def inbox(self):
        return self.home / "inbox"

    @property
    def library(self):
        return self.home / "library"

    @property
    def osc(self):
        record = json.loads((self.home / "state" / "daemon.json").read_text())
        return record["osc_host"], record["osc_port"]

    def run(self, *arguments, timeout=120, check=True):
        """Run a command to its end; returns the completed process."""
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def start(self, wait=True):
        """Start the daemon; returns when it says that it is ready."""
        log = (self.home.parent / f"{self.home.name}.log").open("ab")
        began = self.log_size()
        self.daemon = subprocess.Popen([COMMAND, "daemon"], env=self.environ, stderr=log, stdout=log)
        log.close()
        if wait:
            self.await_(lambda: "ready: OSC" in self.log()[began:] or self.daemon.poll() is not None, 60)
            assert self.daemon.poll() is None, self.log()[began:]

    def spawn(self, *arguments):
        """Start a command and leave it running."""
        command = [COMMAND, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def workers(self):
        """The daemon's worker processes, as psutil knows them."""
        return psutil.Process(self.daemon.pid).children()

    def drop(self, name, text):
        """Copy a file into the drop folder as a file manager does; returns its place there."""
        original = self.home.parent / f"originals-{self.home.name}" / name
        original.parent.mkdir(exist_ok=True)
        original.write_text(text)
        subprocess.run(["cp", original, self.inbox / name], check=True)
        return self.inbox / name

    def log_size(self):
        return len(self.log())

    def log(self):
        path = self.home.parent / f"{self.home.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self, number=signal.SIGTERM):
        """Stop the daemon by a signal; returns its exit status."""
        self.daemon.send_signal(number)
        status = self.daemon.wait(30)
        self.daemon = None
        return status

    def query(self, sql, *values):
        """Look into the database, as an admin with `sqlite3` would."""
        with closing(
            sqlite3.connect(f"file:{self.home / 'jobs.sqlite'}?mode=ro", uri=True, timeout=10)
        ) as db:
            return db.execute(sql, values).fetchall()

    def sqlite3(self, sql):
        """Ask SQLite's own command-line program; returns the rows as objects."""
        command = ["sqlite3", "-readonly", "-json", self.home / "jobs.sqlite", sql]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return json.loads(said or "[]")

    def state(self, job_id):
        [[state]] = self.query("SELECT state FROM jobs WHERE id = ?", job_id)
        return state

    def states(self):
        return dict(self.query("SELECT state, count(*) FROM jobs GROUP BY state"))

    def await_state(self, job_id, state, timeout_s=60):
        self.await_(lambda: self.state(job_id) == state, timeout_s)

    def await_(self, condition, timeout_s=60):
        """Wait until a condition of the outside world holds; polls, since it cannot be awaited across processes."""
        until = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until, f"still not so after {timeout_s} s\n{self.log()[-3000:]}"
            time.sleep(0.02)

    def library_files(self):
        if not self.library.exists():
            return []
        return sorted(
            str(path.relative_to(self.library)) for path in self.library.rglob("*") if path.is_file()
        )


@contextmanager
def installation(home, environ=None):
    """An installation whose daemon, if one was started, is ended with the test."""
    made = Installation(home, environ)
    try:
        yield made
    finally:
        if made.daemon is not None and made.daemon.poll() is None:
            made.daemon.kill()
            made.daemon.wait()


class OscSender:
    """Somebody's UDP socket that sends OSC and hears the answers; read and written by python-osc."""

    def __init__(self, address):
        self._address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heard = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, address, *values):
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        self.send_raw(builder.build().dgram)

    def send_raw(self, data):
        self.socket.sendto(data, self._address)

    def receive(self, timeout_s):
        """Return the next answer, its address and values in one tuple; `None` if there is none in time."""
        self.socket.settimeout(timeout_s)
        try:
            found = OscMessage(self.socket.recv(65_536))
        except (TimeoutError, BlockingIOError):
            return None
        self.heard.append((found.address, *found.params))
        return self.heard[-1]

    def until(self, address, timeout_s=60):
        """Read answers up to one from this address, which is returned."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            found = self.receive(left_s)
            if found is not None and found[0] == address:
                return found
        raise AssertionError(f"no {address} within {timeout_s} s; heard {self.heard[-20:]}")
