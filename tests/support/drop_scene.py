"""A drop folder in a temporary place, with a door in memory behind it."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dgx_music.config import InboxConfig
from dgx_music.surfaces.dropfolder import DropFolder
from support.memory_door import MemoryDoor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

QUICK = {"settle_s": 0.05, "rescan_interval_s": 60.0, "poll_interval_s": 0.05}


class DropScene:
    def __init__(self, folder: DropFolder, door: MemoryDoor, inbox: Path) -> None:
        self.folder = folder
        self.door = door
        self.inbox = inbox
        self.processing, self.done, self.failed = (inbox / name for name in ("processing", "done", "failed"))

    @property
    def prompts(self) -> list[str]:
        return [job.request.prompt for job in self.door.jobs.values()]

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, f"{self.tree()}, {self.folder.counters}, {self.prompts}"
            await asyncio.sleep(0.01)

    async def jobs(self, count: int) -> list[str]:
        await self.until(lambda: len(self.door.jobs) >= count)
        assert len(self.door.jobs) == count
        return list(self.door.jobs)

    async def finish(self, count: int = 1) -> None:
        """Wait for so many jobs, complete them, and wait until nothing is left in processing/."""
        for job_id in await self.jobs(count):
            if not self.door.jobs[job_id].state.final:
                self.door.complete(job_id)
        await self.idle()

    async def idle(self) -> None:
        await self.until(lambda: not any(self.processing.iterdir()) and not self.waiting())

    async def refused(self, name: str) -> str:
        """Wait for a file to be refused; returns why."""
        beside = self.failed / f"{name}.error.txt"
        await self.until(beside.exists)
        await self.idle()
        assert name in {path.name for path in self.failed.iterdir()}
        assert not self.door.jobs
        return beside.read_text(encoding="utf-8")

    def waiting(self) -> list[str]:
        return sorted({path.name for path in self.inbox.iterdir()} - {"processing", "done", "failed"})

    def receipt(self, name: str, folder: Path | None = None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            ((folder or self.done) / f"{name}.receipt.json").read_text("utf-8")
        )
        return found

    def tree(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.inbox)) for path in self.inbox.rglob("*") if not path.is_dir()
        )


@asynccontextmanager
async def drop_scene(home: Path, door: MemoryDoor | None = None, **settings: Any) -> AsyncIterator[DropScene]:
    door = door or MemoryDoor()
    folder = DropFolder(InboxConfig(**{**QUICK, **settings}), home / "inbox", home / "library", door)
    await folder.start()
    try:
        yield DropScene(folder, door, home / "inbox")
    finally:
        await folder.stop()
