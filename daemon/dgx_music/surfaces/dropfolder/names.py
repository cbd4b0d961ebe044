"""Which names in the drop folder are prompt files, and what the files beside them are called."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ERROR_SUFFIX",
    "FORMATS",
    "RECEIPT_SUFFIX",
    "is_passed_over",
    "numbered_names",
    "printable",
    "suffix_of",
]

FORMATS = (".txt", ".md", ".json", ".toml", ".csv")
RECEIPT_SUFFIX = ".receipt.json"
ERROR_SUFFIX = ".error.txt"
_MAX_NAME_BYTES = 255
_ROOM_FOR_NUMBER_BYTES = 8
# Editors, browsers and sync tools write under such names and rename when they are done; Vim probes a folder
# with a file named 4913.
_PASSED_OVER = re.compile(
    r"^\.|~$|^#.*#$|^4913$|\.(tmp|temp|part|partial|crdownload|download|swp|swx|swo)$|\.error\.txt$|\.receipt\.json$",
    re.IGNORECASE,
)


def is_passed_over(name: str) -> bool:
    """Whether the file is somebody's temporary file, or one of our own answers."""
    return _PASSED_OVER.search(name) is not None


def suffix_of(name: str) -> str:
    """The extension in small letters, with its dot; empty if there is none."""
    return PurePath(name).suffix.lower()


def numbered_names(name: str) -> Iterator[str]:
    """Yield the name, then `name-2`, `name-3` …, each short enough to carry a longer suffix as well."""
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    if len(os.fsencode(suffix)) > 32:  # no extension, but a dot early in a long name
        stem, suffix = name, ""
    room = _MAX_NAME_BYTES - len(os.fsencode(suffix)) - len(RECEIPT_SUFFIX) - _ROOM_FOR_NUMBER_BYTES
    stem = _cut(stem, room)
    yield stem + suffix
    number = 2
    while True:
        yield f"{stem}-{number}{suffix}"
        number += 1


def printable(name: str) -> str:
    """The name as text; bytes that are not UTF-8 become question marks."""
    return os.fsencode(name).decode("utf-8", "replace")


def _cut(stem: str, room: int) -> str:
    data = os.fsencode(stem)
    if len(data) <= room:
        return stem
    while room and data[room] & 0xC0 == 0x80:  # not in the middle of a UTF-8 character
        room -= 1
    return os.fsdecode(data[:room])
