"""The one exception of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SessionError(Exception):
    """A session cannot be read or written; the message says what, where, and what would be right.

    Attributes:
        path: the file or folder that the message is about, if there is one.
        line: the line in that file, counted from 1, if there is one.
    """

    def __init__(self, message: str, *, path: Path | None = None, line: int | None = None) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)
        self.path = path
        self.line = line
