"""Receives datagrams: bounded, in order, never blocking, whatever comes.

Open Sound Control 1.0 asks for a bundle with a future time tag to be carried out at that time. It is, by the
event loop's timer, if that is at most a minute ahead and not too many wait already; otherwise it is refused,
for a clock that is wrong by hours would hold messages back for hours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.surfaces.osc.counters import RateLimitedLog
from dgx_music.surfaces.osc.decode import MalformedPacketError, Unit, decode_packet
from dgx_music.surfaces.osc.replies import Endpoint

if TYPE_CHECKING:
    from dgx_music.surfaces.osc.counters import OscCounters

__all__ = ["Arrival", "OscProtocol"]

_MAX_BACKLOG_BYTES = 64 * 1024 * 1024
_MAX_AHEAD_S = 60.0
_MAX_SCHEDULED = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """What came from whom: a datagram, or a bundle whose time has come."""

    sender: Endpoint
    content: bytes | Unit


class OscProtocol(asyncio.DatagramProtocol):
    """Keeps what arrives, in order, until it is taken."""

    def __init__(self, counters: OscCounters, max_backlog: int) -> None:
        self._counters = counters
        self._max_backlog = max_backlog
        self._waiting: deque[Arrival] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        self.events = RateLimitedLog(_log)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Keep a datagram, or drop it if too many wait; its sender will send it again."""
        self._counters.received += 1
        if len(self._waiting) >= self._max_backlog or self._waiting_bytes + len(data) > _MAX_BACKLOG_BYTES:
            self._counters.backlog_dropped += 1
            self.events.note("backlog full", f"dropped a datagram from {addr[0]}:{addr[1]}")
            return
        self._waiting_bytes += len(data)
        self._push(Arrival(Endpoint(addr[0], addr[1]), data))

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 (the base class names it)
        """Count a reply that its receiver's host refused."""
        self._counters.send_failed += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the base class names it)
        """Forget bundles whose time has not come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def take(self, limit: int) -> list[Arrival]:
        """Wait for arrivals and return up to `limit` of them, oldest first."""
        await self._arrived.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._waiting_bytes -= sum(len(item.content) for item in taken if isinstance(item.content, bytes))
        if not self._waiting:
            self._arrived.clear()
        return taken

    def decode(self, arrival: Arrival) -> list[Unit]:
        """Return what is to be done now; malformed datagrams are counted, logged and dropped."""
        if isinstance(arrival.content, Unit):
            return [arrival.content]
        try:
            return decode_packet(arrival.content)
        except MalformedPacketError as err:
            self._counters.malformed += 1
            self.events.note(
                "malformed packet", f"dropped {len(arrival.content)} bytes from {arrival.sender}: {err}"
            )
            return []

    def postpone(self, sender: Endpoint, unit: Unit) -> str | None:
        """Let a bundle arrive again at its time; returns why that cannot be, or `None`."""
        ahead = unit.due - time.time()
        if ahead > _MAX_AHEAD_S:
            return (
                f"the bundle's time tag is {ahead:.0f} s ahead; at most {_MAX_AHEAD_S:.0f} s are kept waiting "
                "(is the sender's clock right? time tag 1 means at once)"
            )
        if len(self._timers) >= _MAX_SCHEDULED:
            return (
                f"{_MAX_SCHEDULED} bundles wait for their time already; send again later, or with time tag 1"
            )
        self._counters.scheduled += 1

        def arrive() -> None:
            self._timers.discard(timer)
            self._push(Arrival(sender, Unit(0.0, unit.messages)))

        timer = asyncio.get_running_loop().call_later(ahead, arrive)
        self._timers.add(timer)
        return None

    def _push(self, arrival: Arrival) -> None:
        self._waiting.append(arrival)
        self._arrived.set()
