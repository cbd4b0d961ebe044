"""`WorkerProcess`: one worker process and the one task that reads what it says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import TYPE_CHECKING

from dgx_music.errors import WorkerDiedError
from dgx_music.host.messages import Cancelled, Done, Failed, Ready, Warm, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dgx_music.host.messages import JobMessage, Message

__all__ = ["DiedInCompanyError", "EndedForAnotherError", "WorkerProcess"]

_log = logging.getLogger(__name__)
_LINE_LIMIT_BYTES = 16 * 1024 * 1024


class DiedInCompanyError(WorkerDiedError):
    """Raised for each of several jobs that a worker died on: one of them may be to blame, nobody knows which."""


class EndedForAnotherError(WorkerDiedError):
    """Raised for a job whose worker was ended on purpose, through no fault of this job."""


class WorkerProcess:
    """A running worker. Make it with `start`; use it from one event loop."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._jobs: dict[str, asyncio.Queue[JobMessage | WorkerDiedError]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._ended = False
        self._on_purpose = False
        self.warm: dict[str, tuple[str, ...]] = {}
        """The models that each engine keeps loaded."""

    @classmethod
    async def start(cls, environ: Mapping[str, str], timeout_s: float) -> WorkerProcess:
        """Start a worker; it waits for jobs when this returns.

        Raises:
            WorkerDiedError: none could be started, or it ended or was silent before it was ready.
        """
        try:
            process = await asyncio.create_subprocess_exec(
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
        worker = cls(process)
        try:
            async with asyncio.timeout(timeout_s):
                message = await worker._receive()
        except BaseException as err:
            await worker.end()
            if isinstance(err, TimeoutError):
                raise WorkerDiedError("the worker process did not come up") from None
            raise
        if not isinstance(message, Ready):
            await worker.end()
            raise WorkerDiedError("the worker process did not come up; its last words are in the log")
        worker._reading = asyncio.create_task(worker._read(), name=f"worker {message.pid}")
        _log.info("worker %d is ready", message.pid)
        return worker

    @property
    def pid(self) -> int | None:
        """Its process id, while it lives as far as we know."""
        return self._process.pid if self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it lives as far as we know."""
        return not self._ended and self._process.returncode is None

    def open(self, job_id: str) -> asyncio.Queue[JobMessage | WorkerDiedError]:
        """Return what will be heard of a job: messages up to `Done`, `Failed` or `Cancelled`, or how it died."""
        self._jobs[job_id] = asyncio.Queue()
        return self._jobs[job_id]

    def knows(self, job_id: str) -> bool:
        """Whether the job is under way: opened, and without its last word."""
        return job_id in self._jobs

    @property
    def jobs(self) -> int:
        """How many jobs are under way."""
        return len(self._jobs)

    def close(self, job_id: str) -> None:
        """Listen to a job no more."""
        self._jobs.pop(job_id, None)

    def send(self, message: Message) -> None:
        """Send a message; one that a dead worker cannot hear is lost."""
        if self._process.stdin is not None:
            self._process.stdin.write(encode(message))

    async def end(self) -> None:
        """End the process at once. Its jobs hear `EndedForAnotherError`."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.returncode is None:
            self._on_purpose = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def _receive(self) -> Message | None:
        if self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        return decode(line) if line.endswith(b"\n") else None

    async def _read(self) -> None:
        try:
            while (message := await self._receive()) is not None:
                self._pass_on(message)
        except Exception:  # noqa: BLE001 - whatever it is: what cannot be understood is worth no more than a dead one
            _log.exception("the worker is not understood; it is ended")
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        finally:
            self._ended = True
            self.warm.clear()
        how = await self._how_it_ended()
        kind = (
            EndedForAnotherError
            if self._on_purpose
            else DiedInCompanyError
            if self.jobs > 1
            else WorkerDiedError
        )
        for heard in self._jobs.values():
            heard.put_nowait(kind(how))
        self._jobs.clear()

    def _pass_on(self, message: Message) -> None:
        if isinstance(message, Warm):
            self.warm[message.engine] = tuple(message.models)
            return
        heard = self._jobs.get(getattr(message, "job_id", ""))
        if heard is None:
            _log.warning("the worker said %r out of turn", type(message).__name__)
            return
        heard.put_nowait(message)  # type: ignore[arg-type]  # what names a job and comes from the worker
        if isinstance(message, Done | Failed | Cancelled):
            self.close(message.job_id)

    async def _how_it_ended(self) -> str:
        code = await self._process.wait()
        return f"the worker process ended {f'by signal {-code}' if code < 0 else f'with status {code}'}"
