"""Builds Ardour sessions from finished jobs.

Each job gets one track whose playlists are its takes, the first active, and a muted track for each stem of the
first take, in a group; so the session sounds like the take until somebody opens the stems. Jobs stand one after
the other, each on a bar line, with a marker and its own tempo and meter.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ardour_session import (
    AudioFile,
    Marker,
    MeterChange,
    Playlist,
    Region,
    RouteGroup,
    Session,
    SessionError,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
    legal_session_name,
    legal_track_name,
    write_session,
)
from dgx_music.errors import LibraryError, RequestError
from dgx_music.library.naming import slug
from dgx_music.library.publish import sync_folder
from dgx_music.request import Meter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.jobs import Job
    from dgx_music.library.take import StagedFile, Take

__all__ = ["session_from_jobs", "session_name", "write_job_session"]

_TAKE_COLOUR = 0x5A8FD6FF
_GROUP_COLOUR = 0x6E7F99FF
_STEM_COLOURS = (0xD65A5AFF, 0xD6A85AFF, 0x6FB86FFF, 0xA56FD6FF, 0x5AB8B8FF, 0xB8B85AFF)
_FALLBACK_BPM = 120.0


@dataclass(frozen=True)
class _Placed:
    """A job with the bar that it starts on, counted from 1, and that bar's place in quarter notes."""

    job: Job
    bar: int
    quarters: Fraction
    bpm: float
    meter: Meter


def write_job_session(job: Job, library: Path, staging: Path) -> Path:
    """Write a job's session beside its takes; return the `.ardour` file.

    Called again after a crash, it finds the session that it wrote: a session folder appears whole or not at all.

    Args:
        job: a job whose takes are published.
        library: the library's root.
        staging: on the library's file system; what a crash leaves of a half-built session stays here.

    Raises:
        LibraryError: the session cannot be written.
        OSError: the same, where the file system says so.
    """
    name = session_name(job)
    folder = (library / job.takes[0].files[0].final).parent / name
    if not folder.is_dir():
        built = staging / name
        shutil.rmtree(built, ignore_errors=True)
        staging.mkdir(parents=True, exist_ok=True)
        try:
            write_session(session_from_jobs([job], library, name), built)
        except SessionError as err:
            raise LibraryError(f"the session {name} could not be written: {err}") from err
        built.rename(folder)
        sync_folder(folder.parent)
    return folder / f"{name}.ardour"


def session_name(job: Job) -> str:
    """Return the name of a job's own session: its first words and its id."""
    return legal_session_name(f"{slug(_title(job, 60), 48) or 'session'}_{job.id}")


def session_from_jobs(jobs: Sequence[Job], library: Path, name: str) -> Session:
    """Lay completed jobs out as a session.

    Raises:
        RequestError: there is no take to place, or the takes have different sample rates.
    """
    rates = {take.sample_rate_hz for job in jobs for take in job.takes}
    if not rates:
        raise RequestError("none of these jobs has a take; only completed jobs can become a session")
    if len(rates) > 1:
        listing = ", ".join(f"{rate} Hz" for rate in sorted(rates))
        raise RequestError(f"the takes have different sample rates ({listing}); a session has one")
    rate = rates.pop()
    placed = _place([job for job in jobs if job.takes])
    tempo_map = _tempo_map(placed)
    tracks: list[Track] = []
    groups: list[RouteGroup] = []
    markers: list[Marker] = []
    starts: list[int] = []
    names: set[str] = set()
    for item in placed:
        start = tempo_map.sample_at(item.quarters, rate)
        starts.append(start)
        markers.append(Marker(_title(item.job, 60), start))
        tracks.append(_take_track(item.job, library, start, names))
        stems = item.job.takes[0].files[1:]
        if stems:
            group = RouteGroup("Stems" if not groups else f"Stems {len(groups) + 1}", _GROUP_COLOUR)
            groups.append(group)
            tracks += [
                _stem_track(item.job, stem, library, start, names, index, group.name)
                for index, stem in enumerate(stems)
            ]
    ends = [
        start + max(take.frames for take in item.job.takes)
        for item, start in zip(placed, starts, strict=True)
    ]
    return Session(
        name=name,
        sample_rate_hz=rate,
        tempo_map=tempo_map,
        tracks=tuple(tracks),
        groups=tuple(groups),
        markers=tuple(markers),
        loop=TimeRange(starts[0], ends[0]),
        session_range=TimeRange(0, max(ends)),
    )


def _place(jobs: Sequence[Job]) -> list[_Placed]:
    placed: list[_Placed] = []
    bar, quarters = 1, Fraction(0)
    for job in jobs:
        first = job.takes[0]
        bpm = first.bpm or job.request.bpm or first.tempo_measured_bpm or _FALLBACK_BPM
        meter = Meter.parse(first.meter) if first.meter else job.request.time_signature
        placed.append(_Placed(job, bar, quarters, bpm, meter))
        longest_s = max(take.duration_s for take in job.takes)
        # A take that fills its bars to the sample must not spill into one more by a rounding of its length.
        bars = math.ceil(longest_s * bpm / 60 / float(meter.quarters_per_bar) - 1e-4)
        bar += bars
        quarters += bars * meter.quarters_per_bar
    return placed


def _tempo_map(placed: Sequence[_Placed]) -> TempoMap:
    tempos: list[TempoChange] = []
    meters: list[MeterChange] = []
    for item in placed:
        tempo = TempoChange(Fraction(item.bpm), item.quarters)
        if not tempos or tempos[-1].bpm != tempo.bpm:
            tempos.append(tempo)
        meter = MeterChange(item.meter.beats, item.meter.note_value, item.bar)
        if not meters or (meters[-1].beats_per_bar, meters[-1].note_value) != (
            meter.beats_per_bar,
            meter.note_value,
        ):
            meters.append(meter)
    return TempoMap(tuple(tempos), tuple(meters))


def _take_track(job: Job, library: Path, start: int, names: set[str]) -> Track:
    # A track header in Ardour shows some 17 characters; the marker and the comment say the rest.
    name = _unused(f"[{job.engine}] takes", names)
    playlists = tuple(
        Playlist(
            f"{name} {take.index + 1}",
            (_region(f"[{take.engine}] take {take.index + 1}", take, take.files[0], library, start),),
        )
        for take in job.takes
    )
    first = job.takes[0]
    kind = f"AI-generated, model {first.model}" if first.neural else "Procedural, no neural model"
    seeds = "\n".join(f"take {take.index + 1}: seed {take.seed}" for take in job.takes)
    return Track(
        name,
        playlists[0],
        channel_count=first.channels,
        other_playlists=playlists[1:],
        colour_rgba=_TAKE_COLOUR,
        comment=f"{kind} ({first.engine} {first.engine_version})\n{job.request.prompt}\n{seeds}\n{job.id}",
    )


def _stem_track(
    job: Job, stem: StagedFile, library: Path, start: int, names: set[str], index: int, group: str
) -> Track:
    take = job.takes[0]
    name = _unused(f"[{take.engine}] {stem.stem}", names)
    region = _region(f"[{take.engine}] {stem.stem}", take, stem, library, start)
    return Track(
        name,
        Playlist(name, (region,)),
        channel_count=take.channels,
        muted=True,
        colour_rgba=_STEM_COLOURS[index % len(_STEM_COLOURS)],
        group=group,
        comment=f"The {stem.stem} of take 1 of {job.id}; muted, since the take above holds it",
    )


def _region(name: str, take: Take, file: StagedFile, library: Path, start: int) -> Region:
    audio = AudioFile.taken_in(library / file.final, take.channels)
    return Region(name, audio.channels, take.frames, position_samples=start)


def _title(job: Job, length: int) -> str:
    """Return the prompt's first clause, short enough for a track header."""
    words = job.request.prompt.split(",")[0].replace("/", "-").replace(":", " ").strip() or "take"
    return legal_track_name(words if len(words) <= length else words[:length].rsplit(" ", 1)[0])


def _unused(name: str, names: set[str]) -> str:
    wanted = candidate = legal_track_name(name)
    number = 2
    while candidate in names:
        candidate = f"{wanted} {number}"
        number += 1
    names.add(candidate)
    return candidate
