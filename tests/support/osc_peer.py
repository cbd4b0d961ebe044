"""A plain UDP socket that speaks raw OSC bytes, and a daemon's OSC surface to speak with."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pythonosc.osc_message import OscMessage

from dgx_music.config import OscConfig
from dgx_music.surfaces.osc import OscSurface
from support.memory_door import MemoryDoor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dgx_music.surfaces.ardour import Desk

LIBRARY = Path("/music/library")
NTP_EPOCH_S = 2_208_988_800
AT_ONCE = 1


def text(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return data + b"\0" * (4 - len(data) % 4)


def message(address: str, tags: str | None = "", *values: Any) -> bytes:
    """An OSC message written by hand; `tags=None` leaves the type tag string out."""
    data = text(address)
    if tags is None:
        return data
    data += text("," + tags)
    left = list(values)
    for tag in tags:
        if tag in "TFNI[]":
            continue
        value = left.pop(0)
        if tag in "sS":
            data += text(value)
        elif tag == "b":
            data += struct.pack(">i", len(value)) + value + b"\0" * (-len(value) % 4)
        elif tag == "c":
            data += struct.pack(">i", ord(value))
        else:
            data += struct.pack(
                {"i": ">i", "f": ">f", "d": ">d", "h": ">q", "t": ">Q", "r": ">I", "m": ">I"}[tag], value
            )
    return data


def timetag(unix_s: float) -> int:
    return int((unix_s + NTP_EPOCH_S) * 2**32)


def bundle(*elements: bytes, at: int = AT_ONCE) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", at) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


class Peer:
    """A sender's socket on the loopback."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self._to)

    async def receive(self) -> tuple[Any, ...]:
        """The next answer: its address and its values, read by another implementation than the daemon's."""
        loop = asyncio.get_running_loop()
        data = await asyncio.wait_for(loop.sock_recv(self.socket, 65_536), 10)
        found = OscMessage(data)
        return (found.address, *found.params)

    async def receive_until(self, address: str) -> list[tuple[Any, ...]]:
        found = [await self.receive()]
        while found[-1][0] != address:
            found.append(await self.receive())
        return found

    async def nothing_more(self) -> bool:
        """Whether the daemon has sent nothing but the answer to a ping that is sent now."""
        self.send(message("/dgx/ping"))
        address, *_ = await self.receive()
        return bool(address == "/dgx/pong")


@dataclass
class Scene:
    """A running surface, its door, and somebody who sends."""

    surface: OscSurface
    door: MemoryDoor
    peer: Peer

    def another_peer(self) -> Peer:
        return Peer(self.surface.address)


@asynccontextmanager
async def osc_scene(
    door: MemoryDoor | None = None, *, desk: Desk | None = None, **settings: Any
) -> AsyncIterator[Scene]:
    door = door or MemoryDoor()
    surface = OscSurface(OscConfig(**{"port": 0, **settings}), door, "0.1.0", LIBRARY, desk=desk)
    await surface.start()
    peer = Peer(surface.address)
    try:
        yield Scene(surface, door, peer)
    finally:
        peer.socket.close()
        await surface.stop()
