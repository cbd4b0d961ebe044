"""Where things lie: `Spool`, one folder for all sessions, and `SessionSpool`, the folder of one.

A session's folder bears the FNV-1a hash of the session's path, which Lua computes as well. So whatever a path holds,
nothing is ever written outside of the spool. Where a session is known by a path with links in it, which lasts until
Ardour opens it again, the folder has a second name, a link.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.delivery.ardour.fnv import fnv1a_64
from dgx_music.jobs.deliveries import session_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NO_LINKS", "SessionSpool", "Spool", "is_safe_id", "session_key", "write_beside", "write_once"]

NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.ENOTTY}
"""What `link` says across file systems, or on one without hard links."""

_ALIVE_S = 30.0
"""The hook in Ardour writes `alive` every ten seconds."""
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"[0-9a-f]{16}")
_REPORT = re.compile(r"report\.[A-Za-z0-9_-]{1,64}")


def is_safe_id(text: object) -> bool:
    """Whether this is an id as the scripts make them, which may become part of a file's name."""
    return isinstance(text, str) and _SAFE_ID.fullmatch(text) is not None


def session_key(path: str) -> str:
    """Return the name of a session's folder in the spool.

    16 lower-case hex digits of FNV-1a, 64 bits, over the path's UTF-8 bytes without slashes at the end
    (http://www.isthe.com/chongo/tech/comp/fnv/).
    """
    return f"{fnv1a_64((path.rstrip('/') or '/').encode('utf-8', 'surrogatepass')):016x}"


@dataclass(frozen=True)
class SessionSpool:
    """The folder in which the daemon and the scripts in one session pass files on."""

    folder: Path
    session_path: str
    """The session's own folder; empty where it is not known."""
    alias: Path | None = None
    """The folder's second name, where the session is called by a path with links in it."""

    @property
    def next(self) -> Path:
        """The manifest of the delivery that is offered."""
        return self.folder / "next"

    @property
    def taken(self) -> Path:
        """The same, once Ardour has claimed it."""
        return self.folder / "taken"

    @property
    def retaken(self) -> Path:
        """The same, once an Ardour has claimed what an earlier one had not dealt with when it ended."""
        return self.folder / "retaken"

    @property
    def audio(self) -> Path:
        """The audio of what is offered, a folder for each offer."""
        return self.folder / "audio"

    @property
    def alive(self) -> Path:
        """What the hook in Ardour writes every ten seconds, JSON."""
        return self.folder / "alive"

    @property
    def rung(self) -> Path:
        """When the daemon, and not the user, last fired *Fetch now*, which is to say nothing then: seconds since 1970."""
        return self.folder / "rung"

    @property
    def problems(self) -> Path:
        """What the scripts met that belongs to no delivery, newest last: a JSON object a line."""
        return self.folder / "problems"

    def answer(self, ask_id: str) -> Path:
        """Return where an ask is answered.

        Raises:
            ValueError: the id is none that may become part of a file's name.
        """
        if not is_safe_id(ask_id):
            raise ValueError(f"{ask_id!r} is no id of an ask: 1 to 64 letters, digits, - or _")
        return self.folder / f"answer.{ask_id}"

    def offer_folder(self, delivery: str, offer: int) -> Path:
        """Return where the audio of one offer lies."""
        return self.audio / f"{delivery}-{offer}"

    def exists(self) -> bool:
        """Whether the folder was made."""
        return self.folder.is_dir()

    def make(self) -> None:
        """Make the folder, readable by its owner alone, with the session's path in it for people.

        Raises:
            OSError: it cannot be made.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.mkdir(exist_ok=True, mode=0o700)
        note = self.folder / "session.json"
        if not note.exists():
            write_beside(note, (json.dumps({"path": self.session_path}) + "\n").encode())
        if self.alias is not None:
            if self.alias.is_symlink() and str(self.alias.readlink()) != self.folder.name:
                self.alias.unlink(missing_ok=True)  # the links in the session's path lead elsewhere now
            with contextlib.suppress(FileExistsError):
                self.alias.symlink_to(self.folder.name)

    def session_is_there(self) -> bool:
        """Whether the session's own folder can be seen now; it may be on a disk that is not mounted."""
        return self.session_path.startswith("/") and Path(self.session_path).is_dir()

    def ardour_is_there(self) -> bool:
        """Whether an Ardour has the session open now, as far as its hook says."""
        try:
            return time.time() - self.alive.stat().st_mtime < _ALIVE_S
        except OSError:
            return False

    def is_busy(self) -> bool:
        """Whether a delivery is offered, or claimed and not yet dealt with.

        A claim goes from `next` to `taken`, perhaps to `retaken`, and may be given back as `next`: looked at in this
        order, none is overlooked on its way.
        """
        return any(os.path.lexists(path) for path in (self.next, self.taken, self.retaken, self.next))

    def reports(self) -> list[Path]:
        """Return the finished reports, oldest first.

        Raises:
            OSError: the folder cannot be read.
        """
        found: list[tuple[int, str]] = []
        try:
            with os.scandir(self.folder) as entries:
                found = [
                    (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                    for entry in entries
                    if _REPORT.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            pass  # no folder yet, or a report that went in this moment: it is looked at again
        return [self.folder / name for _, name in sorted(found)]


@dataclass(frozen=True)
class Spool:
    """The folder of all sessions' folders."""

    root: Path

    def of(self, session_path: str) -> SessionSpool:
        """Return a session's folder, which need not be there yet. Looks where links lead, so it may block."""
        path = session_folder(session_path)
        folder, called = self.root / session_key(path), self.root / session_key(session_path)
        return SessionSpool(folder, path, None if called == folder else called)

    def all(self) -> list[SessionSpool]:
        """Return the folders that were made, in no order; nothing where none can be read."""
        try:
            with os.scandir(self.root) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if _KEY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []
        return [SessionSpool(self.root / name, _noted_path(self.root / name)) for name in names]


def write_beside(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole under its name, in place of an older one, and survives a power cut.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    with _written(path, content) as part:
        part.replace(path)


def write_once(path: Path, content: bytes) -> bool:
    """Write a file as `write_beside` does, but only where there is none; return whether there was none.

    Raises:
        OSError: it cannot be written.
    """
    with _written(path, content) as part:
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        except OSError as err:
            if err.errno not in NO_LINKS:
                raise
            part.replace(path)
    return True


@contextlib.contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    part = path.with_name(f"part.{secrets.token_hex(8)}")  # several threads may write the same file
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _noted_path(folder: Path) -> str:
    try:
        path = json.loads((folder / "session.json").read_text(encoding="utf-8"))["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return path if isinstance(path, str) and session_key(path) == folder.name else ""
