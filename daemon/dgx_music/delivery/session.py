"""Builds Ardour sessions from finished jobs.

Each job gets one track whose playlists are its takes, the first active, and a muted track for each stem of the
first take, in a group; so the session sounds like the take until somebody opens the stems. Jobs stand one after
the other, each on a bar line, with a marker and its own tempo and meter.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from ardour_session import (
    Session,
    SessionError,
    TimeRange,
    legal_session_name,
    write_session,
)
from dgx_music.delivery import labels
from dgx_music.delivery.job_tempo import place_jobs, tempo_map_of
from dgx_music.delivery.tracks import TakenNames, library_audio, tracks_of
from dgx_music.errors import LibraryError, RequestError
from dgx_music.library.naming import slug
from dgx_music.library.publish import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.jobs import Job

__all__ = ["session_from_jobs", "session_name", "write_job_session"]


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
    return legal_session_name(f"{slug(labels.title(job), 48) or 'session'}_{job.id}")


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
    placed = place_jobs([job for job in jobs if job.takes])
    tempo_map = tempo_map_of(placed)
    names, audio_of = TakenNames(), library_audio(library)
    made = [tracks_of(item.job, tempo_map.sample_at(item.quarters, rate), names, audio_of) for item in placed]
    return Session(
        name=name,
        sample_rate_hz=rate,
        tempo_map=tempo_map,
        tracks=tuple(track for one in made for track in one.tracks),
        groups=tuple(group for one in made for group in one.groups),
        markers=tuple(one.marker for one in made),
        loop=TimeRange(made[0].start_samples, made[0].end_samples),
        session_range=TimeRange(0, max(one.end_samples for one in made)),
    )
