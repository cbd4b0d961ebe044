"""The way of finished music into running sessions: what waits and for what, what failed and why."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music import __version__
from dgx_music.doctor.check import Check, info, ok, warning
from dgx_music.reading.permissions import PERMISSIONS_FILE, permissions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.delivery.ardour.health import SessionHealth
    from dgx_music.doctor.check import Surroundings
    from dgx_music.paths import Paths

__all__ = ["deliveries", "spool"]

_NAME = "Ardour sessions"
_ALIVE_S = 60
"""The hook writes every 10 s."""
_MOST_FAILURES = 5
_DELIVER = "dgx-music deliver"
_REMEDIES = {
    "vanished": "put the take back into the library, or make it again with 'dgx-music regenerate', then {deliver}",
    "damaged": "{deliver} copies it anew; if that fails too, 'dgx-music regenerate' makes it again",
    "rate": "ask again from the session as it is now; its sample rate has changed",
    "import": "free disk space in the session's folder, then {deliver}",
    "session": "{deliver} once the session is back where it was",
    "crashed": "save the session, then {deliver}; if Ardour ends again, report it",
    "internal": "{deliver}; if it fails again, report this line",
}


@dataclass(frozen=True)
class _Delivery:
    id: str
    job_id: str
    session_path: str
    state: str
    code: str
    message: str


def spool(surroundings: Surroundings) -> Iterator[Check]:
    """Every session that waits for music is open, lets it in, and takes it."""
    from dgx_music.delivery.ardour.health import spool_health  # noqa: PLC0415 - SQLAlchemy takes half a second

    waiting = [one for one in _deliveries(surroundings.paths) if one.state in ("waiting", "offered")]
    counts = Counter(one.session_path for one in waiting)
    known = spool_health(surroundings.paths.ardour_spool)
    for session in known:
        yield from _looked_at(session, surroundings.paths.ardour_spool / session.key)
        if count := counts.pop(session.path, 0):
            is_there = session.path_exists
            yield _waiting(Path(session.path), count, is_there, session.alive_age_s, session.may_import)
    for path, count in counts.items():  # nothing was put up there yet
        session_path = Path(path)
        may_import = permissions(session_path).get("import", False)
        yield _waiting(session_path, count, session_path.is_dir(), None, may_import)
    if not waiting:
        count = sum(_is_open(session.alive_age_s) for session in known)
        yield ok(_NAME, f"nothing waits to be put into a session{f'; {count} open in Ardour' * bool(count)}")


def deliveries(surroundings: Surroundings) -> Iterator[Check]:
    """What could not be delivered, why, and what mends it."""
    failed = [one for one in _deliveries(surroundings.paths) if one.state == "failed"]
    for one in failed[:_MOST_FAILURES]:
        deliver = f"'{_DELIVER} {one.job_id}'"
        remedy = _REMEDIES.get(one.code, "{deliver}").format(deliver=deliver)
        yield warning("delivery", f"{one.id} into {one.session_path}: {one.message or one.code}", remedy)
    if len(failed) > _MOST_FAILURES:
        more = len(failed) - _MOST_FAILURES
        yield info("delivery", f"{more} older ones failed too", "dgx-music deliveries lists them")


def _looked_at(session: SessionHealth, folder: Path) -> Iterator[Check]:
    is_open = _is_open(session.alive_age_s)
    if session.problems:
        yield info(_NAME, f"{session.path}: a script said: {session.problems[-1].get('message', '')}")
    if is_open and session.lua not in ("", __version__):
        yield info(
            _NAME,
            f"{session.path} is open with the scripts of version {session.lua}",
            "close it and open it again: then Ardour reads those of this version",
        )
    # The second name is for what was claimed a second time, after an Ardour that ended in the middle of it.
    if not is_open and any((folder / name).exists() for name in ("taken", "retaken")):
        yield warning(
            _NAME,
            f"{session.path}: Ardour went away while it took a delivery ({_heard(session.alive_age_s)})",
            "open the session in Ardour: it is looked at again",
        )


def _waiting(path: Path, count: int, is_there: bool, alive_age_s: float | None, may_import: bool) -> Check:
    what = f"{count} {'deliveries wait' if count > 1 else 'delivery waits'}"
    if not is_there:
        return warning(
            _NAME,
            f"{path} is gone; {what} for it",
            f"bring the folder back, or put the music elsewhere: {_DELIVER} JOB --into SESSION",
        )
    if not _is_open(alive_age_s):
        return info(
            _NAME,
            f"{path}: {what} until it is open in Ardour ({_heard(alive_age_s)})",
            "open it; if it is open, look above whether the hook is registered",
        )
    if not may_import:
        return warning(
            _NAME,
            f"{path} is open, but does not allow new tracks; {what}",
            "run the action 'DGX Music: Permissions…' in it, or write import = yes into "
            f"{path / PERMISSIONS_FILE}",
        )
    return info(
        _NAME,
        f"{path} is open; {what}, and nothing stands in the way",
        "nothing lands while Ardour records or the mouse moves; 'DGX Music: Fetch now' does it at once",
    )


def _deliveries(paths: Paths) -> list[_Delivery]:
    """Read what is not settled, newest first, without touching the database; empty where it knows no deliveries."""
    wanted = (
        "SELECT id, job_id, session_path, state, code, message FROM deliveries "
        "WHERE state IN ('waiting', 'offered', 'failed') ORDER BY seq DESC"
    )
    try:
        with closing(sqlite3.connect(f"{paths.database.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return [_Delivery(*row) for row in db.execute(wanted)]
    except sqlite3.Error:
        return []  # no database, or an older one: another check says so


def _is_open(alive_age_s: float | None) -> bool:
    return alive_age_s is not None and alive_age_s < _ALIVE_S


def _heard(alive_age_s: float | None) -> str:
    if alive_age_s is None:
        return "its hook has not been heard of yet"
    minutes = alive_age_s / 60
    since = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    return f"its hook was last heard of {since} ago"
