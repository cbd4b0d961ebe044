from __future__ import annotations

import os
import socket

import pytest

from dgx_music.systemd import Notifier


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    """A socket that listens as systemd does, and the address by which it is told."""
    address = str(tmp_path / "notify") if request.param == "file" else f"\0dgx-music-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        sock.settimeout(5)
        yield sock, address.replace("\0", "@")


def test_what_is_said_arrives(manager):
    sock, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("listening")
    assert sock.recv(1000) == b"READY=1\nSTATUS=listening"
    notifier.alive()
    assert sock.recv(1000) == b"WATCHDOG=1"
    notifier.stopping()
    assert sock.recv(1000) == b"STOPPING=1"


def test_the_watchdog_is_fed_twice_as_often_as_systemd_asks():
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_interval_s == 15
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_interval_s == 15


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed():
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog_interval_s is None
    assert Notifier({}).watchdog_interval_s is None


def test_without_systemd_and_after_it_has_gone_nothing_happens(tmp_path):
    Notifier({}).ready("x")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()
