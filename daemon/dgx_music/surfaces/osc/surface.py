"""The OSC surface: listens, passes messages to the daemon, and answers."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from dgx_music.errors import RequestError
from dgx_music.surfaces.osc.commands import Commands
from dgx_music.surfaces.osc.counters import OscCounters
from dgx_music.surfaces.osc.followers import Followers
from dgx_music.surfaces.osc.listening import bind
from dgx_music.surfaces.osc.protocol import OscProtocol
from dgx_music.surfaces.osc.replies import Replies
from dgx_music.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dgx_music.config import OscConfig
    from dgx_music.surfaces.ardour import Desk
    from dgx_music.surfaces.door import Door
    from dgx_music.surfaces.osc.decode import Unit
    from dgx_music.surfaces.osc.protocol import Arrival

__all__ = ["OscSurface"]

_log = logging.getLogger(__name__)
_GROUP = 256
"""How many waiting datagrams are looked at together, so that their requests share transactions."""


class OscSurface:
    """Listens for OSC on UDP until stopped."""

    def __init__(
        self,
        config: OscConfig,
        door: Door,
        version: str,
        library_root: Path,
        *,
        transport: Transport | None = None,
        desk: Desk | None = None,
    ) -> None:
        """Make a surface that does not listen yet.

        Args:
            config: where to listen.
            door: the way to the daemon.
            version: the daemon's, for /dgx/pong.
            library_root: what the paths of finished takes begin with.
            transport: what is told of the DAW's transport; others may read it.
            desk: answers Ardour's scripts, where that is switched on.
        """
        self._config = config
        self._door = door
        self._version = version
        self._library_root = library_root
        self.counters = OscCounters()
        self.transport = transport or Transport()
        """What the DAW's transport does, as last told."""
        self._desk = desk
        self._transport: asyncio.DatagramTransport | None = None
        self._protocol: OscProtocol | None = None
        self._commands: Commands | None = None
        self._followers: Followers | None = None
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self) -> None:
        """Listen; the socket is bound when this returns.

        Raises:
            ConfigError: the address cannot be used.
        """
        listener = bind(self._config)
        loop = asyncio.get_running_loop()
        protocol = OscProtocol(self.counters, self._config.max_backlog)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: protocol, sock=listener)
        self._protocol = protocol
        replies = Replies(self._transport, self.counters, self._library_root)
        self._followers = Followers(replies)
        self._commands = Commands(
            self._door,
            replies=replies,
            followers=self._followers,
            counters=self.counters,
            events=protocol.events,
            version=self._version,
            transport=self.transport,
            desk=self._desk,
        )
        self._unsubscribe = self._door.subscribe(self._followers.on_update)
        self._task = asyncio.create_task(self._serve(protocol, self._commands), name="osc")
        _log.info("listening for OSC on udp %s:%d", *self.address)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that are listened on; the real port where the configuration says 0."""
        if self._transport is None:
            return self._config.host, self._config.port
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def stop(self) -> None:
        """Listen no more. What was accepted stays accepted."""
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        if self._followers:
            self._followers.close()
        self.transport.close()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._transport:
            self._transport.close()

    async def _serve(self, protocol: OscProtocol, commands: Commands) -> None:
        while True:
            for arrival in await protocol.take(_GROUP):
                try:
                    for unit in protocol.decode(arrival):
                        await self._do(arrival, unit, protocol, commands)
                except Exception:  # noqa: BLE001 (nothing that is sent may end the listener)
                    _log.exception("an OSC packet from %s could not be carried out", arrival.sender)
                await asyncio.sleep(0)  # let the socket be read between long packets
            try:
                await commands.flush()
            except Exception:  # noqa: BLE001 (nothing that is sent may end the listener)
                _log.exception("OSC requests could not be submitted")

    async def _do(self, arrival: Arrival, unit: Unit, protocol: OscProtocol, commands: Commands) -> None:
        if unit.due <= time.time():
            await commands.carry_out(arrival.sender, unit)
            return
        refused = protocol.postpone(arrival.sender, unit)
        if refused:
            commands.refuse(arrival.sender, RequestError(refused), unit.messages[0].address)
