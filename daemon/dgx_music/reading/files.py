"""Opens a file that somebody named, and nothing outside the folders that may be read.

The file is somebody else's: its path may lead anywhere. Nothing here imports anything heavy.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["need_inside", "open_inside"]


def need_inside(text: str, roots: Sequence[Path]) -> Path:
    """Return the path that a text stands for, where it reads as if it lay in one of the folders; nothing is looked up.

    Args:
        text: a whole path.
        roots: the folders that may be read, with all that lies below them.

    Raises:
        RequestError: it is no whole path, or lies outside.
    """
    if not roots:
        raise RequestError(
            "no folder may be read from; name the folders that hold your audio in reading.roots"
        )
    lexical = Path(os.path.normpath(text))
    if "\0" in text or not lexical.is_absolute():
        raise RequestError(
            f"{text!r} is not a whole path; give one that starts with /, inside a folder of reading.roots"
        )
    # Nothing is looked up that does not at least read as if it were inside: not even whether it exists.
    if not any(lexical.is_relative_to(root) for root in (*roots, *map(_real, roots))):
        raise RequestError(f"{text!r} lies outside: {_allowed(roots)}")
    return lexical


def open_inside(text: str, roots: Sequence[Path]) -> int:
    """Return a descriptor, for reading only, of a regular file below one of the roots, wherever links and races may point.

    Args:
        text: a whole path.
        roots: the folders that may be read, with all that lies below them.

    Raises:
        RequestError: the path may not be read, or is no regular file.
    """
    need_inside(text, roots)
    real_roots = [_real(root) for root in roots]
    try:
        real = Path(text).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as err:
        raise RequestError(f"{text!r} cannot be opened: {_reason(err)}") from err
    if not any(real.is_relative_to(root) for root in real_roots):
        raise RequestError(f"{text!r} leads outside through a link: {_allowed(roots)}")
    try:
        # Asked before opening too, because opening a device may already do something.
        _need_regular(text, real.lstat().st_mode)
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as err:
        raise RequestError(f"{text!r} cannot be opened: {_reason(err)}") from err
    try:
        _need_regular(text, os.fstat(descriptor).st_mode)
        _need_opened_inside(text, Path(f"/proc/self/fd/{descriptor}").readlink(), real_roots)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _allowed(roots: Sequence[Path]) -> str:
    return f"only what lies in {', '.join(str(root) for root in roots)} may be read (reading.roots)"


def _need_opened_inside(text: str, opened: Path, real_roots: Sequence[Path]) -> None:
    if not any(opened.is_relative_to(root) for root in real_roots):
        raise RequestError(f"{text!r} was moved while it was opened; try again")


def _need_regular(text: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise RequestError(f"{text!r} is a folder; name an audio file in it")
    if not stat.S_ISREG(mode):
        raise RequestError(f"{text!r} is no ordinary file, but a device, pipe or socket; name an audio file")


def _real(root: Path) -> Path:
    return Path(os.path.realpath(root))


def _reason(err: Exception) -> str:
    return err.strerror if isinstance(err, OSError) and err.strerror else str(err)
