"""`JobRunner`: sees one claimed job through to its end; several may be under way, each in a task of its own.

A job's files become visible in two steps that survive a crash at any instant. First its takes are recorded in
the store, while their finished files lie in staging. Then the files are published under their final names and
the job is completed.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dgx_music.blame import Blame
from dgx_music.errors import DgxMusicError, EngineTimeoutError, StoreError, WorkerDiedError
from dgx_music.host.local import Folders, JobCancelledError, JobFailedError, TimedOutInCompanyError
from dgx_music.jobs import JobState, JobStep, JobUpdate
from dgx_music.library.publish import publish, verify, withdraw
from dgx_music.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from dgx_music.config import Config
    from dgx_music.host.local import EngineHost
    from dgx_music.jobs import Job, TakePreview
    from dgx_music.jobs.store import Store
    from dgx_music.jobs.store_thread import StoreThread
    from dgx_music.jobs.updates import Updates
    from dgx_music.library.take import StagedFile
    from dgx_music.paths import Paths

__all__ = ["JobRunner"]

_log = logging.getLogger(__name__)


class JobRunner:
    """Has jobs made, records and publishes their takes, and tells the subscribers."""

    def __init__(
        self,
        config: Config,
        paths: Paths,
        store: Store,
        thread: StoreThread,
        updates: Updates,
        host: EngineHost,
    ) -> None:
        self._max_attempts = config.engine.max_attempts
        self._library = config.library.path or paths.library
        self._staging = paths.staging_in(self._library)
        self._previews = paths.previews
        self._store = store
        self._thread = thread
        self._updates = updates
        self._host = host
        self._shares = Shares()
        self.blame = Blame()
        """Which jobs may have killed a worker; kept up by whoever hears of a job's end."""

    async def see_through(self, job: Job) -> None:
        """Bring a job in processing to its end, or back into the queue.

        Raises:
            StoreError: the job stays in processing, its files stay; `take_up` goes on from there.
            asyncio.CancelledError: passed on, when the job is back in the queue or has come to its end.
        """
        try:
            await self._see_through(job)
        except asyncio.CancelledError:
            await self._requeue(job, "the daemon was stopped")
            raise

    async def _see_through(self, job: Job) -> None:
        staging = self._staging / f"{job.id}.{job.attempts}"
        folders = Folders(staging, self._library, self._previews / job.id)
        keep_staging = False
        _log.info("%s: attempt %d with %s", job.id, job.attempts, job.engine)
        following = _Following(self, job)
        try:
            await asyncio.to_thread(staging.mkdir, parents=True, exist_ok=True)
            self._shares.begin(job.id, job.engine)
            try:
                takes = await self._host.run(job, folders, following)
            finally:
                share_s = self._shares.end(job.id)
            await following.settled()
            cost_s = max(share_s - following.loading_s, 0.0)
            await _to_its_end(self._keep(replace(job, takes=tuple(takes)), cost_s))
        except JobCancelledError:
            self._tell(await self._thread.call(self._store.cancelled, job.id), "cancelled")
        except WorkerDiedError as err:
            await self._after_worker_death(job, err)
        except TimedOutInCompanyError as err:
            self.blame.suspect(job.id)
            _log.warning("%s: %s; it is tried again alone", job.id, err)
            await self._requeue(job, str(err))
        except (JobFailedError, EngineTimeoutError) as err:
            await self._fail(job, err.code, str(err))
        except OSError as err:
            await self._fail(job, "io", f"{err.filename or staging}: {err.strerror or err}")
        except StoreError:
            # Whether the takes were recorded is not known now; `take_up` looks, and needs their files.
            keep_staging = True
            raise
        except Exception as err:  # noqa: BLE001 - the job's trouble, whatever it is; the next job may be fine
            _log.exception("%s: something unforeseen", job.id)
            await self._fail(job, "internal", f"{type(err).__name__}: {err}; the log has the details")
        finally:
            await _to_its_end(_tidy(following, folders, keep_staging=keep_staging))

    async def take_up(self, job: Job) -> None:
        """Go on with a job that was found in processing while nobody works on it.

        With its takes recorded and their files whole it is published; else it goes back into the queue.

        Raises:
            StoreError: all stays as it is.
        """
        try:
            await self._take_up(job)
        except StoreError:
            raise
        except (DgxMusicError, OSError) as err:
            await self._fail(job, getattr(err, "code", "io"), str(err))
        for left in (*self._staging.glob(f"{job.id}.*"), self._previews / job.id):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)

    async def _take_up(self, job: Job) -> None:
        files = _files(job)
        whole = await asyncio.to_thread(verify, files, self._library)
        if files and whole:
            _log.info("%s: its takes were finished already; publishing them", job.id)
            await self._publish(job, None)
        else:
            _log.info("%s: was interrupted; back into the queue", job.id)
            await asyncio.to_thread(withdraw, files, self._library)
            await self._thread.call(self._store.forget_takes, job.id)
            await self._requeue(job, "interrupted")

    async def clear(self) -> None:
        """Remove all that is left in staging and of previews; only while no job is under way."""
        for root in (self._staging, self._previews):
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)

    async def _fail(self, job: Job, code: str, message: str) -> None:
        _log.warning("%s: failed: %s", job.id, message)
        self._tell(await self._thread.call(self._store.fail, job.id, code, message), "failed")

    async def _keep(self, job: Job, cost_s: float) -> None:
        """Record the takes, then publish them; from the first on, the job completes whatever dies."""
        if await self._thread.call(self._store.record_takes, job.id, job.takes):
            await self._publish(job, cost_s)
        else:
            self._tell(await self._thread.call(self._store.cancelled, job.id), "cancelled")

    async def _after_worker_death(self, job: Job, err: WorkerDiedError) -> None:
        deaths = self.blame.died(job.id, err)
        if deaths >= self._max_attempts:
            await self._fail(job, err.code, f"{err}; that was attempt {deaths} of {deaths}")
            return
        _log.warning("%s: %s; back into the queue", job.id, err)
        await self._requeue(job, str(err))

    async def _requeue(self, job: Job, reason: str) -> None:
        left = await self._thread.call(self._store.requeue, job.id, reason)
        if left.state is JobState.CANCELLED:
            self._tell(left, "cancelled")

    async def _publish(self, job: Job, cost_s: float | None) -> None:
        try:
            await asyncio.to_thread(publish, _files(job), self._library)
            session = None
            if job.request.make_session:
                session = str(await asyncio.to_thread(self._write_session, job))
        except (DgxMusicError, OSError) as err:
            await asyncio.to_thread(withdraw, _files(job), self._library)
            await self._fail(job, getattr(err, "code", "io"), str(err))
            return
        done = await self._thread.call(self._store.complete, job.id, session, cost_s)
        for take in done.takes:
            loudness = "silent" if take.loudness_lufs is None else f"{take.loudness_lufs:.1f} LUFS"
            _log.info("%s: take %d is %s (%s)", job.id, take.index + 1, take.files[0].final, loudness)
        self._tell(done, "completed")

    def _write_session(self, job: Job) -> Path:
        from dgx_music.delivery.session import write_job_session  # noqa: PLC0415 - lxml: few jobs want it

        return write_job_session(job, self._library, self._staging)

    def _tell(self, job: Job, kind: str, preview: TakePreview | None = None) -> None:
        self._updates.publish(JobUpdate(job, kind, preview))

    def note_progress(self, job: Job) -> None:
        """Tell the subscribers how far a running job is."""
        self._tell(job, "progress")

    def note_preview(self, job: Job, preview: TakePreview) -> None:
        """Tell the subscribers what can be heard of a running job."""
        self._tell(job, "preview", preview)

    async def note_step(self, job: Job) -> None:
        """Store the step that a running job has come to."""
        try:
            await self._thread.call(self._store.set_step, job.id, job.step, job.progress)
        except StoreError as err:
            _log.warning("%s: its step could not be noted: %s", job.id, err)

    async def note_loading(self, job: Job, model: str, seconds: float) -> None:
        """Store how long a model took to load."""
        _log.info("%s: %s was loaded in %.1f s", job.id, model, seconds)
        try:
            await self._thread.call(self._store.note_loading, job.engine, model, seconds)
        except StoreError as err:
            _log.warning("%s: the time to load %s could not be noted: %s", job.id, model, err)


class _Following:
    """Hears how a running job goes on; passes it to the subscribers, and what is to be kept to the store."""

    def __init__(self, runner: JobRunner, job: Job) -> None:
        self._runner = runner
        self._job = job
        self._notes: set[asyncio.Task[None]] = set()
        self.loading_s = 0.0
        """How long models were loaded for the job, which is no part of what its audio cost."""

    def progress(self, fraction: float, step: str) -> None:
        before = self._job.step
        known = step in JobStep.__members__.values()
        self._job = replace(self._job, progress=fraction, step=JobStep(step) if known else JobStep.GENERATING)
        self._runner.note_progress(self._job)
        if self._job.step is not before:
            self._note(self._runner.note_step(self._job))

    def preview(self, preview: TakePreview) -> None:
        self._runner.note_preview(self._job, preview)

    def loaded(self, model: str, seconds: float) -> None:
        self.loading_s += seconds
        self._note(self._runner.note_loading(self._job, model, seconds))

    def _note(self, work: Coroutine[Any, Any, None]) -> None:
        note = asyncio.create_task(work)
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def settled(self) -> None:
        """Wait until everything is stored."""
        await asyncio.gather(*self._notes)


async def _tidy(following: _Following, folders: Folders, *, keep_staging: bool) -> None:
    await following.settled()
    await asyncio.to_thread(shutil.rmtree, folders.previews, ignore_errors=True)
    if not keep_staging:
        await asyncio.to_thread(shutil.rmtree, folders.staging, ignore_errors=True)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work that must not stop half-way: a cancellation that comes meanwhile is passed on afterwards."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _files(job: Job) -> list[StagedFile]:
    return [file for take in job.takes for file in take.files]
