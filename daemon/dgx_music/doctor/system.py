"""Python, its packages, and what the operating system grants us."""

from __future__ import annotations

import locale
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from dgx_music.doctor.check import Check, info, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.doctor.check import Surroundings

__all__ = ["file_watches", "packages", "python", "requirement_problem", "text_encoding"]

_OLDEST_PYTHON = (3, 11)
_WATCHES_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
_INSTANCES_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
_WATCHES_WANTED = 1024
_INSTANCES_WANTED = 16


def python(_: Surroundings) -> Iterator[Check]:
    """The interpreter is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _OLDEST_PYTHON:
        yield ok("Python", f"{version} ({sys.executable})")
    else:
        yield problem(
            "Python", f"{version} is too old", "install Python 3.11 or newer, then ./install.sh again"
        )


def packages(_: Surroundings) -> Iterator[Check]:
    """Everything that the package needs is installed, in a version that will do. Nothing is imported."""
    try:
        wanted = metadata.requires("dgx-music") or []
    except metadata.PackageNotFoundError:
        yield problem("packages", "dgx-music runs without being installed", "run ./install.sh")
        return
    wrong = [finding for finding in map(requirement_problem, wanted) if finding]
    if wrong:
        yield problem("packages", "; ".join(wrong), "run ./install.sh again: it brings them up to date")
    else:
        yield ok("packages", f"dgx-music {metadata.version('dgx-music')}, all that it needs is installed")


def text_encoding(_: Surroundings) -> Iterator[Check]:
    """File names and terminals speak UTF-8, so that prompts in any language become names."""
    names, text = sys.getfilesystemencoding().lower(), locale.getpreferredencoding(do_setlocale=False).lower()
    if names == "utf-8" and text.replace("-", "") == "utf8":
        yield ok("text encoding", "UTF-8")
    else:
        yield warning(
            "text encoding",
            f"file names are {names}, text is {text}: names and prompts beyond ASCII may come out wrong",
            "set a UTF-8 locale, such as LANG=C.UTF-8",
        )


def file_watches(surroundings: Surroundings) -> Iterator[Check]:
    """The kernel grants the drop folder its inotify watches."""
    if not surroundings.config.inbox.enabled or surroundings.config.inbox.observer == "polling":
        return
    try:
        watches, instances = (int(path.read_text()) for path in (_WATCHES_LIMIT, _INSTANCES_LIMIT))
    except (OSError, ValueError):
        yield info(
            "file watches",
            "this system does not tell its inotify limits",
            'if the drop folder stays deaf, set inbox.observer = "polling"',
        )
        return
    if watches < _WATCHES_WANTED or instances < _INSTANCES_WANTED:
        yield warning(
            "file watches",
            f"this user may have {watches} inotify watches and {instances} instances, which editors alone can use up",
            "sudo sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=128, "
            'or set inbox.observer = "polling"',
        )
    else:
        yield ok("file watches", f"{watches} inotify watches, {instances} instances")


def requirement_problem(text: str, extra: str = "") -> str:
    """Say what is wrong with a requirement of ours; empty where nothing is, or where it is of another extra.

    Args:
        text: as `Requires-Dist` has it.
        extra: the extra that is asked about, empty for what is always needed.
    """
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return f"{text!r} cannot be read"
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
        return ""
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return f"{wanted.name} is missing"
    if not wanted.specifier.contains(version, prereleases=True):
        return f"{wanted.name} is {version}, wanted is {wanted.specifier}"
    return ""
