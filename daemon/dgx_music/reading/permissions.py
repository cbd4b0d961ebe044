"""What the user of an Ardour session allows in it: a plain file beside the session, one `name = yes` a line.

It counts only where it is a regular file of our own user: nobody else's file opens a folder to us.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.errors import RequestError
from dgx_music.reading.files import need_inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.request import AudioExcerpt, GenerationRequest

__all__ = ["PERMISSIONS_FILE", "excerpt_paths", "need_readable", "permissions", "session_roots"]

PERMISSIONS_FILE = "dgx-music.permissions"
_AUDIO_FOLDER = "interchange"
_MAX_BYTES = 65_536


def permissions(session: Path) -> dict[str, bool]:
    """Return what a session's permission file says; nothing where there is none that counts.

    Args:
        session: the session's folder.
    """
    try:
        descriptor = os.open(
            session / PERMISSIONS_FILE,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
        )
    except (OSError, ValueError):
        return {}
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return {}
        text = os.read(descriptor, _MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    finally:
        os.close(descriptor)
    said: dict[str, bool] = {}
    for line in text.splitlines():
        name, equals, value = line.split("#", 1)[0].partition("=")
        if equals:
            said[name.strip().lower()] = value.strip().lower() == "yes"
    return said


def session_roots(session_path: str | None) -> tuple[Path, ...]:
    """Return the folder of a session's own audio where its user lets it be read (`read = yes`), else nothing.

    An audio folder that is a link to somewhere outside the session does not count: reading.roots can name it.
    """
    if session_path is None or "\0" in session_path or not Path(session_path).is_absolute():
        return ()
    session = Path(os.path.normpath(session_path))
    audio = session / _AUDIO_FOLDER
    if not Path(os.path.realpath(audio)).is_relative_to(os.path.realpath(session)):
        return ()
    return (audio,) if permissions(session).get("read", False) else ()


def excerpt_paths(excerpt: AudioExcerpt) -> list[str]:
    """Return all files that an excerpt is read from."""
    return list(dict.fromkeys([excerpt.path, *(source.path for source in excerpt.more)]))


def need_readable(request: GenerationRequest, roots: Sequence[Path]) -> None:
    """Refuse a request that names audio which may not be read, before anything else is done for it.

    Args:
        request: what was asked.
        roots: the folders that may be read for every request (`reading.roots`).

    Raises:
        RequestError: naming the file, and every way to allow it.
    """
    excerpts = {"continue_from": request.continue_from, "melody": request.melody}
    session_path = request.session.path if request.session else None
    problems = [
        f"{name}: {problem}"
        for name, excerpt in excerpts.items()
        if excerpt is not None
        for problem in _problems(excerpt_paths(excerpt), roots, session_path)
    ]
    if problems:
        raise RequestError(problems)


def _problems(paths: Sequence[str], roots: Sequence[Path], session_path: str | None) -> list[str]:
    found: list[str] = []
    all_roots = (*roots, *session_roots(session_path))
    for path in paths:
        try:
            need_inside(path, all_roots)
        except RequestError as err:
            found.append(f"{err}{_way_in(path, session_path)}")
    return found


def _way_in(path: str, session_path: str | None) -> str:
    """Say how the session's own permission would help, where it would."""
    if session_path is None:
        return ""
    session = Path(os.path.normpath(session_path))
    if not Path(os.path.normpath(path)).is_relative_to(session / _AUDIO_FOLDER):
        return ""
    return f"; or let this session's audio be read, by a line 'read = yes' in {session / PERMISSIONS_FILE}"
