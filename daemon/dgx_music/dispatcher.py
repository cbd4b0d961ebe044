"""`Dispatcher`: takes jobs from the queue, as many at once as their engines allow, and has each seen through.

Jobs start in the order of the queue; one whose engine is full is passed over until that engine has room. A job found
in processing at start-up goes on from where its files are: with takes recorded it is published, without it goes back
into the queue (`JobRunner` tells of the two steps in which takes become visible). While a dead worker's jobs are under
suspicion, one job runs at a time (`Blame`). While the DAW records, neural engines start none if the user wants that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING

from dgx_music.engines.registry import SKETCH, engine_names
from dgx_music.errors import DgxMusicError, StoreError, WorkerDiedError
from dgx_music.job_runner import JobRunner

if TYPE_CHECKING:
    from dgx_music.config import Config
    from dgx_music.engines.known import KnownEngines
    from dgx_music.host.local import EngineHost
    from dgx_music.jobs import Job, JobUpdate
    from dgx_music.jobs.store import Store
    from dgx_music.jobs.store_thread import StoreThread
    from dgx_music.jobs.updates import Updates
    from dgx_music.paths import Paths
    from dgx_music.transport import Transport

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
        *,
        store: Store,
        thread: StoreThread,
        updates: Updates,
        host: EngineHost,
        engines: KnownEngines,
        transport: Transport | None = None,
    ) -> None:
        self._store = store
        self._thread = thread
        self._host = host
        self._engines = engines
        self._transport = transport if config.queue.hold_while_recording else None
        self._runner = JobRunner(config, paths, store, thread, updates, host)
        self._wake = asyncio.Event()
        self._running: dict[str, tuple[Job, asyncio.Task[None]]] = {}
        self._troubles: list[BaseException] = []
        self.paused = False
        updates.subscribe(self._on_update)
        if self._transport is not None:
            self._transport.subscribe(self.wake)

    # -- what others may ask ---------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look into the queue: something may be there."""
        self._wake.set()

    def pause(self) -> None:
        """Start no more jobs; the running ones go on."""
        self.paused = True

    def resume(self) -> None:
        """Start jobs again."""
        self.paused = False
        self.wake()

    def cancel_running(self, job_id: str) -> None:
        """Stop the job if it is running."""
        if job_id in self._running:
            self._host.cancel(job_id)

    # -- the loop --------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what is in processing though nobody works on it, as after a crash, and clear what was left."""
        for job in await self._thread.call(self._store.processing):
            if job.id not in self._running:
                await self._runner.take_up(job)
        if not self._running:
            await self._runner.clear()
        self.paused = await self._thread.call(self._store.flag, "paused") == "1"

    async def run(self) -> None:
        """Work through the queue until cancelled; the running jobs are back in the queue when this returns."""
        try:
            while True:
                self._wake.clear()
                if not await self._look():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_AGAIN_S):
                            await self._wake.wait()
        finally:
            tasks = [task for _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> bool:
        """Start the next job if there is one that may start; return whether to look again at once."""
        try:
            return await self._start_if_due()
        except (StoreError, WorkerDiedError) as err:
            # The queue is safe on disk; what ails the database or the worker may pass.
            _log.error("the queue stands still: %s", err)
        except Exception:  # noqa: BLE001 - whatever it is, one job's trouble must not end the daemon
            _log.exception("the queue stands still")
        await asyncio.sleep(_STORE_RETRY_S)
        try:
            await self.recover()
        except (DgxMusicError, OSError) as err:
            _log.warning("what was interrupted cannot be taken up yet: %s", err)
        return True

    async def _start_if_due(self) -> bool:
        if self._troubles:
            raise self._troubles.pop()
        return not self.paused and await self._start() is not None

    async def run_next(self, only: str | None = None) -> bool:
        """Start one job and see it through; return whether there was one that could start.

        Raises:
            WorkerDiedError: no worker comes up, so nothing was claimed.
            StoreError: the database cannot be used.
        """
        task = await self._start(only)
        if task is None:
            return False
        try:
            await task
        finally:
            self._troubles.clear()  # raised here already
        return True

    async def _start(self, only: str | None = None) -> asyncio.Task[None] | None:
        await self._host.ready()
        if self._running and self._runner.blame.one_at_a_time:
            return None
        job = await self._thread.call(self._store.claim, only, self._closed_engines())
        if job is None:
            if not self._running:
                self._runner.blame.nothing_waits()
            return None
        task = asyncio.create_task(self._runner.see_through(job), name=job.id)
        self._running[job.id] = (job, task)
        task.add_done_callback(lambda _: self._on_end(job.id, task))
        return task

    def _closed_engines(self) -> set[str]:
        """Return the engines that start no job now: those that are full, and neural ones while the DAW records."""
        running = Counter(job.engine for job, _ in self._running.values())
        full = {engine for engine, jobs in running.items() if jobs >= self._engines.jobs_at_once(engine)}
        if self._transport is not None and self._transport.is_recording:
            full.update(engine for engine in engine_names() if engine != SKETCH)
        return full

    def _on_end(self, job_id: str, task: asyncio.Task[None]) -> None:
        del self._running[job_id]
        if not task.cancelled() and (trouble := task.exception()) is not None:
            self._troubles.append(trouble)
        self.wake()

    def _on_update(self, update: JobUpdate) -> None:
        if update.job.state.final:
            self._runner.blame.ended(update.job.id)
