"""What a delivered take is called and how it looks in Ardour: the same in sessions and on a running timeline.

Everything that was made here says so: the engine's name in brackets stands in every track and region, and the
track's comment says whether a neural model made it, of which prompt and with which seeds. Nothing here imports
the session package, so the daemon can use it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from dgx_music.jobs import Job
    from dgx_music.library.take import Take

__all__ = [
    "GROUP_COLOUR",
    "TAKE_COLOUR",
    "comment",
    "group_name",
    "playlist_name",
    "region_name",
    "stem_colour",
    "stem_comment",
    "stem_region_name",
    "stem_track_name",
    "title",
    "track_name",
    "unused",
]

TAKE_COLOUR = 0x5A8FD6FF
"""Of a track with takes, 0xRRGGBBAA like every colour here."""
GROUP_COLOUR = 0x6E7F99FF
_STEM_COLOURS = (0xD65A5AFF, 0xD6A85AFF, 0x6FB86FFF, 0xA56FD6FF, 0x5AB8B8FF, 0xB8B85AFF)

_MAX_NAME_BYTES = 80
"""Ardour makes port names of at most some 100 bytes of a track's name; the rest is for a number at its end."""
_NOT_IN_A_NAME = re.compile(r"[:\x00-\x1f\x7f]")


def title(job: Job, length: int = 60) -> str:
    """Return the first clause of a job's prompt, at most `length` characters: a marker's text."""
    words = job.request.prompt.split(",")[0].replace("/", "-").replace(":", " ").strip()
    return _legal(words if len(words) <= length else words[:length].rsplit(" ", 1)[0]) or "take"


def track_name(job: Job) -> str:
    """Return the name of the track that holds a job's takes: a header in Ardour shows some 17 characters of it."""
    return _legal(f"[{job.engine}] {title(job, 32)}")


def playlist_name(track: str, take: Take) -> str:
    """Return the name of a take's playlist on a track; Ardour itself numbers the playlists of a track so."""
    return f"{track} {take.index + 1}"


def region_name(take: Take) -> str:
    """Return the name of a take's region."""
    return _legal(f"[{take.engine}] take {take.index + 1}")


def comment(job: Job) -> str:
    """Return the comment of a job's track: what made it, the prompt, each take's seed, the job's id."""
    first = job.takes[0]
    kind = f"AI-generated, model {first.model}" if first.neural else "Procedural, no neural model"
    seeds = "\n".join(f"take {take.index + 1}: seed {take.seed}" for take in job.takes)
    return f"{kind} ({first.engine} {first.engine_version})\n{job.request.prompt}\n{seeds}\n{job.id}"


def stem_track_name(take: Take, stem: str) -> str:
    """Return the name of the track that holds one part of a take."""
    return _legal(f"[{take.engine}] {stem}")


def stem_region_name(take: Take, stem: str) -> str:
    """Return the name of the region that holds one part of a take."""
    return stem_track_name(take, stem)


def stem_comment(job: Job, take: Take, stem: str) -> str:
    """Return the comment of a part's track."""
    return f"The {stem} of take {take.index + 1} of {job.id}; muted, since the take above holds it"


def stem_colour(index: int) -> int:
    """Return the colour of a take's part, counted from 0."""
    return _STEM_COLOURS[index % len(_STEM_COLOURS)]


def group_name(taken: Collection[str] = ()) -> str:
    """Return the name of a group of parts that is none of `taken`."""
    return unused("Stems", taken)


def unused(name: str, taken: Collection[str]) -> str:
    """Return `name`, or with the lowest number from 2 behind it that makes it none of `taken`."""
    candidate, number = name, 2
    while candidate in taken:
        candidate = f"{name} {number}"
        number += 1
    return candidate


def _legal(name: str) -> str:
    """Return the nearest name that Ardour takes: a colon, which separates client and port, becomes a hyphen."""
    legal = _NOT_IN_A_NAME.sub("-", name).strip()
    return legal.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").strip()
