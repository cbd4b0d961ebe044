"""The socket: bound when started, bounded under load, with errors that name the setting."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dgx_music.config import OscConfig
from dgx_music.errors import ConfigError
from dgx_music.surfaces.osc import OscSurface
from dgx_music.surfaces.osc.counters import OscCounters, RateLimitedLog
from dgx_music.surfaces.osc.protocol import OscProtocol
from support.memory_door import MemoryDoor
from support.osc_peer import LIBRARY, message, osc_scene


def start(**settings: object) -> None:
    async def main() -> None:
        surface = OscSurface(OscConfig.model_validate(settings), MemoryDoor(), "0.1.0", LIBRARY)
        await surface.start()
        await surface.stop()

    asyncio.run(main())


def test_a_port_in_use_names_the_setting() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"udp port {port}: .*osc\.port"):
            start(port=port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "300.1.1.1", "192.0.2.1"])
def test_an_address_that_is_not_this_machines_names_the_setting(host: str) -> None:
    with pytest.raises(ConfigError, match=r"osc\.host"):
        start(host=host, port=0)


def test_the_default_is_the_loopback_and_port_zero_gives_a_real_port() -> None:
    async def main() -> None:
        async with osc_scene() as scene:
            host, port = scene.surface.address
            assert host == "127.0.0.1"
            assert port > 0

    asyncio.run(main())


def test_ipv6_senders_are_answered() -> None:
    async def main() -> None:
        async with osc_scene(host="::1") as scene:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
                peer.setblocking(False)
                peer.sendto(message("/dgx/generate", "s", "drums"), scene.surface.address)
                data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 9_000), 10)
                assert data.startswith(b"/dgx/accepted")

    asyncio.run(main())


def test_the_receive_buffer_is_as_large_as_the_system_allows() -> None:
    async def main(size: int) -> int:
        async with osc_scene(receive_buffer_bytes=size) as scene:
            transport = scene.surface._transport
            assert transport is not None
            granted: int = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            return granted

    assert asyncio.run(main(2**20)) > asyncio.run(main(2**17))


def test_a_full_backlog_drops_and_counts_and_the_surface_goes_on() -> None:
    async def main() -> None:
        async with osc_scene(max_backlog=10) as scene:
            protocol = scene.surface._protocol
            assert protocol is not None
            for _ in range(500):  # within one turn of the loop nobody can take them
                protocol.datagram_received(message("/dgx/queue"), ("127.0.0.1", scene.peer.port))
            assert scene.surface.counters.backlog_dropped == 490
            answers = [await scene.peer.receive() for _ in range(10)]
            assert {answer[0] for answer in answers} == {"/dgx/queue"}
            assert await scene.peer.nothing_more()

    asyncio.run(main())


def test_waiting_datagrams_never_take_more_than_64_mib() -> None:
    async def main() -> None:
        counters = OscCounters()
        protocol = OscProtocol(counters, max_backlog=1_000_000)
        datagram = bytes(65_000)
        for _ in range(2_000):
            protocol.datagram_received(datagram, ("127.0.0.1", 9))
        kept = counters.received - counters.backlog_dropped
        assert kept * len(datagram) <= 64 * 2**20 < (kept + 1) * len(datagram)
        await protocol.take(1)
        protocol.datagram_received(datagram, ("127.0.0.1", 9))
        assert counters.received - counters.backlog_dropped == kept + 1

    asyncio.run(main())


def test_a_flood_of_errors_is_one_log_line_a_second_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [100.0]
    log = RateLimitedLog(logging.getLogger("flood"), lambda: clock[0])
    with caplog.at_level(logging.WARNING, "flood"):
        for _ in range(1_000):
            log.note("malformed packet", "dropped 3 bytes")
        log.note("unknown address", "/a")
        clock[0] += 1.5
        log.note("malformed packet", "dropped 4 bytes")
    assert [record.getMessage() for record in caplog.records] == [
        "OSC malformed packet: dropped 3 bytes",
        "OSC unknown address: /a",
        "OSC malformed packet: dropped 4 bytes (and 999 more since the last line)",
    ]


def test_stop_before_start_and_stop_twice_are_harmless() -> None:
    async def main() -> None:
        surface = OscSurface(OscConfig(port=0), MemoryDoor(), "0.1.0", LIBRARY)
        await surface.stop()
        await surface.start()
        await surface.stop()
        await surface.stop()

    asyncio.run(main())


def test_a_job_that_ends_after_the_surface_has_stopped_is_told_to_nobody() -> None:
    async def main() -> None:
        door = MemoryDoor()
        async with osc_scene(door) as scene:
            scene.peer.send(message("/dgx/generate", "s", "drums"))
            job_id = (await scene.peer.receive())[2]
            door.progress(job_id, 0.1)
            door.progress(job_id, 0.2)  # held back
        assert door.listeners == 0
        door.complete(job_id)
        await asyncio.sleep(0.15)

    asyncio.run(main())


def test_the_surfaces_import_nothing_heavy() -> None:
    code = (
        "import sys, dgx_music.surfaces.osc, dgx_music.surfaces.osc.client, dgx_music.surfaces.dropfolder;"
        "print(sorted({'numpy', 'scipy', 'soundfile', 'librosa', 'numba', 'torch', 'sqlalchemy', 'soxr'} & set(sys.modules)))"
    )
    daemon = Path(__file__).parents[4] / "daemon"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(daemon)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "[]"
