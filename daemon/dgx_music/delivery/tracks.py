"""Makes the tracks of a session from a finished job: its takes as playlists of one, the first take's stems muted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ardour_session import AudioFile, Marker, Playlist, Region, RouteGroup, Track, legal_track_name
from dgx_music.delivery import labels

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.jobs import Job
    from dgx_music.library.take import StagedFile, Take

__all__ = ["AudioOf", "JobTracks", "TakenNames", "library_audio", "tracks_of"]

AudioOf = Callable[["StagedFile", int], AudioFile]
"""Gives the session's audio file for a file of the library and the number of its channels."""


@dataclass
class TakenNames:
    """The names in a session that a new thing must not have; every name given out is added."""

    tracks: set[str] = field(default_factory=set)
    """Of tracks, busses and VCAs."""
    playlists: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def track(self, name: str) -> str:
        """Give out a track's name."""
        return _given_out(legal_track_name(name), self.tracks)

    def playlist(self, name: str) -> str:
        """Give out a playlist's name."""
        return _given_out(name, self.playlists)

    def group(self) -> str:
        """Give out the name of a group of stems."""
        return _given_out(labels.group_name(), self.groups)


@dataclass(frozen=True)
class JobTracks:
    """A job in a session. Positions are samples of the session."""

    tracks: tuple[Track, ...]
    groups: tuple[RouteGroup, ...]
    marker: Marker
    start_samples: int
    end_samples: int
    """Where its longest take ends."""


def tracks_of(job: Job, start_samples: int, names: TakenNames, audio_of: AudioOf) -> JobTracks:
    """Return a completed job's tracks, with every region at `start_samples`.

    Args:
        job: has at least one take.
        start_samples: where its takes begin.
        names: what the session has already.
        audio_of: gives the session's audio file for a file of the library and its number of channels.
    """
    tracks = [_take_track(job, start_samples, names, audio_of)]
    groups: list[RouteGroup] = []
    stems = job.takes[0].files[1:]
    if stems:
        groups.append(RouteGroup(names.group(), labels.GROUP_COLOUR))
        tracks += [
            _stem_track(job, stem, index, groups[0].name, start_samples, names, audio_of)
            for index, stem in enumerate(stems)
        ]
    return JobTracks(
        tuple(tracks),
        tuple(groups),
        Marker(labels.title(job), start_samples),
        start_samples,
        start_samples + max(take.frames for take in job.takes),
    )


def library_audio(library: Path) -> AudioOf:
    """Return the `audio_of` of a new session: every file is taken in from the library under its own name."""

    def audio_of(file: StagedFile, channels: int) -> AudioFile:
        return AudioFile.taken_in(library / file.final, channels)

    return audio_of


def _take_track(job: Job, start_samples: int, names: TakenNames, audio_of: AudioOf) -> Track:
    name = names.track(labels.track_name(job))
    playlists = tuple(
        Playlist(
            names.playlist(labels.playlist_name(name, take)),
            (_region(labels.region_name(take), take, take.files[0], start_samples, audio_of),),
        )
        for take in job.takes
    )
    return Track(
        name,
        playlists[0],
        channel_count=job.takes[0].channels,
        other_playlists=playlists[1:],
        colour_rgba=labels.TAKE_COLOUR,
        comment=labels.comment(job),
    )


def _stem_track(
    job: Job,
    file: StagedFile,
    index: int,
    group: str,
    start_samples: int,
    names: TakenNames,
    audio_of: AudioOf,
) -> Track:
    take, stem = job.takes[0], file.stem or f"stem {index + 1}"
    name = names.track(labels.stem_track_name(take, stem))
    region = _region(labels.stem_region_name(take, stem), take, file, start_samples, audio_of)
    return Track(
        name,
        Playlist(names.playlist(name), (region,)),
        channel_count=take.channels,
        muted=True,
        colour_rgba=labels.stem_colour(index),
        group=group,
        comment=labels.stem_comment(job, take, stem),
    )


def _region(
    name: str,
    take: Take,
    file: StagedFile,
    start_samples: int,
    audio_of: AudioOf,
) -> Region:
    audio = audio_of(file, take.channels)
    return Region(name, audio.channels, take.frames, position_samples=start_samples)


def _given_out(name: str, taken: set[str]) -> str:
    free = labels.unused(name, taken)
    taken.add(free)
    return free
