"""The drop folder: files in, jobs to the daemon, receipts out. One task does everything, in small portions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from dgx_music.errors import ConfigError
from dgx_music.surfaces.dropfolder.claim import Folders
from dgx_music.surfaces.dropfolder.claims import Claims
from dgx_music.surfaces.dropfolder.counters import DropCounters
from dgx_music.surfaces.dropfolder.incoming import Incoming

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dgx_music.config import InboxConfig
    from dgx_music.surfaces.door import Door

__all__ = ["DropFolder"]

_log = logging.getLogger(__name__)
_AFTER_ERROR_S = 1.0


class DropFolder:
    """Turns files that are dropped into a folder into jobs, until stopped."""

    def __init__(self, config: InboxConfig, inbox: Path, library_root: Path, door: Door) -> None:
        self.counters = DropCounters()
        self._door = door
        self._folders = Folders(inbox.absolute())
        self._wake = asyncio.Event()
        self._incoming = Incoming(config, self._folders, self.counters, self._wake.set)
        self._claims = Claims(
            config,
            self._folders,
            library_root=library_root.absolute(),
            door=door,
            counters=self.counters,
            wake=self._wake.set,
        )
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self) -> None:
        """Watch the folder, and go on with what an earlier run left.

        Raises:
            ConfigError: the folder cannot be made or watched.
        """
        try:
            await self._incoming.arm()
            unfinished = await asyncio.to_thread(self._folders.unfinished)
        except OSError as err:
            await self._incoming.disarm()
            raise ConfigError(
                f"inbox.path: {self._folders.inbox} cannot be used as the drop folder ({err.strerror}); name a folder "
                "that you may write to, or set inbox.enabled = false"
            ) from err
        for claim in unfinished:
            self._claims.add(claim, recovered=True)
        self._unsubscribe = self._door.subscribe(self._claims.on_update)
        self._task = asyncio.create_task(self._run(), name="drop folder")
        _log.info("watching the drop folder %s (%d unfinished files)", self._folders.inbox, len(unfinished))

    async def stop(self) -> None:
        """Finish the portion in hand and stop; everything else goes on at the next start."""
        self._stopping = True
        self._wake.set()
        if self._task:
            await self._task
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        await self._incoming.disarm()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            self._wake.clear()
            try:
                for claim in await self._incoming.claim_ready():
                    self._claims.add(claim)
                await self._claims.go_on()
                due_s = min(self._incoming.next_due_s(), self._claims.next_due_s())
            except Exception:  # noqa: BLE001 (whatever lies in the folder, the surface goes on)
                _log.exception("unexpected error at the drop folder %s", self._folders.inbox)
                due_s = loop.time() + _AFTER_ERROR_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(due_s - loop.time(), 0.0))
