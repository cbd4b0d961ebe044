"""`EngineHost`: keeps one worker process on this machine, hands it jobs, and outlives it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dgx_music.errors import DgxMusicError, EngineTimeoutError, WorkerDiedError
from dgx_music.host.messages import (
    Cancel,
    Cancelled,
    Done,
    Failed,
    Loaded,
    Preview,
    Progress,
    Run,
    TakeMade,
    settings_to_json,
)
from dgx_music.host.process import WorkerProcess
from dgx_music.jobs import TakePreview
from dgx_music.library.take import Take

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.config import EngineConfig
    from dgx_music.engines.base import EngineSettings
    from dgx_music.jobs import Job

__all__ = [
    "EngineHost",
    "Folders",
    "JobCancelledError",
    "JobFailedError",
    "Listener",
    "TimedOutInCompanyError",
    "deadline_s",
]


_FETCHING = {"loading_model", "downloading_model"}
"""Steps whose length has nothing to do with the audio's: gigabytes may have to come from elsewhere first."""


class JobCancelledError(DgxMusicError):
    """Raised by `run` when the job stopped because it was asked to."""

    code = "cancelled"


class JobFailedError(DgxMusicError):
    """Raised by `run` when the worker says that the job cannot be done; `code` is the worker's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TimedOutInCompanyError(EngineTimeoutError):
    """Raised by `run` when the time-out passed while other jobs were in the worker, which may have held this one up."""


@dataclass(frozen=True)
class Folders:
    """Where an attempt at a job writes."""

    staging: Path
    """The attempt's own folder, for finished takes."""
    library: Path
    """The library's root, below which the takes get their final names."""
    previews: Path
    """The job's own folder for previews; made when the first one comes."""


class Listener(Protocol):
    """Who hears how a job goes on."""

    def progress(self, fraction: float, step: str) -> None:
        """The job is so far (0 to 1), and in this step."""

    def preview(self, preview: TakePreview) -> None:
        """A take's preview has grown."""

    def loaded(self, model: str, seconds: float) -> None:
        """A model was loaded for the job, which took so long."""


def deadline_s(config: EngineConfig, job: Job) -> float:
    """Return how long a job may take once its model is there: a base, and so much for each second of audio in all takes.

    While a model is fetched or loaded, for this job or for others before it, the time starts anew with every progress.
    """
    audio_s = float(job.request.length_exact_s) * job.request.takes
    return config.timeout_base_s + config.timeout_per_audio_s * audio_s


class EngineHost:
    """The daemon's end of the line to its worker process. Use it from one event loop; `run` from several tasks."""

    def __init__(self, config: EngineConfig, settings: EngineSettings, cache_dir: Path) -> None:
        self._config = config
        self._settings = settings_to_json(settings)
        self._cache_dir = cache_dir
        self._worker: WorkerProcess | None = None
        self._starting = asyncio.Lock()
        self._cancelled_early: set[str] = set()
        """Jobs that were cancelled before a worker had them, as while one is starting."""

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, while it lives as far as we know."""
        return self._worker.pid if self._worker is not None else None

    def warm(self, engine: str) -> tuple[str, ...]:
        """Return the models that an engine keeps loaded now."""
        return self._worker.warm.get(engine, ()) if self._worker is not None else ()

    async def ready(self) -> None:
        """Have a worker that waits for jobs, starting one if needed.

        Raises:
            WorkerDiedError: a fresh worker ended before it was ready.
        """
        await self._living_worker()

    async def run(self, job: Job, folders: Folders, listener: Listener) -> list[Take]:
        """Have a job's takes made; they lie finished in staging when this returns, in order.

        Raises:
            JobCancelledError: the job was cancelled and has stopped.
            JobFailedError: the engine or finishing refused, with the code and the reason.
            EngineTimeoutError: the time-out passed; the worker was killed. `TimedOutInCompanyError` where other jobs
                were in it.
            WorkerDiedError: the worker ended in the middle. `DiedInCompanyError` where other jobs were in it,
                `EndedForAnotherError` where it was killed because of another job.
        """
        worker = await self._living_worker()
        if job.id in self._cancelled_early:
            self._cancelled_early.discard(job.id)
            raise JobCancelledError(f"{job.id} was cancelled")
        heard = worker.open(job.id)
        worker.send(self._order(job, folders))
        limit_s = deadline_s(self._config, job)
        began_s = time.monotonic()
        takes: list[Take] = []
        try:
            async with asyncio.timeout(limit_s) as timeout:
                while True:
                    match await heard.get():
                        case Progress(fraction=fraction, step=step):
                            if step in _FETCHING:
                                timeout.reschedule(asyncio.get_running_loop().time() + limit_s)
                            listener.progress(fraction, step)
                        case Preview(take=take, path=path, seconds=seconds):
                            listener.preview(TakePreview(take, path, seconds))
                        case Loaded(model=model, seconds=seconds):
                            listener.loaded(model, seconds)
                        case TakeMade(take=data):
                            takes.append(Take.from_json(data))
                        case Done():
                            return sorted(takes, key=lambda take: take.index)
                        case Failed(code=code, message=message):
                            raise JobFailedError(code, message)
                        case Cancelled():
                            raise JobCancelledError(f"{job.id} was cancelled")
                        case WorkerDiedError() as err:
                            raise type(err)(f"{err}, {time.monotonic() - began_s:.1f} s into the job")
        except TimeoutError:
            audio_s = float(job.request.length_exact_s)
            kind = TimedOutInCompanyError if worker.jobs > 1 else EngineTimeoutError
            raise kind(
                f"{job.engine} was stopped after {limit_s:.0f} s: {self._config.timeout_base_s:.0f} s and "
                f"{self._config.timeout_per_audio_s:.0f} s for each of {job.request.takes} × {audio_s:.1f} s of audio "
                "(engine.timeout_base_s, engine.timeout_per_audio_s)"
            ) from None
        finally:
            if worker.knows(job.id):
                # It is given up in the middle, and nothing but its end stops a worker for sure.
                worker.close(job.id)
                await self._end(worker)

    def cancel(self, job_id: str) -> None:
        """Ask the worker to stop a job at its next step; a job that is about to be run does not begin."""
        if self._worker is not None and self._worker.knows(job_id):
            self._worker.send(Cancel(job_id))
        else:
            self._cancelled_early.add(job_id)

    async def stop(self) -> None:
        """End the worker at once. Nothing is lost: an unfinished job's files are only in its staging folder."""
        if self._worker is not None:
            await self._end(self._worker)

    async def _end(self, worker: WorkerProcess) -> None:
        if self._worker is worker:
            self._worker = None
        await worker.end()

    async def _living_worker(self) -> WorkerProcess:
        async with self._starting:
            if self._worker is None or not self._worker.alive:
                await self.stop()
                environ = await asyncio.to_thread(self._worker_environment)
                self._worker = await WorkerProcess.start(environ, self._config.timeout_base_s)
            return self._worker

    def _order(self, job: Job, folders: Folders) -> Run:
        return Run(
            job_id=job.id,
            engine=job.engine,
            request=job.request.model_dump(mode="json"),
            created_at=job.created_at,
            staging=str(folders.staging),
            library=str(folders.library),
            previews=str(folders.previews),
            settings=self._settings,
        )

    def _worker_environment(self) -> dict[str, str]:
        # A worker that is killed cannot clear its temporary files away, so its successor starts with an empty folder.
        temporary = self._cache_dir / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True, mode=0o700, exist_ok=True)
        defaults = {
            "NUMBA_CACHE_DIR": str(self._cache_dir / "numba"),
            # Finishing works on short blocks; on a busy machine, threads that wait for each other cost more than they
            # give.
            "OPENBLAS_NUM_THREADS": "1",
        }
        return {**defaults, **os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)}
