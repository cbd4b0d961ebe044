"""One process at a time works on a state folder: a lock that the kernel frees even after kill -9.

The holder's record (`daemon.json`) tells commands where the daemon listens.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from dgx_music.errors import InstanceRunningError

if TYPE_CHECKING:
    from types import TracebackType

    from dgx_music.paths import Paths

__all__ = ["InstanceLock", "RunningDaemon", "find_running"]

_PATIENCE_S = 0.3


@dataclass(frozen=True)
class RunningDaemon:
    """What a running process says of itself."""

    pid: int
    role: str
    """`daemon`, or `generate` for a command that does its job in place."""
    osc_host: str | None = None
    osc_port: int | None = None
    version: str = ""


class InstanceLock:
    """Held while a process may change the queue; a context manager."""

    def __init__(self, paths: Paths, role: str) -> None:
        self._paths = paths
        self._role = role
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            InstanceRunningError: somebody holds it, and who.
        """
        self._paths.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(self._paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _locked_within(fd, _PATIENCE_S):
            os.close(fd)
            holder = _read_record(self._paths)
            who = f"{holder.role}, pid {holder.pid}" if holder else "another process"
            raise InstanceRunningError(
                f"DGX Music already works on {self._paths.state_dir} ({who}). "
                "Stop it first, or name another folder with DGX_MUSIC_HOME."
            )
        self._fd = fd
        self.record()

    def record(self, *, osc_host: str | None = None, osc_port: int | None = None, version: str = "") -> None:
        """Write down who holds the lock and where it listens."""
        record = RunningDaemon(os.getpid(), self._role, osc_host, osc_port, version)
        temporary = self._paths.runtime_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
        temporary.replace(self._paths.runtime_file)

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            self._paths.runtime_file.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        if self._fd is None:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _locked_within(fd: int, patience_s: float) -> bool:
    """Try for a moment: `find_running` in another process holds the lock for an instant when it looks."""
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        else:
            return True


def find_running(paths: Paths) -> RunningDaemon | None:
    """Return who works on this state now, or `None`: a stale record of a dead process doesn't count."""
    try:
        fd = os.open(paths.lock_file, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock, tried only: it fails exactly while a holder lives.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_record(paths)
    finally:
        os.close(fd)
    return None


def _read_record(paths: Paths) -> RunningDaemon | None:
    try:
        return RunningDaemon(**json.loads(paths.runtime_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
