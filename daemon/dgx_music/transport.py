"""`Transport`: what the DAW's transport does, as its scripts tell."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Transport"]

_log = logging.getLogger(__name__)
_BELIEVED_S = 15.0
"""The scripts repeat a state other than `stopped` every five seconds; a DAW that was killed repeats nothing."""


class Transport:
    """Holds the last state that was told, `stopped` when it is no longer repeated. For one event loop."""

    def __init__(self, believed_s: float = _BELIEVED_S) -> None:
        self._believed_s = believed_s
        self._state = "stopped"
        self._expiry: asyncio.TimerHandle | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def state(self) -> str:
        """`rolling`, `recording` or `stopped`."""
        return self._state

    @property
    def is_recording(self) -> bool:
        """Whether the DAW records."""
        return self._state == "recording"

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the state changes."""
        self._listeners.append(listener)

    def tell(self, state: str) -> None:
        """Take in a state, which is believed for 15 seconds."""
        self.close()
        if state != "stopped":
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(self._believed_s, self._expire)
        self._change(state)

    def close(self) -> None:
        """Wait for nothing more."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        self._expiry = None
        _log.info("the DAW has not said for %.0f s that it is %s", self._believed_s, self._state)
        self._change("stopped")

    def _change(self, state: str) -> None:
        if state != self._state:
            self._state = state
            for listener in self._listeners:
                listener()
