"""Decides when a dropped file is complete.

A writer is looked for with a read lease (fcntl(2), F_SETLEASE): the kernel refuses one while anybody has the
file open for writing. Network file systems and other users' files give no leases; there, a size and a time of
change that stay the same for the settling time have to do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dgx_music.surfaces.dropfolder.names import FORMATS, suffix_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Candidate", "Verdict", "Writer", "find_writer", "inspect", "why_unusable"]

_EMPTY_FACTOR = 5
"""An empty file waits this many settling times: file managers create first and fill later."""


class Verdict(Enum):
    """What to do with a candidate."""

    READY = "ready"
    WAIT = "wait"
    GONE = "gone"
    """There is no such file any more, or it is a folder."""
    DENIED = "denied"
    """It may not be read; it stays where it is."""


class Writer(Enum):
    """Whether somebody has a file open for writing."""

    NONE = "none"
    PRESENT = "present"
    UNKNOWN = "unknown"


@dataclass
class Candidate:
    """What is known of a file in the drop folder that has not been claimed."""

    name: str
    closed: bool = False
    """A writer closed it, or it was renamed to this name, after the last change that was seen."""
    due_s: float = 0.0
    """When to look at it, on the event loop's clock."""
    state: tuple[int, ...] = ()
    """Inode, size and time of change when last looked at."""
    stable_since_s: float = 0.0
    ctime_ns: int = 0
    """When its content or attributes last changed, as last seen."""
    denials: int = 0
    """How often it could not be read or moved."""
    reason: str = ""
    """Why that was."""


def inspect(folder: Path, candidate: Candidate, settle_s: float, now_s: float) -> Verdict:
    """Look at a candidate, and note in it what was seen. Blocks for a few system calls at most."""
    path = folder / candidate.name
    try:
        found = path.lstat()
    except FileNotFoundError:
        return Verdict.GONE
    except OSError as err:
        candidate.reason = err.strerror or str(err)
        return Verdict.DENIED
    candidate.ctime_ns = found.st_ctime_ns
    if stat.S_ISDIR(found.st_mode):
        return Verdict.GONE
    if why_unusable(found.st_mode):
        return Verdict.READY  # nothing more will come; it is claimed to be sent back
    state = (found.st_ino, found.st_size, found.st_mtime_ns)
    if state != candidate.state:
        candidate.state = state
        candidate.stable_since_s = now_s
    try:
        writer = find_writer(path)
    except FileNotFoundError:
        return Verdict.GONE
    except OSError as err:
        candidate.reason = err.strerror or str(err)
        # A file of a kind that is not read at all need not be readable to be sent back.
        return Verdict.DENIED if suffix_of(candidate.name) in FORMATS else Verdict.READY
    if writer is Writer.PRESENT:
        candidate.closed = False
        return Verdict.WAIT
    if candidate.closed and writer is Writer.NONE and found.st_size:
        return Verdict.READY
    needed_s = settle_s if found.st_size else settle_s * _EMPTY_FACTOR
    return Verdict.READY if now_s - candidate.stable_since_s >= needed_s else Verdict.WAIT


def find_writer(path: Path) -> Writer:
    """Find out whether a regular file is open for writing anywhere on this machine.

    Raises:
        OSError: the file cannot be opened for reading.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Somebody who opens the file while we hold the lease makes the kernel send us a signal: by default
        # SIGIO, which ends a process. SIGURG is ignored unless somebody asked for it.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as err:
        return Writer.PRESENT if err.errno == errno.EAGAIN else Writer.UNKNOWN
    else:
        return Writer.NONE
    finally:
        os.close(handle)


def why_unusable(mode: int) -> str:
    """Say why a file of this kind is never opened; empty for a plain file."""
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISLNK(mode):
        return "it is a symbolic link, and links are not followed; drop a copy of the file itself"
    if stat.S_ISFIFO(mode):
        return "it is a named pipe; drop a plain file"
    if stat.S_ISSOCK(mode):
        return "it is a socket; drop a plain file"
    return "it is not a plain file; drop one"
