"""Regular chores, run by APScheduler inside the event loop, after the daemon is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

__all__ = ["Upkeep"]


class Upkeep:
    """Chores at fixed intervals; one that is late is run once, never twice at a time."""

    def __init__(self) -> None:
        self._chores: list[tuple[str, float, Callable[[], Awaitable[None]]]] = []
        self._scheduler: AsyncIOScheduler | None = None

    def every(self, interval_s: float, name: str, chore: Callable[[], Awaitable[None]]) -> None:
        """Have `chore` run every `interval_s` seconds once `start` was called."""
        self._chores.append((name, interval_s, chore))

    def start(self) -> None:
        """Start the clock. APScheduler is imported here, since nobody waits for a chore at start-up."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler  # noqa: PLC0415 - see above

        self._scheduler = AsyncIOScheduler(timezone="UTC")
        for name, interval_s, chore in self._chores:
            self._scheduler.add_job(
                chore,
                "interval",
                seconds=interval_s,
                id=name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        self._scheduler.start()

    def stop(self) -> None:
        """Stop the clock; a chore under way is left to end."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
