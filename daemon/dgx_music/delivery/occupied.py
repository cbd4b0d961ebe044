"""Tells whether an Ardour has a session open, in which case its file is not to be written.

There is no lock on a session. What can be seen: the hook in a session writes a sign of life every ten seconds; Ardour's
process names the session on its command line, or has audio of it open; and a session that was opened from Ardour's own
menu is among the newest in its list of recent ones. An Ardour that has left the session meanwhile can look the same: then
closing it helps.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.delivery.ardour.layout import Spool

__all__ = ["hook_lives", "open_snapshot", "pending_file", "why_open"]

_FRESH_S = 35.0
"""Three signs of life and a little: Ardour may be busy for a while."""
_ARDOUR = re.compile(r"h?ardour|luasession|mixbus", re.IGNORECASE)


def why_open(session_file: Path, spool: Spool, processes: Path = Path("/proc")) -> str | None:
    """Return what shows that an Ardour has this session, or a snapshot of it, open; `None` where nothing does.

    Args:
        session_file: the `.ardour` file.
        spool: where the hooks in sessions give signs of life.
        processes: the kernel's view of the running processes.
    """
    folder = session_file.resolve().parent
    if hook_lives(folder, spool):
        return "its hook gave a sign of life just now"
    running = list(_ardours(processes))
    for process in running:
        if reason := _why_open_in(process, folder):
            return f"{reason} (process {process.name})"
    by_configuration: dict[Path, list[Path]] = {}
    for process in running:
        if (configuration := _configuration(process)) is not None:
            by_configuration.setdefault(configuration, []).append(process)
    for configuration, own in by_configuration.items():
        if folder in _recent_sessions(configuration, len(own), min(map(_began, own))):
            return f"a running Ardour opened it last (process {', '.join(process.name for process in own)})"
    return None


def pending_file(session_file: Path) -> Path | None:
    """Return the file in which an Ardour that crashed, or still runs, kept unsaved work of this session."""
    pending = session_file.resolve().with_suffix(".pending")
    return pending if pending.exists() else None


def hook_lives(folder: Path, spool: Spool) -> bool:
    """Whether the hook in an Ardour has given a sign of life for a session in the last half a minute."""
    try:
        seen = spool.of(os.path.realpath(folder)).alive.stat().st_mtime
    except OSError:
        return False
    return abs(time.time() - seen) < _FRESH_S


def open_snapshot(folder: Path, spool: Spool) -> Path | None:
    """Return the file of the snapshot that a living hook has open in a session's folder; `None` where none says so."""
    if not hook_lives(folder, spool):
        return None
    try:
        said = json.loads(spool.of(os.path.realpath(folder)).alive.read_text(encoding="utf-8"))
        file = folder / f"{said['snapshot']}.ardour"
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return file if file.is_file() else None


def _ardours(processes: Path) -> Iterator[Path]:
    """The running processes of Ardour that this user may look into."""
    for process in processes.iterdir():
        if process.name.isdecimal() and _ARDOUR.match(_program(process)):
            yield process


def _program(process: Path) -> str:
    try:
        return os.path.basename(os.readlink(process / "exe"))  # noqa: PTH119, PTH115 - it may end in " (deleted)"
    except OSError:
        return ""


def _why_open_in(process: Path, folder: Path) -> str | None:
    if any(folder in (argument, argument.parent) for argument in _arguments(process)):
        return "a running Ardour was started with it"
    if any(opened.is_relative_to(folder) for opened in _open_files(process)):
        return "a running Ardour has a file of it open"
    return None


def _arguments(process: Path) -> list[Path]:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")[1:]
        started_in = Path(os.readlink(process / "cwd"))  # noqa: PTH115
    except OSError:
        return []
    return [
        Path(os.path.realpath(started_in / os.fsdecode(word)))
        for word in words
        if word and not word.startswith(b"-")
    ]


def _open_files(process: Path) -> list[Path]:
    found = []
    try:
        for descriptor in (process / "fd").iterdir():
            found.append(Path(os.readlink(descriptor)))  # noqa: PTH115, PERF401
    except OSError:
        pass  # the process has ended, or closed the file meanwhile
    return found


def _configuration(process: Path) -> Path | None:
    """The folder that holds `ardour7` and the like for a process, `~/.config` of whoever started it."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    environ = dict(variable.split(b"=", 1) for variable in variables if b"=" in variable)
    if base := environ.get(b"XDG_CONFIG_HOME"):
        return Path(os.fsdecode(base))
    home = environ.get(b"HOME")
    return Path(os.fsdecode(home)) / ".config" if home else None


def _began(process: Path) -> float:
    """When a process was started, in seconds since 1970 (proc(5), field 22 of stat); 0 where it has ended."""
    try:
        ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
        booted = re.search(r"^btime (\d+)$", (process.parent / "stat").read_text(), re.MULTILINE)
    except (OSError, ValueError, IndexError):
        return 0.0
    return int(booted[1]) + ticks / os.sysconf("SC_CLK_TCK") if booted else 0.0


def _recent_sessions(configuration: Path, count: int, since: float) -> set[Path]:
    """The sessions that were opened last, as many as there are Ardours running since then."""
    found: set[Path] = set()
    for recent in configuration.glob("ardour*/recent"):
        try:
            if recent.stat().st_mtime < since - 1:  # the start is known to the second
                continue
            lines = recent.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            continue
        found |= {Path(os.path.realpath(path)) for path in lines[1::2][:count]}
    return found
