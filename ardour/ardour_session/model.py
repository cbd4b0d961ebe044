"""What this package knows of an Ardour session, as plain data.

Positions and lengths are samples at the session's rate, colours are 0xRRGGBBAA, gains are decibels kept to 0.0001 dB
(Ardour stores a factor in single precision). Nothing here touches a file; `check.py` says what can be written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .tempo_map import TempoMap


@dataclass(frozen=True)
class SourceChannel:
    """One channel of an audio file, counted from 0: what one channel of a region plays."""

    file: AudioFile
    channel: int = 0


@dataclass(frozen=True)
class AudioFile:
    """An audio file that a session plays from.

    Attributes:
        name: a file name inside the session's `interchange/.../audiofiles/`, or an absolute path for a file that
            stays where it is.
        channel_count: the channels that the session uses.
        origin: where to take the file from when the session is written. It is not part of the session: a session
            that was read has none.
    """

    name: str
    channel_count: int = 2
    origin: Path | None = field(default=None, compare=False)

    @classmethod
    def taken_in(cls, origin: Path, channel_count: int = 2, name: str | None = None) -> AudioFile:
        """A file that becomes part of the session folder, under its own or another file name."""
        return cls(origin.name if name is None else name, channel_count, origin)

    @classmethod
    def left_outside(cls, path: Path, channel_count: int = 2) -> AudioFile:
        """A file that the session refers to by its absolute path."""
        return cls(str(path.absolute()), channel_count)

    @property
    def is_outside(self) -> bool:
        return PurePosixPath(self.name).is_absolute()

    @property
    def channels(self) -> tuple[SourceChannel, ...]:
        """All channels in order: the sources of a region that plays the whole file."""
        return tuple(SourceChannel(self, channel) for channel in range(self.channel_count))


@dataclass(frozen=True)
class Region:
    """A stretch of audio on a playlist.

    Attributes:
        sources: one source channel for each channel of the region.
        position_samples: where it starts on the timeline.
        start_samples: where it starts in its source.
        fades: Ardour's own fades of 64 samples at both ends; without them the region plays its file bit for bit.
    """

    name: str
    sources: tuple[SourceChannel, ...]
    length_samples: int
    position_samples: int = 0
    start_samples: int = 0
    gain_db: float = 0.0
    fades: bool = False
    muted: bool = False

    def __post_init__(self) -> None:
        _round_gain(self)

    @property
    def end_samples(self) -> int:
        return self.position_samples + self.length_samples


@dataclass(frozen=True)
class Playlist:
    """A named arrangement of regions; a track plays one of its playlists. Later regions lie above earlier ones."""

    name: str
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True)
class Track:
    """An audio track; `channel_count` is the number of its inputs, 1 for mono or 2 for stereo.

    Attributes:
        playlist: what the track plays.
        other_playlists: further takes, to be chosen in the track's playlist menu.
        group: the name of a `RouteGroup` of the session.
        colour_rgba: `None` lets Ardour choose.
    """

    name: str
    playlist: Playlist
    channel_count: int = 2
    other_playlists: tuple[Playlist, ...] = ()
    gain_db: float = 0.0
    muted: bool = False
    colour_rgba: int | None = None
    comment: str = ""
    group: str | None = None

    def __post_init__(self) -> None:
        _round_gain(self)

    @property
    def playlists(self) -> tuple[Playlist, ...]:
        """The active playlist, then the others."""
        return (self.playlist, *self.other_playlists)


@dataclass(frozen=True)
class RouteGroup:
    """A named group of tracks.

    Attributes:
        shares_controls: gain, mute, solo and record-enable of one member change all members. Off by default, so that
            muted stems and a sounding take can stand in one group.
    """

    name: str
    colour_rgba: int | None = None
    shares_controls: bool = False


@dataclass(frozen=True)
class Marker:
    """A named point on the timeline."""

    name: str
    position_samples: int


@dataclass(frozen=True)
class TimeRange:
    """A stretch of the timeline."""

    start_samples: int
    end_samples: int


@dataclass(frozen=True)
class RangeMarker:
    """A named stretch of the timeline."""

    name: str
    start_samples: int
    end_samples: int


@dataclass(frozen=True)
class MasterBus:
    """The stereo bus that all tracks play into."""

    gain_db: float = 0.0

    def __post_init__(self) -> None:
        _round_gain(self)


@dataclass(frozen=True)
class Session:
    """An Ardour session, or a session template.

    Attributes:
        name: a template in the file has neither a name nor a rate; its folder gives the name.
        sample_rate_hz: the rate of every position here and of every audio file.
        session_range: start and end of the piece, what an export renders; `None` spans all regions of the tracks.
        other_files: audio files in the region list that no playlist uses.
        description: what Ardour shows in its list of templates; it drops that of a session.
    """

    name: str
    sample_rate_hz: int = 48_000
    tempo_map: TempoMap = field(default_factory=TempoMap)
    tracks: tuple[Track, ...] = ()
    groups: tuple[RouteGroup, ...] = ()
    markers: tuple[Marker, ...] = ()
    ranges: tuple[RangeMarker, ...] = ()
    loop: TimeRange | None = None
    session_range: TimeRange | None = None
    master: MasterBus = field(default_factory=MasterBus)
    other_files: tuple[AudioFile, ...] = ()
    description: str = ""

    @property
    def regions(self) -> tuple[Region, ...]:
        """Every region on every playlist, in the order of tracks and playlists."""
        return tuple(
            region for track in self.tracks for playlist in track.playlists for region in playlist.regions
        )

    @property
    def audio_files(self) -> tuple[AudioFile, ...]:
        """Every audio file once, in order of first use; the same name from two origins counts twice."""
        used = [source.file for region in self.regions for source in region.sources]
        return tuple({(file, file.origin): file for file in (*used, *self.other_files)}.values())


def _round_gain(item: Region | Track | MasterBus) -> None:
    object.__setattr__(item, "gain_db", round(item.gain_db, 4))
