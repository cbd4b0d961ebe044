"""Writes a file so that nobody sees half of it: beside its place, synced, then moved there."""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.library.publish import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["create_file", "keep_copy", "replace_file"]


def create_file(path: Path, content: bytes) -> None:
    """Write a new file.

    Raises:
        FileExistsError: there is one already; it is left as it is.
        OSError: it cannot be written; nothing is left of it.
    """
    with _written_beside(path, content) as part:
        os.link(part, path)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, in place of the one that is there.

    Raises:
        OSError: it cannot be written; the old one is left.
    """
    with _written_beside(path, content) as part:
        part.replace(path)


def keep_copy(path: Path, copy: Path) -> Path:
    """Copy a file beside itself before it is changed.

    Args:
        path: the file.
        copy: the name wanted for the copy; where that is taken, a number is put behind it.

    Returns:
        The copy: an earlier one if that is the same.

    Raises:
        OSError: it cannot be read or written.
    """
    content = path.read_bytes()
    for number in itertools.count(1):
        place = copy if number == 1 else copy.with_name(f"{copy.name}-{number}")
        try:
            create_file(place, content)
        except FileExistsError:
            if not place.is_file() or place.read_bytes() != content:
                continue
        break
    return place


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fchmod(
                opened.fileno(), 0o644
            )  # mkstemp gives 0600, and Ardour's folders are commonly readable
            os.fsync(opened.fileno())
        yield part
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
