"""Ardour is told by its own OSC surface, where that is on."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest
from pythonosc.osc_message import OscMessage

from dgx_music.config import ArdourConfig
from dgx_music.delivery.ardour.bell import Bell
from dgx_music.delivery.ardour.layout import Spool


@pytest.fixture
def ear():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(10)
        yield made


def nothing_more(ear):
    ear.settimeout(0)
    with pytest.raises(BlockingIOError):
        ear.recv(4096)


@pytest.fixture
def spool(scene):
    """Of a session that is open and allows markers."""
    made = Spool(scene.spool_root).of(str(scene.ardour.session))
    made.make()
    scene.ardour.alive()
    (scene.ardour.session / "dgx-music.permissions").write_text("markers = yes\n")
    return made


def rung(spool, slot, **config):
    async def main():
        bell = Bell(ArdourConfig(**config), slot)
        bell.ring(spool)
        await bell.settled()

    asyncio.run(main())


def heard(ear):
    message = OscMessage(ear.recv(4096))
    return (message.address, *message.params)


def test_fetch_now_is_fired_by_its_slot_and_a_marker_only_where_it_is_wanted(ear, spool):
    port = ear.getsockname()[1]
    rung(spool, lambda: 3, osc_port=port)
    assert heard(ear) == ("/access_action", "LuaAction/script-3")
    since = time.time() - int(spool.rung.read_text())
    assert abs(since) < 60  # so that the action knows that nobody chose it
    rung(spool, lambda: 3, osc_port=port, arrival_marker=True)
    assert [heard(ear), heard(ear)] == [
        ("/access_action", "LuaAction/script-3"),
        ("/add_marker", "DGX Music: arrived"),
    ]


def test_no_marker_is_set_where_the_session_does_not_allow_any(ear, spool, scene):
    (scene.ardour.session / "dgx-music.permissions").write_text("import = yes\n")
    rung(spool, lambda: 3, osc_port=ear.getsockname()[1], arrival_marker=True)
    assert heard(ear) == ("/access_action", "LuaAction/script-3")
    nothing_more(ear)


def test_another_session_that_is_open_is_left_alone(ear, spool):
    os.utime(spool.alive, (0, 0))
    rung(spool, lambda: 3, osc_port=ear.getsockname()[1], arrival_marker=True)
    nothing_more(ear)


def test_nothing_is_fired_where_it_is_not_registered_or_off(ear, spool):
    port = ear.getsockname()[1]
    rung(spool, lambda: None, osc_port=port)

    def never():
        raise AssertionError

    rung(spool, never, osc_port=0)
    nothing_more(ear)


def test_trouble_with_it_is_logged_and_stops_nothing(caplog, spool):
    def broken():
        raise OSError("no such folder")

    rung(spool, broken, osc_port=9)
    assert "no such folder" in caplog.text
