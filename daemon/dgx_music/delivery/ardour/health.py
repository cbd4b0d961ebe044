"""How the spool stands, for `doctor`: looked at from outside, with no daemon needed. Blocking."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgx_music.delivery.ardour.layout import Spool
from dgx_music.delivery.ardour.reports import noted_problems
from dgx_music.reading.permissions import permissions

if TYPE_CHECKING:
    from dgx_music.jobs.deliveries import Deliveries, Delivery

__all__ = ["SessionHealth", "spool_health"]

_MAX_BYTES = 4096


@dataclass(frozen=True)
class SessionHealth:
    """How one session's folder in the spool stands."""

    key: str
    """The folder's name."""
    path: str
    """The session's own folder; empty where it is not known."""
    path_exists: bool
    alive_age_s: float | None
    """How long ago the hook in Ardour last said that it lives; `None` if it never did."""
    snapshot: str
    """What it had open then."""
    lua: str
    """The version of the scripts that ran there."""
    next: bool
    """Whether a delivery is offered."""
    taken: bool
    """Whether one is claimed and not yet dealt with."""
    may_import: bool
    """Whether the session's permissions let deliveries in."""
    problems: tuple[dict[str, Any], ...]
    """What the scripts met, newest last: `at`, `code`, `message`, `count`."""
    deliveries: tuple[Delivery, ...]
    """Those that failed or have something in their way, newest first."""


def spool_health(root: Path, deliveries: Deliveries | None = None) -> list[SessionHealth]:
    """Return how each session's folder stands, the one that lived last first.

    Args:
        root: the spool.
        deliveries: where the records are looked up, if there is a database.
    """
    troubled = deliveries.troubled(100) if deliveries is not None else []
    found = []
    for spool in Spool(root).all():
        said = _alive(spool.alive)
        found.append(
            SessionHealth(
                key=spool.folder.name,
                path=spool.session_path,
                path_exists=bool(spool.session_path) and spool.session_is_there(),
                alive_age_s=_age_s(spool.alive),
                snapshot=str(said.get("snapshot", "")),
                lua=str(said.get("lua", "")),
                next=os.path.lexists(spool.next),
                taken=os.path.lexists(spool.taken),
                may_import=bool(spool.session_path)
                and permissions(Path(spool.session_path)).get("import", False),
                problems=tuple(noted_problems(spool)),
                deliveries=tuple(one for one in troubled if one.session_path == spool.session_path),
            )
        )
    never = float("inf")
    return sorted(found, key=lambda one: never if one.alive_age_s is None else one.alive_age_s)


def _alive(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _age_s(path: Path) -> float | None:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None
