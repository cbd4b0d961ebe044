"""Puts a new session file in the place of the present one, which is kept beside it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .errors import SessionError
from .xml_file import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_LINK = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def digest_of(path: Path) -> bytes:
    """What tells whether a file is still the one that was read: the SHA-256 of its content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def replace_keeping(path: Path, content: bytes, digest: bytes, kept_as: str) -> Path:
    """Write a session file anew in one step, and keep it as it was under `NAME.ardour.<kept_as>`.

    Ardour lists every file that ends in `.ardour` as a snapshot, and writes `NAME.ardour.bak` itself: the kept file is
    neither.

    Args:
        path: the session file, no link.
        content: what it is to hold.
        digest: of what it held when it was read.
        kept_as: the end of the kept file's name, with a number behind it where that is there already.

    Returns:
        Where the file as it was is kept.

    Raises:
        SessionError: the file is not the one that was read.
        OSError: a file cannot be written; then the session is as it was, and nothing is kept.
    """
    with _one_at_a_time(path.parent):
        kept = _keep(path, kept_as)
        try:
            _check_unchanged(kept, digest)
            write_file(path, content, overwrite=True)
        except BaseException:
            if path.read_bytes() != content:
                kept.unlink()
            raise
    return kept


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep others that replace a session here waiting, so that none writes over what another has just added."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_unchanged(path: Path, digest: bytes) -> None:
    if digest_of(path) != digest:
        raise SessionError("the session was saved by somebody else since it was read: try again")


def _keep(path: Path, suffix: str) -> Path:
    """Give a file a second name beside it, the first that is free."""
    number = 1
    while True:
        kept = path.with_name(f"{path.name}.{suffix}" if number == 1 else f"{path.name}.{suffix}-{number}")
        try:
            kept.hardlink_to(path)
        except FileExistsError:
            number += 1
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            try:
                write_file(kept, path.read_bytes())
            except FileExistsError:
                number += 1
            else:
                shutil.copystat(path, kept)
                return kept
        else:
            return kept
