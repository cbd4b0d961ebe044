"""What the commands about sessions share: which file is meant, whether it may be written, which jobs are finished."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dgx_music.delivery.occupied import pending_file, why_open
from dgx_music.errors import DgxMusicError, RequestError
from dgx_music.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ardour_session import SessionError
    from dgx_music.cli.context import Cli
    from dgx_music.delivery.ardour.layout import Spool
    from dgx_music.jobs import Job

__all__ = ["SessionFileError", "finished_jobs", "new_folder", "refuse_open", "session_file", "show_remarks"]


class SessionFileError(DgxMusicError):
    """Raised when a session or template cannot be read or written."""

    code = "session"

    @classmethod
    def of(cls, err: SessionError | OSError, file: Path) -> SessionFileError:
        """Say what went wrong with a file, or with what belongs to it."""
        if isinstance(err, OSError) and err.strerror:
            return cls(f"{err.filename2 or err.filename or file}: {err.strerror}")
        return cls(str(err))


def finished_jobs(cli: Cli, job_ids: Sequence[str]) -> list[Job]:
    """Return completed jobs in the order in which they are named.

    Raises:
        JobNotFoundError: there is none of an id.
        RequestError: one isn't completed.
    """
    with cli.store() as store:
        jobs = [store.get(job_id) for job_id in job_ids]
    unfinished = [f"{job.id} is {job.state}" for job in jobs if job.state is not JobState.COMPLETED]
    if unfinished:
        raise RequestError([f"{text}; a session needs finished takes" for text in unfinished])
    return jobs


def session_file(path: Path) -> Path:
    """Return the `.ardour` file that is meant: a session's folder means the one that is named like it.

    Raises:
        RequestError: there is nothing, or the folder holds none of its name and several others, or none at all.
    """
    if not path.exists():
        raise RequestError(f"{path}: is not there; name a session's folder, or its .ardour file")
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.ardour"))
    for folder in (path.absolute(), path.resolve()):  # as it is called here, and behind a link
        own = path / f"{folder.name}.ardour"
        if own in files:
            return own
    if len(files) == 1:
        return files[0]
    raise RequestError(f"{path}: holds {len(files)} sessions; name the .ardour file")


def new_folder(output: Path) -> Path:
    """Return the absolute path of a folder that can be made.

    Raises:
        RequestError: it is there already, or its parent is not.
    """
    output = output.absolute()
    if not output.parent.is_dir():
        raise RequestError(f"--output {output}: the folder {output.parent} does not exist")
    if output.exists():
        raise RequestError(f"--output {output}: is there already and is left alone; name a new folder")
    return output


def refuse_open(file: Path, spool: Spool) -> None:
    """Let a session pass that no Ardour has open, and that has no unsaved work beside it.

    Raises:
        SessionFileError: with what shows it, and what helps.
    """
    if reason := why_open(file, spool):
        raise SessionFileError(
            f"{file}: is open in Ardour ({reason}), which would write over what is added; close it there and call this"
            " again (half a minute after closing, if it was open just now), or have the takes delivered into the open"
            f" session: dgx-music deliver JOB --into {file.parent}"
        )
    if (pending := pending_file(file)) is not None:
        raise SessionFileError(
            f"{pending}: is what Ardour kept of unsaved work when it crashed or was ended, and Ardour offers to open"
            " that in place of the session; open the session in Ardour once, take the unsaved work or discard it, save"
            " and close it, and call this again"
        )


def show_remarks(remarks: Iterable[str]) -> None:
    """Print what the user should know on standard error."""
    for remark in remarks:
        print(f"dgx-music: {remark}", file=sys.stderr)
