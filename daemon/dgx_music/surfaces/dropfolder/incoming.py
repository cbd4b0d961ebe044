"""The files in the drop folder itself: noticed, looked at until they are complete, claimed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING

from dgx_music.surfaces.dropfolder.names import is_passed_over, printable
from dgx_music.surfaces.dropfolder.readiness import Candidate, Verdict, inspect
from dgx_music.surfaces.dropfolder.watch import Change, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from dgx_music.config import InboxConfig
    from dgx_music.surfaces.dropfolder.claim import Claim, Folders
    from dgx_music.surfaces.dropfolder.counters import DropCounters

__all__ = ["PORTION", "Incoming"]

_log = logging.getLogger(__name__)
PORTION = 64
"""How many files are looked at, claimed or submitted before the event loop does something else."""
_MIN_SETTLE_S = 0.02
_RETRY_S = 1.0
_LONGEST_DENIAL_S = 3_600.0


class Incoming:
    """Finds complete files by events and by regular scans, and claims them."""

    def __init__(
        self, config: InboxConfig, folders: Folders, counters: DropCounters, wake: Callable[[], None]
    ) -> None:
        self._config = config
        self._folders = folders
        self._counters = counters
        self._wake = wake
        self._settle_s = max(config.settle_s, _MIN_SETTLE_S)
        self._candidates: dict[str, Candidate] = {}
        self._watch: Watch | None = None
        self._identity: tuple[int, int] | None = None
        self._scan_at_s = 0.0

    async def arm(self) -> None:
        """Make the folders and watch the one in which files are dropped.

        Raises:
            OSError: it cannot be made, or not be watched.
        """
        await self.disarm()
        await asyncio.to_thread(self._folders.create)
        loop = asyncio.get_running_loop()

        def on_change(name: str, change: Change) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(self._note, name, change)

        watch = Watch(self._config, self._folders.inbox, on_change)
        await asyncio.to_thread(watch.start)
        self._watch = watch
        self._identity = await asyncio.to_thread(self._folders.identity)

    async def disarm(self) -> None:
        """Watch no more."""
        if self._watch:
            await asyncio.to_thread(self._watch.stop)
            self._watch = None

    def next_due_s(self) -> float:
        """When there is something to do, on the event loop's clock."""
        return min([self._scan_at_s, *(candidate.due_s for candidate in self._candidates.values())])

    async def claim_ready(self) -> list[Claim]:
        """Scan if it is time; then look at the files that are due, and claim those that are complete."""
        if _now() >= self._scan_at_s:
            await self._scan()
        now_s = _now()
        due = [candidate for candidate in self._candidates.values() if candidate.due_s <= now_s][:PORTION]
        if not due:
            return []
        for candidate in due:
            # Taken out while it is looked at: an event that comes meanwhile makes a new one.
            del self._candidates[candidate.name]
        verdicts = await asyncio.to_thread(self._inspect, due, now_s)
        ready = [c for c, verdict in zip(due, verdicts, strict=True) if verdict is Verdict.READY]
        for candidate, verdict in zip(due, verdicts, strict=True):
            if verdict is Verdict.WAIT:
                candidate.due_s = now_s + self._settle_s
                self._candidates.setdefault(candidate.name, candidate)
            elif verdict is Verdict.DENIED:
                self._deny(candidate)
        if Verdict.GONE in verdicts and await asyncio.to_thread(self._folders.identity) != self._identity:
            self._scan_at_s = 0.0
        claims, denied = await asyncio.to_thread(self._take, ready)
        for candidate in denied:
            self._deny(candidate)
        self._counters.claimed += len(claims)
        return claims

    def _note(self, name: str, change: Change) -> None:
        if change is Change.FOLDER_GONE:
            self._scan_at_s = 0.0
        elif is_passed_over(name):
            return
        elif change is Change.ATTRIBUTES:
            if name in self._candidates:
                self._candidates[name].due_s = _now()
        else:
            candidate = self._candidates.setdefault(name, Candidate(name))
            candidate.closed = change is Change.COMPLETE
            candidate.due_s = _now() + (0.0 if candidate.closed else self._settle_s)
        self._wake()

    async def _scan(self) -> None:
        self._scan_at_s = _now() + self._config.rescan_interval_s
        self._counters.scans += 1
        identity = await asyncio.to_thread(self._folders.identity)
        if identity is None or identity != self._identity:
            self._identity = None
            try:
                await self.arm()
            except OSError as err:
                self._scan_at_s = _now() + min(_RETRY_S, self._config.rescan_interval_s)
                _log.warning(
                    "the drop folder %s is gone and cannot be made again: %s", self._folders.inbox, err
                )
                return
            self._counters.rearmed += 1
            _log.warning(
                "the drop folder %s was deleted or replaced; it is watched again", self._folders.inbox
            )
        now_s = _now()
        for name, ctime_ns in await asyncio.to_thread(self._names_by_age):
            candidate = self._candidates.setdefault(name, Candidate(name, due_s=now_s))
            if candidate.denials and candidate.ctime_ns != ctime_ns:
                candidate.due_s = now_s

    def _names_by_age(self) -> list[tuple[str, int]]:
        found: list[tuple[int, str, int]] = []
        with os.scandir(self._folders.inbox) as entries:
            for entry in entries:
                if is_passed_over(entry.name) or entry.is_dir(follow_symlinks=False):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    seen = entry.stat(follow_symlinks=False)
                    found.append((seen.st_mtime_ns, entry.name, seen.st_ctime_ns))
        return [(name, ctime_ns) for _, name, ctime_ns in sorted(found)]

    def _inspect(self, candidates: list[Candidate], now_s: float) -> list[Verdict]:
        folder = self._folders.inbox
        return [inspect(folder, candidate, self._settle_s, now_s) for candidate in candidates]

    def _take(self, ready: list[Candidate]) -> tuple[list[Claim], list[Candidate]]:
        claims: list[Claim] = []
        denied: list[Candidate] = []
        for candidate in ready:
            try:
                claim = self._folders.take(candidate.name)
            except OSError as err:
                candidate.reason = f"it cannot be moved: {err.strerror or err}"
                denied.append(candidate)
            else:
                claims += [claim] if claim else []
        try:
            self._folders.sync_claims(claims)
        except OSError as err:  # the claims are made all the same; only a loss of power could undo them
            _log.warning("claims in %s could not be synced to disk: %s", self._folders.processing, err)
        return claims, denied

    def _deny(self, candidate: Candidate) -> None:
        if candidate.denials == 0:
            self._counters.denied += 1
            _log.warning(
                "%s stays in the drop folder: %s; it is tried again when its permissions change",
                printable(candidate.name),
                candidate.reason,
            )
        wait_s = min(self._config.rescan_interval_s * 2.0 ** min(candidate.denials, 16), _LONGEST_DENIAL_S)
        candidate.denials += 1
        candidate.due_s = _now() + wait_s
        self._candidates.setdefault(candidate.name, candidate)


def _now() -> float:
    return asyncio.get_running_loop().time()
