"""Reads a claimed file: never a link, a pipe or a device, never more of it than is allowed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dgx_music.errors import RequestError
from dgx_music.surfaces.dropfolder.formats import parse, unknown_format
from dgx_music.surfaces.dropfolder.names import FORMATS, suffix_of
from dgx_music.surfaces.dropfolder.readiness import Writer, find_writer, why_unusable

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StillWrittenError", "read_claimed"]


class StillWrittenError(Exception):
    """Raised when somebody opened the file for writing in the instant before it was claimed."""


def read_claimed(path: Path, max_bytes: int, max_jobs: int) -> list[dict[str, Any]]:
    """Return the jobs that a claimed file asks for.

    Raises:
        RequestError: the file is not one that can be used; says why and what would be right.
        StillWrittenError: it is being written to.
        OSError: it cannot be read.
    """
    reason = why_unusable(path.lstat().st_mode)
    if reason:
        raise RequestError(reason)
    if suffix_of(path.name) not in FORMATS:
        raise RequestError(unknown_format(path.name))
    if find_writer(path) is Writer.PRESENT:
        raise StillWrittenError
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        reason = why_unusable(found.st_mode)
        if reason:
            raise RequestError(reason)
        data = file.read(max_bytes + 1) if found.st_size <= max_bytes else b""
    if found.st_size > max_bytes or len(data) > max_bytes:
        raise RequestError(
            f"the file has {found.st_size} bytes; at most {max_bytes} are read (inbox.max_file_bytes); "
            "split it, or is it not a prompt file?"
        )
    return parse(path.name, data, max_jobs)
