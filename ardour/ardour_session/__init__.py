"""Reads and writes Ardour sessions and session templates.

A session is plain data (`Session`, `Track`, `Region` and so on). `write_session` makes a session folder of it that
Ardour opens without a complaint, `read_session` gets it back, also from sessions that Ardour saved. `SessionDocument`
adds tracks to a session without losing what this package does not know of. `write_template` and `instantiate` do the
same for templates, and `lint` finds what Ardour keeps silent about.

    take = AudioFile.taken_in(Path("library/take1.wav"))
    region = Region("take 1", take.channels, length_samples=768_000)
    track = Track("take", Playlist("take 1", (region,)))
    write_session(Session("Dusty", 48_000, TempoMap.constant(93.5), (track,)), Path("sessions/Dusty"))
"""

from __future__ import annotations

from .audio_files import audio_folder
from .document import OtherRoute, SessionDocument
from .errors import SessionError
from .grid import Grid, GridChange
from .lint import Finding, Severity, lint
from .model import (
    AudioFile,
    Marker,
    MasterBus,
    Playlist,
    RangeMarker,
    Region,
    RouteGroup,
    Session,
    SourceChannel,
    TimeRange,
    Track,
)
from .names import legal_session_name, legal_track_name
from .reader import read_session
from .shipped import shipped_templates, write_shipped_templates
from .template import instantiate, write_template
from .tempo_map import BarBeatTick, MeterChange, TempoChange, TempoMap
from .timeline_text import FileFormat
from .wav_header import WavHeader, read_wav_header
from .writer import write_session

__all__ = [
    "AudioFile",
    "BarBeatTick",
    "FileFormat",
    "Finding",
    "Grid",
    "GridChange",
    "Marker",
    "MasterBus",
    "MeterChange",
    "OtherRoute",
    "Playlist",
    "RangeMarker",
    "Region",
    "RouteGroup",
    "Session",
    "SessionDocument",
    "SessionError",
    "Severity",
    "SourceChannel",
    "TempoChange",
    "TempoMap",
    "TimeRange",
    "Track",
    "WavHeader",
    "audio_folder",
    "instantiate",
    "legal_session_name",
    "legal_track_name",
    "lint",
    "read_session",
    "read_wav_header",
    "shipped_templates",
    "write_session",
    "write_shipped_templates",
    "write_template",
]
