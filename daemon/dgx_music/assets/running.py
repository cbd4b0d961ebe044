"""Finds the Ardours that run: each keeps its scripts and configuration in memory, and writes them back over its files."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["running_ardours"]

# The program itself, `ardour-7.3.0~ds0`; not its tools, which leave the configuration alone: `ardour7-export`.
_PROGRAM = re.compile(r"ardour(?:-(\d+)\.\S*|\d*)")

_PATIENCE_S = 1.0


def running_ardours(folder: Path, processes: Path = Path("/proc")) -> list[int]:
    """Return the process ids of this user's Ardours whose configuration folder this is, or may be.

    Args:
        folder: a configuration folder, such as `~/.config/ardour8`.
        processes: the kernel's process files.
    """
    return sorted(pid for pid, path in _ardours(processes, folder.name) if path in (None, folder.resolve()))


def _ardours(processes: Path, name: str) -> Iterator[tuple[int, Path | None]]:
    """Give each Ardour, and the folder of that name that it would use; `None` where there is no telling."""
    for entry in processes.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            program = _program(entry)
            match = _PROGRAM.fullmatch(program)
            if not match or (match[1] and f"ardour{match[1]}" != name):
                continue
            yield int(entry.name), _configuration(entry, name)
        except OSError:
            continue  # it has ended meanwhile


def _program(entry: Path) -> str:
    try:
        return (entry / "exe").readlink().name.removesuffix(" (deleted)")
    except PermissionError:
        return Path(os.fsdecode((entry / "cmdline").read_bytes().split(b"\0")[0])).name


def _configuration(entry: Path, name: str) -> Path | None:
    try:
        content = (entry / "environ").read_bytes()
        until = time.monotonic() + _PATIENCE_S
        while not content and time.monotonic() < until:  # it is just being started
            time.sleep(0.01)
            content = (entry / "environ").read_bytes()
    except PermissionError:
        return None
    environ = dict(pair.split(b"=", 1) for pair in content.split(b"\0") if b"=" in pair)
    base, home = environ.get(b"XDG_CONFIG_HOME"), environ.get(b"HOME")
    if base is not None:
        return (Path(os.fsdecode(base)) / name).resolve()
    return (Path(os.fsdecode(home)) / ".config" / name).resolve() if home else None
