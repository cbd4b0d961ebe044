"""The claimed files: submitted, waited for, finished. What fails is tried again, later and later."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dgx_music.errors import EngineUnavailableError, RequestError
from dgx_music.jobs import JobState, Source
from dgx_music.surfaces.dropfolder.incoming import PORTION
from dgx_music.surfaces.dropfolder.names import ERROR_SUFFIX, RECEIPT_SUFFIX, printable
from dgx_music.surfaces.dropfolder.reading import StillWrittenError, read_claimed
from dgx_music.surfaces.dropfolder.receipts import job_errors, receipt, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dgx_music.config import InboxConfig
    from dgx_music.errors import DgxMusicError
    from dgx_music.jobs import Job, JobUpdate
    from dgx_music.surfaces.door import Door
    from dgx_music.surfaces.dropfolder.claim import Claim, Folders
    from dgx_music.surfaces.dropfolder.counters import DropCounters

__all__ = ["Claims"]

_log = logging.getLogger(__name__)
_SURFACE = "drop"
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0


@dataclass
class _Work:
    """A claim until it is finished."""

    claim: Claim
    recovered: bool
    """Whether an earlier run may have submitted its jobs."""
    job_ids: list[str] = field(default_factory=list)
    """In the file's order; empty until they are submitted."""
    ended: set[str] = field(default_factory=set)
    """Jobs that are known to have ended."""
    due_s: float | None = 0.0
    """When to go on with it; `None` while its jobs run."""
    delay_s: float = 0.0

    @property
    def source(self) -> Source:
        """What its jobs are stored with."""
        return Source(_SURFACE, self.claim.id)


class Claims:
    """Brings every claimed file to `done/` or `failed/`."""

    def __init__(
        self,
        config: InboxConfig,
        folders: Folders,
        *,
        library_root: Path,
        door: Door,
        counters: DropCounters,
        wake: Callable[[], None],
    ) -> None:
        self._config = config
        self._folders = folders
        self._library_root = library_root
        self._door = door
        self._counters = counters
        self._wake = wake
        self._work: dict[str, _Work] = {}
        self._followed: dict[str, set[str]] = {}
        """Claims by the id of a job that belongs to another source, which had the request_id first."""

    def add(self, claim: Claim, *, recovered: bool = False) -> None:
        """Take over a claim; `recovered` if an earlier run made it."""
        self._work[claim.id] = _Work(claim, recovered)

    def next_due_s(self) -> float:
        """When there is something to do, on the event loop's clock."""
        return min((w.due_s for w in self._work.values() if w.due_s is not None), default=float("inf"))

    async def go_on(self) -> None:
        """Submit and finish what is due, a portion of it."""
        now_s = _now()
        due = [work for work in self._work.values() if work.due_s is not None and work.due_s <= now_s][
            :PORTION
        ]
        fresh = [work for work in due if not work.job_ids]
        # Read before any of them is submitted, so that they are submitted in the order in which they came.
        found = await asyncio.to_thread(lambda: [self._read(work.claim) for work in fresh]) if fresh else []
        rows = {work.claim.id: read for work, read in zip(fresh, found, strict=True)}
        await asyncio.gather(*(self._step(work, rows.get(work.claim.id, [])) for work in due))

    def on_update(self, update: JobUpdate) -> None:
        """Notice that a job has ended; claims of which all have are finished next."""
        job = update.job
        if not job.state.final:
            return
        claim_ids = self._followed.pop(job.id, set())
        if job.source.surface == _SURFACE:
            claim_ids.add(job.source.ref)
        for claim_id in claim_ids & self._work.keys():
            work = self._work[claim_id]
            work.ended.add(job.id)  # this may come before the submission has returned
            self._finish_if_ended(work)

    def _finish_if_ended(self, work: _Work) -> None:
        if work.job_ids and work.ended.issuperset(work.job_ids):
            work.due_s = _now()
            self._wake()

    def _read(self, claim: Claim) -> list[dict[str, Any]] | Exception:
        try:
            path = self._folders.path_of(claim)
            return read_claimed(path, self._config.max_file_bytes, self._config.max_jobs_per_file)
        except Exception as err:  # noqa: BLE001 (one file's trouble is not the others')
            return err

    async def _step(self, work: _Work, read: list[dict[str, Any]] | Exception) -> None:
        try:
            if work.job_ids:
                await self._finish(work)
            else:
                await self._submit(work, read)
        except StillWrittenError:
            work.due_s = _now() + max(self._config.settle_s, 0.1)
        except Exception as err:  # noqa: BLE001 (nothing is lost: it is tried again)
            work.delay_s = min(max(work.delay_s * 2, _FIRST_RETRY_S), _LONGEST_RETRY_S)
            work.due_s = _now() + work.delay_s
            self._counters.retried += 1
            _log.warning(
                "%s waits in processing/%s and is tried again in %g s: %s",
                printable(work.claim.name),
                work.claim.id,
                work.delay_s,
                str(err) or type(err).__name__,
            )
        else:
            work.delay_s = 0.0

    async def _submit(self, work: _Work, read: list[dict[str, Any]] | Exception) -> None:
        """Submit a file's jobs. For one that an earlier run may have submitted, ask for its jobs first."""
        known = await self._door.jobs_of(work.source) if work.recovered else []
        try:
            if isinstance(read, Exception):
                raise read
            job_ids = [job.id for job in known] if len(known) == len(read) else await self._ask(work, read)
        except (RequestError, EngineUnavailableError) as err:
            if not known:
                await self._refuse(work, err)
                return
            # The settings have changed since; what was accepted then stays accepted.
            job_ids = [job.id for job in known]
        except FileNotFoundError:
            _log.warning("%s was deleted from processing/%s", printable(work.claim.name), work.claim.id)
            if not known:
                del self._work[work.claim.id]
                return
            job_ids = [job.id for job in known]
        await self._wait(work, job_ids)

    async def _ask(self, work: _Work, rows: list[dict[str, Any]]) -> list[str]:
        batch = [
            {**fields, "request_id": fields.get("request_id") or f"{_SURFACE}:{work.claim.id}:{row}"}
            for row, fields in enumerate(rows, start=1)
        ]
        if len(batch) == 1:
            accepted = [await self._door.submit(batch[0], work.source)]
        else:
            accepted = await self._door.submit_batch(batch, work.source)
        self._counters.jobs += sum(not item.duplicate for item in accepted)
        return [item.job_id for item in accepted]

    async def _wait(self, work: _Work, job_ids: list[str]) -> None:
        """Wait for the jobs' updates, which for new jobs `on_update` has noticed from the beginning."""
        work.job_ids = job_ids
        work.due_s = None
        # Followed first, so that no end is missed between the look and the listening; jobs of another source too,
        # which a request_id of the user's own can name.
        for job_id in job_ids:
            self._followed.setdefault(job_id, set()).add(work.claim.id)
        for job in await self._jobs(work):
            if job.state.final:
                work.ended.add(job.id)
                self._unfollow(job.id, work.claim.id)
        self._finish_if_ended(work)

    def _unfollow(self, job_id: str, claim_id: str) -> None:
        followers = self._followed.get(job_id, set())
        followers.discard(claim_id)
        if not followers:
            self._followed.pop(job_id, None)

    async def _jobs(self, work: _Work) -> list[Job]:
        own = {job.id: job for job in await self._door.jobs_of(work.source)}
        return [own.get(job_id) or await self._door.job(job_id) for job_id in work.job_ids]

    async def _refuse(self, work: _Work, error: DgxMusicError) -> None:
        answers = {ERROR_SUFFIX: refusal(work.claim, error)}
        path = await asyncio.to_thread(self._folders.finish, work.claim, self._folders.failed, answers)
        self._counters.refused += 1
        del self._work[work.claim.id]
        _log.warning("%s was refused: %s", printable(path.name), str(error)[:500])

    async def _finish(self, work: _Work) -> None:
        jobs = await self._jobs(work)
        if not all(job.state.final for job in jobs):
            await self._wait(work, work.job_ids)  # an earlier look at them did not come to its end
            return
        await asyncio.to_thread(self._publish, work.claim, jobs)
        if all(job.state is JobState.COMPLETED for job in jobs):
            self._counters.done += 1
        else:
            self._counters.failed += 1
        del self._work[work.claim.id]

    def _publish(self, claim: Claim, jobs: list[Job]) -> None:
        answers = {RECEIPT_SUFFIX: receipt(claim, jobs, self._library_root)}
        folder = self._folders.done
        if any(job.state is not JobState.COMPLETED for job in jobs):
            answers[ERROR_SUFFIX] = job_errors(claim, jobs)
            folder = self._folders.failed
        self._folders.finish(claim, folder, answers)


def _now() -> float:
    return asyncio.get_running_loop().time()
