"""`Dispatcher`: takes jobs from the queue one after the other and sees each through to its end.

A job's files become visible in two steps that survive a crash at any instant. First its takes are recorded in
the store, while their finished files lie in staging. Then the files are published under their final names and
the job is completed. A job found in processing at start-up goes on from there: with takes recorded it is
published, without it goes back into the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dgx_music.errors import DgxMusicError, EngineTimeoutError, StoreError, WorkerDiedError
from dgx_music.host.local import JobCancelledError, JobFailedError
from dgx_music.jobs import JobState, JobStep, JobUpdate
from dgx_music.library.publish import publish, verify, withdraw

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from dgx_music.config import Config
    from dgx_music.host.local import EngineHost
    from dgx_music.jobs import Job
    from dgx_music.jobs.store import Store
    from dgx_music.jobs.store_thread import StoreThread
    from dgx_music.jobs.updates import Updates
    from dgx_music.library.take import StagedFile
    from dgx_music.paths import Paths

__all__ = ["Dispatcher"]

_log = logging.getLogger(__name__)
_STORE_RETRY_S = 1.0
_LOOK_AGAIN_S = 10.0
"""A command that found no daemon stores its job itself; should a daemon start in that moment, nobody wakes it."""


class Dispatcher:
    """The only one who moves jobs out of `pending`."""

    def __init__(
        self,
        config: Config,
        paths: Paths,
        store: Store,
        thread: StoreThread,
        updates: Updates,
        host: EngineHost,
    ) -> None:
        self._config = config
        self._library = config.library.path or paths.library
        self._staging = paths.staging_in(self._library)
        self._store = store
        self._thread = thread
        self._updates = updates
        self._host = host
        self._wake = asyncio.Event()
        self._running: str | None = None
        self._worker_deaths: Counter[str] = Counter()
        self.paused = False

    # -- what others may ask ---------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look into the queue: something may be there."""
        self._wake.set()

    def pause(self) -> None:
        """Start no more jobs; the running one goes on."""
        self.paused = True

    def resume(self) -> None:
        """Start jobs again."""
        self.paused = False
        self.wake()

    def cancel_running(self, job_id: str) -> None:
        """Stop the job if it is the running one."""
        if self._running == job_id:
            self._host.cancel(job_id)

    # -- the loop --------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what was in processing when the last process died, and clear its staging."""
        for job in await self._thread.call(self._store.processing):
            try:
                await self._recover_job(job)
            except StoreError:
                raise
            except (DgxMusicError, OSError) as err:
                await self._fail(job, getattr(err, "code", "io"), str(err))
        await asyncio.to_thread(shutil.rmtree, self._staging, ignore_errors=True)
        self.paused = await self._thread.call(self._store.flag, "paused") == "1"

    async def _recover_job(self, job: Job) -> None:
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

    async def run(self) -> None:
        """Work through the queue until cancelled."""
        while True:
            self._wake.clear()
            try:
                worked = not self.paused and await self.run_next()
            except (StoreError, WorkerDiedError) as err:
                # The queue is safe on disk; what ails the database or the worker may pass.
                _log.error("the queue stands still: %s", err)
                worked = await self._recover_later()
            except Exception:  # noqa: BLE001 - whatever it is, one job's trouble must not end the daemon
                _log.exception("the queue stands still")
                worked = await self._recover_later()
            if not worked:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await self._wake.wait()

    async def _recover_later(self) -> bool:
        await asyncio.sleep(_STORE_RETRY_S)
        try:
            await self.recover()
        except (DgxMusicError, OSError) as err:
            _log.warning("what was interrupted cannot be taken up yet: %s", err)
        return True

    async def run_next(self, only: str | None = None) -> bool:
        """Claim one job and see it through; return whether there was one.

        Raises:
            WorkerDiedError: no worker comes up, so nothing was claimed.
        """
        await self._host.ready()
        job = await self._thread.call(self._store.claim, only)
        if job is None:
            return False
        self._running = job.id
        try:
            await self._see_through(job)
        except asyncio.CancelledError:
            await self._requeue(job, "the daemon was stopped")
            raise
        finally:
            self._running = None
        return True

    async def _see_through(self, job: Job) -> None:
        staging = self._staging / f"{job.id}.{job.attempts}"
        keep_staging = False
        _log.info("%s: attempt %d with %s", job.id, job.attempts, job.engine)
        began_s = time.monotonic()
        progress = _Progress(self, job)
        try:
            await asyncio.to_thread(staging.mkdir, parents=True, exist_ok=True)
            takes = await self._host.run(job, staging, self._library, progress.update)
            await progress.settled()
            await _to_its_end(self._keep(replace(job, takes=tuple(takes)), time.monotonic() - began_s))
        except JobCancelledError:
            self._tell(await self._thread.call(self._store.cancelled, job.id), "cancelled")
        except WorkerDiedError as err:
            await self._after_worker_death(job, err)
        except (JobFailedError, EngineTimeoutError) as err:
            await self._fail(job, err.code, str(err))
        except OSError as err:
            await self._fail(job, "io", f"{err.filename or staging}: {err.strerror or err}")
        except StoreError:
            # Whether the takes were recorded is not known now; `recover` looks, and needs their files.
            keep_staging = True
            raise
        except Exception as err:  # noqa: BLE001 - the job's trouble, whatever it is; the next job may be fine
            _log.exception("%s: something unforeseen", job.id)
            await self._host.stop()
            await self._fail(job, "internal", f"{type(err).__name__}: {err}; the log has the details")
        finally:
            await progress.settled()
            if not keep_staging:
                await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)

    async def _keep(self, job: Job, processing_s: float) -> None:
        """Record the takes, then publish them; from the first on, the job completes whatever dies."""
        if await self._thread.call(self._store.record_takes, job.id, job.takes):
            await self._publish(job, processing_s)
        else:
            self._tell(await self._thread.call(self._store.cancelled, job.id), "cancelled")

    async def _after_worker_death(self, job: Job, err: WorkerDiedError) -> None:
        self._worker_deaths[job.id] += 1
        deaths = self._worker_deaths[job.id]
        if deaths >= self._config.engine.max_attempts:
            await self._fail(job, err.code, f"{err}; that was attempt {deaths} of {deaths}")
            return
        _log.warning("%s: %s; back into the queue", job.id, err)
        await self._requeue(job, str(err))

    async def _requeue(self, job: Job, reason: str) -> None:
        left = await self._thread.call(self._store.requeue, job.id, reason)
        if left.state is JobState.CANCELLED:
            self._tell(left, "cancelled")

    async def _publish(self, job: Job, processing_s: float | None) -> None:
        try:
            await asyncio.to_thread(publish, _files(job), self._library)
            session = None
            if job.request.make_session:
                session = str(await asyncio.to_thread(self._write_session, job))
        except (DgxMusicError, OSError) as err:
            await asyncio.to_thread(withdraw, _files(job), self._library)
            await self._fail(job, getattr(err, "code", "io"), str(err))
            return
        done = await self._thread.call(self._store.complete, job.id, session, processing_s)
        for take in done.takes:
            loudness = "silent" if take.loudness_lufs is None else f"{take.loudness_lufs:.1f} LUFS"
            _log.info("%s: take %d is %s (%s)", job.id, take.index + 1, take.files[0].final, loudness)
        self._tell(done, "completed")

    def _write_session(self, job: Job) -> Path:
        from dgx_music.delivery.session import write_job_session  # noqa: PLC0415 - lxml: few jobs want it

        return write_job_session(job, self._library, self._staging)

    async def _fail(self, job: Job, code: str, message: str) -> None:
        _log.warning("%s: failed: %s", job.id, message)
        self._tell(await self._thread.call(self._store.fail, job.id, code, message), "failed")

    def _tell(self, job: Job, kind: str) -> None:
        if job.state.final:
            self._worker_deaths.pop(job.id, None)
        self._updates.publish(JobUpdate(job, kind))

    def note_progress(self, job: Job) -> None:
        """Tell the subscribers how far the running job is."""
        self._tell(job, "progress")

    async def note_step(self, job: Job) -> None:
        """Store the step that the running job has come to."""
        try:
            await self._thread.call(self._store.set_step, job.id, job.step, job.progress)
        except StoreError as err:
            _log.warning("%s: its step could not be noted: %s", job.id, err)


class _Progress:
    """Passes a running job's progress to the subscribers, and each new step to the store."""

    def __init__(self, dispatcher: Dispatcher, job: Job) -> None:
        self._dispatcher = dispatcher
        self._job = job
        self._notes: set[asyncio.Task[None]] = set()

    def update(self, fraction: float, step: str) -> None:
        before = self._job.step
        known = step in JobStep.__members__.values()
        self._job = replace(self._job, progress=fraction, step=JobStep(step) if known else JobStep.GENERATING)
        self._dispatcher.note_progress(self._job)
        if self._job.step is not before:
            note = asyncio.create_task(self._dispatcher.note_step(self._job))
            self._notes.add(note)
            note.add_done_callback(self._notes.discard)

    async def settled(self) -> None:
        """Wait until every step is stored."""
        await asyncio.gather(*self._notes)


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
