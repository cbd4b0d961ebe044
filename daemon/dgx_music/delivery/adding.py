"""Adds finished jobs to a session or a template that exists, on the bars of its own tempo map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ardour_session import AudioFile, TimeRange
from dgx_music.delivery.job_tempo import known_tempo, place_jobs, tempo_map_of
from dgx_music.delivery.tracks import TakenNames, library_audio, tracks_of
from dgx_music.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ardour_session import SessionDocument
    from dgx_music.delivery.position import Place
    from dgx_music.delivery.tracks import AudioOf, JobTracks
    from dgx_music.jobs import Job
    from dgx_music.library.take import StagedFile

__all__ = ["Added", "add_jobs", "need_rate", "take_over_tempo", "tempo_remarks"]

_SAME_BPM = 0.01


@dataclass(frozen=True)
class Added:
    """What was added, and what the user should know of it."""

    jobs: tuple[JobTracks, ...]
    remarks: tuple[str, ...]


def take_over_tempo(document: SessionDocument, jobs: Sequence[Job]) -> bool:
    """Give a session made of a template the jobs' tempo and meter; False where the template's own is kept.

    A template keeps a tempo map on which more depends than its markers, and any where no job knows its tempo.
    """
    if document.has_own_tempo_map or not any(known_tempo(job) for job in jobs):
        return False
    document.set_tempo_map(tempo_map_of(place_jobs(jobs)))
    return True


def add_jobs(
    document: SessionDocument, jobs: Sequence[Job], library: Path, at: Place | None = None, *, audio: Path
) -> Added:
    """Add completed jobs as tracks, one job after the other, each on a bar line of the session's tempo map.

    Args:
        document: the session; it changes, its file does not.
        jobs: have takes.
        library: the library's root.
        at: where the first job goes; by default onto the first bar line after the last region.
        audio: the session's folder of audio files, which need not be there.

    Raises:
        RequestError: the takes have another sample rate than the session.
        SessionError: the session has no such bar, or is not what Ardour needs.
    """
    present = document.session
    need_rate(jobs, present.sample_rate_hz)
    grid = document.grid
    names = TakenNames(
        set(document.route_names), set(document.playlist_names), {group.name for group in present.groups}
    )
    audio_of = _audio_beside({file.name: file for file in present.audio_files}, library, audio)
    added: list[JobTracks] = []
    remarks: list[str] = []
    start = grid.bar_line_from(document.end_samples) if at is None else at.sample(grid)
    for job in jobs:
        made = tracks_of(job, start, names, audio_of)
        added.append(made)
        remarks += tempo_remarks(job, grid.bpm_at(start))
        start = grid.bar_line_from(made.end_samples)
    document.append(
        [track for made in added for track in made.tracks],
        groups=[group for made in added for group in made.groups],
        markers=[made.marker for made in added],
        loop=TimeRange(added[0].start_samples, added[0].end_samples),
    )
    return Added(tuple(added), tuple(remarks))


def need_rate(jobs: Sequence[Job], rate: int) -> None:
    """Refuse jobs whose takes have another sample rate than the session.

    Raises:
        RequestError: naming each, and what helps.
    """
    wrong = [job for job in jobs if {take.sample_rate_hz for take in job.takes} != {rate}]
    if wrong:
        raise RequestError(
            [
                f"{job.id} has {job.takes[0].sample_rate_hz} Hz, the session {rate} Hz: Ardour would play it at the wrong"
                f" pitch; make it again with --sample-rate {rate} --seed {job.request.seed}"
                for job in wrong
            ]
        )


def tempo_remarks(job: Job, bpm: float) -> list[str]:
    """Return what is to be said of a job whose tempo is not that of the session where it begins."""
    own = known_tempo(job)
    if own is None or abs(own - bpm) < _SAME_BPM:
        return []
    return [
        f"{job.id} plays at {own:g} BPM, the session there at {bpm:g}: it begins on the bar and then drifts off"
    ]


def _audio_beside(present: dict[str, AudioFile], library: Path, folder: Path) -> AudioOf:
    """Audio that the session has is used again; under a name that only the folder has, a number is added."""
    fresh = library_audio(library)

    def audio_of(file: StagedFile, channels: int) -> AudioFile:
        wanted = fresh(file, channels)
        if wanted.name in present:
            return present[wanted.name]
        stem, number, name = wanted.name.removesuffix(".wav"), 2, wanted.name
        while (folder / name).exists():
            name = f"{stem}-{number}.wav"
            number += 1
        return AudioFile.taken_in(library / file.final, channels, name)

    return audio_of
