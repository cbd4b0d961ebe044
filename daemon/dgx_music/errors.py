"""Every error that a user can meet. Each says what was wrong and what would be right.

`code` is a stable word for programs (OSC `/dgx/failed`, the job's row, receipts); `exit_code` is what the
command line ends with: 1 failed, 2 wrong use, 3 daemon unreachable.
"""

from __future__ import annotations

__all__ = [
    "AssetError",
    "AudioError",
    "ConfigError",
    "DaemonUnreachableError",
    "DgxMusicError",
    "EngineError",
    "EngineTimeoutError",
    "EngineUnavailableError",
    "InstanceRunningError",
    "JobNotFoundError",
    "JobStateError",
    "LibraryError",
    "QueueFullError",
    "RequestError",
    "StoreError",
    "WorkerDiedError",
]


class DgxMusicError(Exception):
    """The base of all errors that are meant for a user's eyes."""

    code = "error"
    exit_code = 1


class RequestError(DgxMusicError):
    """Raised when a request breaks a rule of `GenerationRequest`; `problems` holds one sentence a field."""

    code = "bad_request"
    exit_code = 2

    def __init__(self, problems: str | list[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))


class ConfigError(DgxMusicError):
    """Raised when the configuration file or an environment override cannot be used."""

    code = "bad_config"
    exit_code = 2


class StoreError(DgxMusicError):
    """Raised when the database cannot be opened, read or written."""

    code = "store"


class QueueFullError(DgxMusicError):
    """Raised when so many jobs wait already that another one is refused."""

    code = "queue_full"


class JobNotFoundError(DgxMusicError):
    """Raised when no job has the given id."""

    code = "job_not_found"
    exit_code = 2


class JobStateError(DgxMusicError):
    """Raised when a job's state does not allow what was asked, such as cancelling a finished one."""

    code = "job_state"


class EngineError(DgxMusicError):
    """Raised when an engine could not make the audio that was asked for."""

    code = "engine"


class EngineUnavailableError(EngineError):
    """Raised when an engine is asked for by name and is not installed or has no weights."""

    code = "engine_unavailable"
    exit_code = 2


class EngineTimeoutError(EngineError):
    """Raised when an engine stayed silent for longer than the request's length explains."""

    code = "engine_timeout"


class WorkerDiedError(EngineError):
    """Raised when the worker process ended in the middle of a job."""

    code = "worker_died"


class AudioError(DgxMusicError):
    """Raised when audio is unusable: not finite, empty, or of the wrong shape."""

    code = "audio"


class LibraryError(DgxMusicError):
    """Raised when a file cannot be put into the library or is not what its record says."""

    code = "library"


class AssetError(DgxMusicError):
    """Raised when a shipped file (template, unit, script) is missing or cannot be installed."""

    code = "assets"


class InstanceRunningError(DgxMusicError):
    """Raised when another process already works on the same state folder."""

    code = "already_running"


class DaemonUnreachableError(DgxMusicError):
    """Raised when a command needs the daemon and none answers."""

    code = "daemon_unreachable"
    exit_code = 3
