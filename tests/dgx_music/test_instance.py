from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from dgx_music.errors import InstanceRunningError
from dgx_music.instance import InstanceLock, find_running
from support.core import paths_in

HOLDER = """
import sys
from dgx_music.instance import InstanceLock
from dgx_music.paths import Paths
lock = InstanceLock(Paths.find({"DGX_MUSIC_HOME": sys.argv[1]}), "daemon")
lock.acquire()
lock.record(osc_host="127.0.0.1", osc_port=7400, version="1")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_with_the_firsts_pid(tmp_path, holder):
    with pytest.raises(InstanceRunningError, match=f"daemon, pid {holder.pid}"):
        InstanceLock(paths_in(tmp_path), "daemon").acquire()


def test_the_holder_is_found_with_its_address(tmp_path, holder):
    found = find_running(paths_in(tmp_path))
    assert (found.pid, found.role, found.osc_host, found.osc_port) == (
        holder.pid,
        "daemon",
        "127.0.0.1",
        7400,
    )


def test_the_lock_of_a_killed_process_is_free_and_its_record_not_believed(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert paths_in(tmp_path).runtime_file.exists()
    assert find_running(paths_in(tmp_path)) is None
    with InstanceLock(paths_in(tmp_path), "daemon"):
        assert find_running(paths_in(tmp_path)).pid == os.getpid()
    assert find_running(paths_in(tmp_path)) is None


def test_nobody_is_found_where_nothing_ever_ran(tmp_path):
    assert find_running(paths_in(tmp_path)) is None


def test_a_look_by_another_process_does_not_keep_the_daemon_from_starting(tmp_path):
    """Every `status` holds the lock for an instant; a start in that instant tries again."""
    paths = paths_in(tmp_path)
    enough = threading.Event()

    def look():
        while not enough.is_set():
            find_running(paths)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):
            with InstanceLock(paths, "daemon"):
                pass
    finally:
        enough.set()
        looking.join()
