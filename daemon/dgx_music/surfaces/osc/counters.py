"""What the OSC listener counts, and how it tells of it without flooding the log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

__all__ = ["OscCounters", "RateLimitedLog"]


@dataclass
class OscCounters:
    """What the listener has seen since its start."""

    received: int = 0
    """Datagrams."""
    malformed: int = 0
    unknown_address: int = 0
    refused: int = 0
    """Messages answered with /dgx/error."""
    backlog_dropped: int = 0
    """Datagrams dropped because too many waited."""
    scheduled: int = 0
    """Bundles with a future time tag."""
    accepted: int = 0
    sent: int = 0
    send_failed: int = 0


class RateLimitedLog:
    """Writes at most one line a second for each kind of event, with the number of those left out."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def note(self, kind: str, detail: str) -> None:
        """Log the event, unless one of its kind was logged within the last second."""
        now = self._clock()
        if now - self._last.get(kind, -1.0) < 1.0:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        more = self._left_out.pop(kind, 0)
        self._logger.warning(
            "OSC %s: %s%s", kind, detail, f" (and {more} more since the last line)" if more else ""
        )
