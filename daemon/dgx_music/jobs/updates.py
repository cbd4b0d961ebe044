"""`Updates`: tells every subscriber in the daemon what happens to jobs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dgx_music.jobs.job import JobUpdate

__all__ = ["Updates"]

_log = logging.getLogger(__name__)


class Updates:
    """A list of listeners in one event loop. A listener that raises is logged and does not stop the others."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[JobUpdate], None]] = []

    def subscribe(self, listener: Callable[[JobUpdate], None]) -> Callable[[], None]:
        """Call `listener` for every update from now on; returns the way to stop that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, update: JobUpdate) -> None:
        """Call every listener."""
        for listener in tuple(self._listeners):
            try:
                listener(update)
            except Exception:  # noqa: BLE001 - a listener's fault must not reach the dispatcher
                _log.exception("a listener failed on %s of %s", update.kind, update.job.id)
