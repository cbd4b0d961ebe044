"""What Ardour's scripts say of deliveries: small JSON files that others wrote, so whatever they hold is possible."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.delivery.ardour.layout import is_safe_id, write_beside

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.delivery.ardour.layout import SessionSpool

__all__ = ["KINDS", "NonsenseError", "Report", "note_problem", "noted_problems", "read_report"]

KINDS = ("landed", "failed", "removed", "saved", "problem")
_MAX_BYTES = 64 * 1024
_MAX_TEXT = 2_000
_MAX_PROBLEMS = 100


class NonsenseError(Exception):
    """Raised when a report cannot be understood; says why."""


@dataclass(frozen=True)
class Report:
    """What a script says of a delivery, or of itself."""

    kind: str
    """One of `KINDS`."""
    delivery: str | None
    offer: int | None
    """Which offer it is about; `None` where it does not say."""
    code: str
    message: str
    snapshot: str


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        NonsenseError: it is none.
        FileNotFoundError: there is no such file any more.
        OSError: it cannot be read.
    """
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError) as err:
        raise NonsenseError(f"it is no JSON: {err}") from err
    if not isinstance(data, dict):
        raise NonsenseError("it is no JSON object")
    kind, delivery, offer = data.get("kind"), data.get("delivery"), data.get("offer")
    if kind not in KINDS:
        raise NonsenseError(f"its kind is {kind!r:.100}; known are {', '.join(KINDS)}")
    if delivery is None and kind not in ("saved", "problem"):
        raise NonsenseError(f"it says {kind}, but not which delivery")
    if delivery is not None and not is_safe_id(delivery):
        raise NonsenseError(f"{delivery!r:.100} is no delivery")
    return Report(
        kind=kind,
        delivery=delivery,
        offer=_whole(offer),
        code=_shown(data.get("code")),
        message=_shown(data.get("message")),
        snapshot=_shown(data.get("snapshot")),
    )


def note_problem(spool: SessionSpool, code: str, message: str) -> None:
    """Add to what went wrong in a session; the same thing again is counted, and the oldest are forgotten.

    Raises:
        OSError: it cannot be written.
    """
    known = noted_problems(spool)
    count = 1
    for problem in known:
        if (problem.get("code"), problem.get("message")) == (code, message):
            known.remove(problem)
            count += _whole(problem.get("count")) or 0
            break
    known.append({"at": int(time.time()), "code": code, "message": message, "count": count})
    lines = "".join(json.dumps(problem) + "\n" for problem in known[-_MAX_PROBLEMS:])
    write_beside(spool.problems, lines.encode())


def noted_problems(spool: SessionSpool) -> list[dict[str, Any]]:
    """Return what went wrong in a session, newest last: `at` in seconds since 1970, `code`, `message`, `count`."""
    try:
        lines = spool.problems.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            problem = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(problem, dict):
            found.append(problem)
    return found


def _text(path: Path) -> str:
    # Neither a link nor a pipe is followed: only a file that somebody wrote into the spool counts.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NonsenseError("it is no plain file")
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise NonsenseError(f"it is longer than {_MAX_BYTES} bytes")
    return content.decode("utf-8", "replace")


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _shown(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()[:_MAX_TEXT]
