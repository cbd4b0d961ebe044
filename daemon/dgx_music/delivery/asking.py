"""Fills in a request what a session's file says of the place where the takes are to land: rate, tempo, meter, length."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dgx_music.errors import RequestError
from dgx_music.request import MAX_DURATION_S
from dgx_music.request.prompt import read_prompt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from fractions import Fraction

    from ardour_session import Grid, GridChange, SessionDocument
    from dgx_music.delivery.position import Place

__all__ = ["fields_into", "landing_sample"]

_DEFAULT_DURATION_S = 16
_MAX_BARS = 512
"""More are refused where the request is checked."""


def landing_sample(document: SessionDocument, at: Place | None) -> int:
    """Return where takes land: at a place, or on the first bar line after the session's last region.

    Raises:
        SessionError: the session has no such bar.
    """
    grid = document.grid
    return grid.bar_line_from(document.end_samples) if at is None else at.sample(grid)


def fields_into(
    document: SessionDocument,
    given: Mapping[str, Any],
    at: Place | None,
    *,
    track: str | None = None,
    on_top: str | None = None,
    stems: bool = False,
) -> dict[str, Any]:
    """Return a request's fields with everything that the session decides.

    Tempo and meter are those at the place, and the whole tempo map where they change before the take ends; a tempo or
    meter among the given fields wins over the session's, and leaves the other of the two to it. A length in bars is that of the session's own bars.

    Args:
        document: the session, as it was saved last.
        given: the fields that the user named.
        at: where the takes land; by default on the first bar line after the last region.
        track: an existing track, or the name of a new one.
        on_top: `take` or `mine`.
        stems: whether the stems land too.

    Raises:
        RequestError: a given sample rate is not the session's.
        SessionError: the session has no such bar, or its tempo map makes no sense.
    """
    rate = document.session.sample_rate_hz
    if given.get("sample_rate", rate) != rate:
        raise RequestError(
            f"sample_rate: {given['sample_rate']} Hz is not the session's {rate} Hz; leave it out, and the session's is"
            " taken"
        )
    grid = document.grid
    start = landing_sample(document, at)
    target = {
        "path": os.path.realpath(document.path.parent),
        "position": start,
        "track": track,
        "on_top": on_top,
        "stems": stems or None,
    }
    filled = {
        **given,
        "sample_rate": rate,
        "session": {name: value for name, value in target.items() if value is not None},
    }
    if "bpm" in given:
        own = {} if "meter" in given else {"meter": _meter(grid.changes(start, start + 1)[0])}
        return filled | own
    own_meter = "meter" in given
    if own_meter and _bars(given) is not None:
        end = start + MAX_DURATION_S * rate  # where bars of another meter end, the request finds out
    else:
        end = _end(grid, start, _place_quarters(grid, start, at), given, rate)
    changes = grid.changes(start, min(end, start + MAX_DURATION_S * rate))
    if own_meter:
        changes = tuple(replace(change, meter=None) for change in changes)
    if len(changes) == 1 and changes[0].end_bpm is None:
        return filled | _point(changes[0], start, only=("bpm", "meter"))
    if _bars(given) is not None and not own_meter:
        filled.pop("bars", None)
        filled["samples"] = end - start
    return filled | {"tempo_map": [_point(change, start) for change in changes]}


def _place_quarters(grid: Grid, start: int, at: Place | None) -> Fraction:
    """The place in quarter notes, exact where it was named as a bar."""
    if at is not None and at.bar is not None:
        return grid.quarters_at_bar(at.bar, at.beat)
    return grid.quarters_at(start)


def _end(grid: Grid, start: int, quarters: Fraction, given: Mapping[str, Any], rate: int) -> int:
    """The sample at which a take with these fields ends, as far as it can be told before the fields are checked."""
    if (bars := _bars(given)) is not None:
        for _ in range(bars):
            quarters += grid.meter_at(grid.sample_at(quarters)).quarters_per_bar
        return grid.sample_at(quarters)
    if isinstance(samples := given.get("samples"), int):
        return start + samples
    duration_s = given.get("duration", _DEFAULT_DURATION_S)
    if not isinstance(duration_s, int | float) or not math.isfinite(duration_s):
        return start + 1
    return start + round(duration_s * rate)


def _bars(given: Mapping[str, Any]) -> int | None:
    """The length in bars, also where only the prompt names it; `None` where it is no length or another is given."""
    bars = given.get("bars")
    if bars is None and not {"duration", "samples"} & given.keys():
        bars = read_prompt(str(given.get("prompt", ""))).bars
    return bars if isinstance(bars, int) and 1 <= bars <= _MAX_BARS else None


def _point(
    change: GridChange, start: int, *, only: Collection[str] = ("at", "bpm", "end_bpm", "meter")
) -> dict[str, Any]:
    point = {
        "at": change.sample - start,
        "bpm": change.bpm,
        "end_bpm": change.end_bpm,
        "meter": _meter(change),
    }
    return {name: value for name, value in point.items() if name in only and value is not None}


def _meter(change: GridChange) -> str | None:
    return None if change.meter is None else f"{change.meter[0]}/{change.meter[1]}"
