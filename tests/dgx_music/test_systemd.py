from __future__ import annotations

import os
import socket

import pytest

from dgx_music.systemd import Notifier


@pytest.fixture
def systemd(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        yield listener


def test_each_word_of_the_protocol_is_one_datagram(systemd, tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    notifier.ready("listening")
    notifier.alive()
    notifier.status("half-way")
    notifier.stopping()
    heard = [systemd.recv(4096).decode() for _ in range(4)]
    assert heard == ["READY=1\nSTATUS=listening", "WATCHDOG=1", "STATUS=half-way", "STOPPING=1"]


def test_an_abstract_socket_is_found():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0dgx-music-test-{os.getpid()}")
        listener.settimeout(10)
        Notifier({"NOTIFY_SOCKET": f"@dgx-music-test-{os.getpid()}"}).alive()
        assert listener.recv(4096) == b"WATCHDOG=1"


def test_a_reader_that_has_stopped_reading_does_not_hold_the_daemon_up(systemd, tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    for number in range(5_000):  # the kernel keeps some hundreds at most
        notifier.status(str(number))
    assert systemd.recv(4096) == b"STATUS=0"


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_without_systemd_nothing_happens(address):
    Notifier({"NOTIFY_SOCKET": address}).ready("listening")


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_systemd_looks(environ, interval_s):
    assert Notifier(environ).watchdog_interval_s == interval_s
