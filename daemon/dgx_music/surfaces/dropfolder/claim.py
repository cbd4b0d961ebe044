"""Takes a file out of the drop folder for this daemon alone, and brings it to where it ends.

A claim is a folder of its own below `processing/`; the file is renamed into it, which either happens or does
not, so that nothing is taken twice. In the end the files that answer it are published in `done/` or
`failed/`, then the file itself is moved beside them, then the claim's folder goes. Whatever of this a crash
leaves undone is done when it is called again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dgx_music.surfaces.dropfolder.names import numbered_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Claim", "Folders", "new_claim_id"]

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}


@dataclass(frozen=True)
class Claim:
    """A file that was taken."""

    id: str
    name: str
    """The file's name, as it was dropped."""


def new_claim_id() -> str:
    """Return an id that is unique and sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"


class Folders:
    """The drop folder and the folders in it. All methods block."""

    def __init__(self, inbox: Path) -> None:
        self.inbox = inbox
        self.processing = inbox / "processing"
        self.done = inbox / "done"
        self.failed = inbox / "failed"

    def create(self) -> None:
        """Make the folders that are missing."""
        for folder in (self.inbox, self.processing, self.done, self.failed):
            folder.mkdir(parents=True, exist_ok=True)

    def identity(self) -> tuple[int, int] | None:
        """The drop folder's device and inode, to notice that it was replaced; `None` if it is gone."""
        try:
            found = self.inbox.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def path_of(self, claim: Claim) -> Path:
        """Where the claimed file lies."""
        return self.processing / claim.id / claim.name

    def take(self, name: str) -> Claim | None:
        """Claim a file; `None` if somebody took it away first.

        Raises:
            OSError: the file cannot be moved.
        """
        claim = Claim(new_claim_id(), name)
        home = self.processing / claim.id
        home.mkdir(parents=True)
        try:
            (self.inbox / name).rename(home / name)
        except OSError as err:
            home.rmdir()
            if isinstance(err, FileNotFoundError):
                return None
            raise
        return claim

    def sync_claims(self, claims: list[Claim]) -> None:
        """Make sure that claims survive a loss of power, before anything is submitted in their name."""
        if not claims:
            return
        for folder in (*(self.processing / claim.id for claim in claims), self.processing, self.inbox):
            _sync(folder)

    def unfinished(self) -> list[Claim]:
        """Return the claims that an earlier run left, oldest first; drops those that hold no file."""
        found: list[Claim] = []
        for home in sorted(self.processing.iterdir()):
            if home.is_symlink() or not home.is_dir():
                continue
            names = sorted(path.name for path in home.iterdir() if path.name != _own_name(home.name))
            if names:
                found.append(Claim(home.name, names[0]))
            else:
                self._forget(home)
        return found

    def finish(self, claim: Claim, folder: Path, answers: Mapping[str, str]) -> Path:
        """Publish the answers and move the claimed file beside them; returns its new path.

        Args:
            claim: what was taken.
            folder: `done` or `failed`.
            answers: texts by the suffix that is added to the file's name; every text holds the claim's id.

        Raises:
            OSError: something could not be written; nothing is lost, and it can be called again.
        """
        self.create()
        home = self.processing / claim.id
        home.mkdir(exist_ok=True)
        source = home / claim.name
        name = next(
            name for name in numbered_names(claim.name) if self._usable(claim, folder / name, answers)
        )
        for suffix, text in answers.items():
            _publish(text, home / _own_name(claim.id), folder / (name + suffix))
        _sync(folder)
        target = folder / name
        if os.path.lexists(source):
            target = _move_beside(source, folder, name)
            _sync(folder)
        self._forget(home)
        return target

    def _usable(self, claim: Claim, target: Path, answers: Mapping[str, str]) -> bool:
        """Whether the name is free, or was chosen for this claim before a crash."""
        ours = False
        for suffix in answers:
            try:
                ours = claim.id in target.with_name(target.name + suffix).read_text("utf-8", "replace")
            except FileNotFoundError:
                continue
            except OSError:
                return False
            if not ours:
                return False
        source = self.path_of(claim)
        return ours or not os.path.lexists(target) or (os.path.lexists(source) and _same(source, target))

    def _forget(self, home: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            (home / _own_name(home.name)).unlink()
        with contextlib.suppress(OSError):  # somebody put a file of theirs there: it stays
            home.rmdir()


def _own_name(claim_id: str) -> str:
    return f".{claim_id}.answer"


def _same(one: Path, other: Path) -> bool:
    a, b = os.lstat(one), os.lstat(other)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _publish(text: str, temporary: Path, target: Path) -> None:
    """Write a whole file under its final name, which nothing else has."""
    if os.path.lexists(target):
        return  # written before a crash; `_usable` has seen that it is ours
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _move(temporary, target)


def _move_beside(source: Path, folder: Path, name: str) -> Path:
    for candidate in numbered_names(name):
        target = folder / candidate
        if os.path.lexists(target) and _same(source, target):
            source.unlink()
            return target
        try:
            _move(source, target)
        except FileExistsError:
            continue
        return target
    raise AssertionError  # numbered_names never ends


def _move(source: Path, target: Path) -> None:
    """Rename without replacing anything: by a hard link, which fails where the name is taken.

    Some file systems know no hard links, and the kernel refuses links to other people's files; a plain rename
    then has to do, after a look whether the name is free.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as err:
        if err.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from err
        source.rename(target)
    else:
        source.unlink()
