"""Runs the installed `dgx-music` command, and the daemon, in a folder of a test's own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("dgx-music"))


class Installation:
    """One `DGX_MUSIC_HOME`, its daemon and its commands."""

    def __init__(self, home, environ=None):
        self.home = Path(home)
        self.environ = {**os.environ, "DGX_MUSIC_HOME": str(home), "DGX_MUSIC__OSC__PORT": "0", **(environ or {})}
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
            [COMMAND, *map(str, arguments)], env=self.environ, capture_output=True, text=True, timeout=timeout, check=False
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
        with closing(sqlite3.connect(f"file:{self.home / 'jobs.sqlite'}?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(sql, values).fetchall()

    def states(self):
        return dict(self.query("SELECT state, count(*) FROM jobs GROUP BY state"))

    def await_(self, condition, timeout_s=60):
        """Wait until a condition of the outside world holds; polls, since it cannot be awaited across processes."""
        until = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until, f"still not so after {timeout_s} s\n{self.log()[-3000:]}"
            time.sleep(0.02)

    def library_files(self):
        if not self.library.exists():
            return []
        return sorted(str(path.relative_to(self.library)) for path in self.library.rglob("*") if path.is_file())


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
