"""`Bell`: tells an Ardour whose OSC surface is on that something lies in the spool, so that it need not look for it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pythonosc.osc_message_builder import OscMessageBuilder

from dgx_music.delivery.ardour.layout import write_beside
from dgx_music.reading.permissions import permissions

if TYPE_CHECKING:
    from collections.abc import Callable

    from dgx_music.config import ArdourConfig
    from dgx_music.delivery.ardour.layout import SessionSpool

__all__ = ["Bell"]

_log = logging.getLogger(__name__)
_HOST = "127.0.0.1"


class Bell:
    """Sends OSC to Ardour on this machine. What cannot be sent is logged: the hook finds the delivery by itself."""

    def __init__(self, config: ArdourConfig, slot: Callable[[], int | None]) -> None:
        """Make a bell.

        Args:
            config: whether and where to send.
            slot: finds the number under which *Fetch now* is registered; blocking.
        """
        self._config = config
        self._slot = slot
        self._ringing: set[asyncio.Task[None]] = set()

    def ring(self, spool: SessionSpool) -> None:
        """Have Ardour fetch what was put up in a session's spool; returns at once.

        Only where the session is open, since Ardour would take it for another's; the marker only where the session's
        permissions allow markers.
        """
        if self._config.osc_port:
            task = asyncio.create_task(self._ring(spool), name="bell")
            self._ringing.add(task)
            task.add_done_callback(self._ringing.discard)

    async def settled(self) -> None:
        """Wait until everything is sent."""
        await asyncio.gather(*self._ringing)

    async def _ring(self, spool: SessionSpool) -> None:
        try:
            await asyncio.to_thread(self._send, spool)
        except Exception as err:  # noqa: BLE001 - reading Ardour's own files and sending: nothing of it is needed
            _log.warning("Ardour at osc.udp://%s:%d was not told: %s", _HOST, self._config.osc_port, err)

    def _send(self, spool: SessionSpool) -> None:
        if not spool.ardour_is_there():
            return
        slot = self._slot()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((_HOST, self._config.osc_port))
            if slot is None:
                _log.debug("Fetch now is not registered in Ardour: it fetches by itself")
            else:
                write_beside(spool.rung, b"%d\n" % time.time())
                sender.send(_message("/access_action", f"LuaAction/script-{slot}"))
            if self._config.arrival_marker and permissions(Path(spool.session_path)).get("markers", False):
                sender.send(_message("/add_marker", "DGX Music: arrived"))


def _message(address: str, text: str) -> bytes:
    builder = OscMessageBuilder(address)
    builder.add_arg(text, "s")
    return builder.build().dgram
