"""`EngineHost`: keeps one worker process on this machine, hands it one job at a time, and outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

from dgx_music.errors import DgxMusicError, EngineTimeoutError, WorkerDiedError
from dgx_music.host.messages import (
    Cancel,
    Cancelled,
    Done,
    Failed,
    Progress,
    Ready,
    Run,
    TakeMade,
    decode,
    encode,
)
from dgx_music.library.take import Take

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dgx_music.config import EngineConfig
    from dgx_music.host.messages import Message
    from dgx_music.jobs import Job

__all__ = ["EngineHost", "JobCancelledError", "JobFailedError", "deadline_s"]

_log = logging.getLogger(__name__)
_LINE_LIMIT_BYTES = 16 * 1024 * 1024


class JobCancelledError(DgxMusicError):
    """Raised by `run` when the job stopped because it was asked to."""

    code = "cancelled"


class JobFailedError(DgxMusicError):
    """Raised by `run` when the worker says that the job cannot be done; `code` is the worker's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def deadline_s(config: EngineConfig, job: Job) -> float:
    """Return how long a job may take: a base, and so much for each second of audio in all its takes."""
    audio_s = float(job.request.length_exact_s) * job.request.takes
    return config.timeout_base_s + config.timeout_per_audio_s * audio_s


class EngineHost:
    """The daemon's end of the line to its worker process. Use it from one event loop, one job at a time."""

    def __init__(self, config: EngineConfig, cache_dir: Path) -> None:
        self._config = config
        self._cache_dir = cache_dir
        self._process: asyncio.subprocess.Process | None = None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, while it lives as far as we know."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    async def ready(self) -> None:
        """Have a worker that waits for a job, starting one if needed.

        Raises:
            WorkerDiedError: a fresh worker ended before it was ready.
        """
        if self._process is not None and self._process.returncode is None:
            return
        await self.stop()
        try:
            environ = await asyncio.to_thread(self._worker_environment)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "dgx_music.host.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environ,
                limit=_LINE_LIMIT_BYTES,
            )
        except OSError as err:
            raise WorkerDiedError(f"no worker process could be started: {err}") from err
        try:
            async with asyncio.timeout(self._config.timeout_base_s):
                message = await self._receive()
        except TimeoutError:
            await self.stop()
            raise WorkerDiedError("the worker process did not come up") from None
        if not isinstance(message, Ready):
            await self.stop()
            raise WorkerDiedError("the worker process did not come up; its last words are in the log")
        _log.info("worker %d is ready", message.pid)

    async def run(
        self, job: Job, staging: Path, library: Path, on_progress: Callable[[float, str], None]
    ) -> list[Take]:
        """Have a job's takes made; they lie finished in `staging` when this returns, in order.

        Args:
            job: a job in processing.
            staging: the attempt's own folder.
            library: the library's root, below which the takes get their final names.
            on_progress: called with the fraction (0 to 1) and the step.

        Raises:
            JobCancelledError: the job was cancelled and has stopped.
            JobFailedError: the engine or finishing refused, with the code and the reason.
            EngineTimeoutError: the time-out passed; the worker was killed.
            WorkerDiedError: the worker ended in the middle.
        """
        await self.ready()
        limit_s = deadline_s(self._config, job)
        soundfont = self._config.soundfont
        self._send(
            Run(
                job_id=job.id,
                engine=job.engine,
                request=job.request.model_dump(mode="json"),
                created_at=job.created_at,
                staging=str(staging),
                library=str(library),
                soundfont=str(soundfont) if soundfont else None,
                renderer=self._config.renderer,
            )
        )
        began_s = time.monotonic()
        takes: list[Take] = []
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    match await self._receive():
                        case Progress(fraction=fraction, step=step):
                            on_progress(fraction, step)
                        case TakeMade(take=data):
                            takes.append(Take.from_json(data))
                        case Done():
                            return sorted(takes, key=lambda take: take.index)
                        case Failed(code=code, message=message):
                            raise JobFailedError(code, message)
                        case Cancelled():
                            raise JobCancelledError(f"{job.id} was cancelled")
                        case None:
                            raise WorkerDiedError(await self._last_words(time.monotonic() - began_s))
                        case other:
                            _log.warning("the worker said %r out of turn", type(other).__name__)
        except TimeoutError:
            await self.stop()
            audio_s = float(job.request.length_exact_s)
            raise EngineTimeoutError(
                f"{job.engine} was stopped after {limit_s:.0f} s: {self._config.timeout_base_s:.0f} s and "
                f"{self._config.timeout_per_audio_s:.0f} s for each of {job.request.takes} × {audio_s:.1f} s of audio "
                "(engine.timeout_base_s, engine.timeout_per_audio_s)"
            ) from None
        except asyncio.CancelledError:
            await self.stop()
            raise

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

    def cancel(self, job_id: str) -> None:
        """Ask the worker to stop a job at its next step."""
        if self._process is not None and self._process.returncode is None:
            self._send(Cancel(job_id))

    async def stop(self) -> None:
        """End the worker at once. Nothing is lost: an unfinished job's files are only in its staging folder."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()

    def _send(self, message: Message) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(encode(message))

    async def _receive(self) -> Message | None:
        if self._process is None or self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        return decode(line) if line.endswith(b"\n") else None

    async def _last_words(self, after_s: float) -> str:
        process = self._process
        code = await process.wait() if process is not None else None
        how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        return f"the worker process ended {how}, {after_s:.1f} s into the job"
