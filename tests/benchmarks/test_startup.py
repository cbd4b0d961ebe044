"""How soon the daemon is ready, and how much memory it then has; printed, never judged.

Times are also given as ratios to importing the same libraries in a bare Python, on this machine, in the same
minute. Bytecode is compiled first, as an installation has it.
"""

from __future__ import annotations

import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.daemon import COMMAND, installation

pytestmark = pytest.mark.benchmark

RUNS = 7
LIBRARIES = "import sqlalchemy, pydantic, pythonosc, watchdog"


def median_s(times_s):
    return statistics.median(times_s), min(times_s), max(times_s)


def bare_import_s(environ):
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", LIBRARIES], env=environ, check=True)
    return time.monotonic() - began_s


def memory_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def start(here, systemd):
    """Return seconds from the start of the process to READY=1, and its memory then and a little later, in MiB."""
    began_s = time.monotonic()
    daemon = subprocess.Popen([COMMAND, "daemon"], env=here.environ, stderr=subprocess.DEVNULL)
    try:
        assert systemd.recv(4096).startswith(b"READY=1")
        took_s = time.monotonic() - began_s
        at_once = memory_mib(daemon.pid)
        time.sleep(1.0)  # upkeep is loaded after the daemon is ready
        return took_s, at_once, memory_mib(daemon.pid)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)


def test_time_to_ready_and_memory_at_rest(tmp_path, capsys):
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    with (
        installation(tmp_path / "home", {**bytecode, "NOTIFY_SOCKET": str(tmp_path / "notify")}) as here,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.settimeout(60)
        systemd.bind(str(tmp_path / "notify"))

        def one():
            found = start(here, systemd)
            while b"STOPPING=1" not in systemd.recv(4096):
                pass
            return found

        first = one()  # makes the database, and compiles
        bare_import_s(here.environ)
        bare, runs = [], []
        for _ in range(RUNS):
            bare.append(bare_import_s(here.environ))
            runs.append(one())
    ready, low, high = median_s([run[0] for run in runs])
    reference = statistics.median(bare)
    with capsys.disabled():
        print(
            f"\nready after {ready:.2f} s (median of {RUNS}, {low:.2f} to {high:.2f}; {first[0]:.2f} s the first time,"
            f" with compiling and a new database)\n"
            f"  that is {ready / reference:.2f} times a Python that does '{LIBRARIES}' ({reference:.2f} s)\n"
            f"memory when ready {statistics.median(run[1] for run in runs):.1f} MiB,"
            f" a second later {statistics.median(run[2] for run in runs):.1f} MiB"
        )
