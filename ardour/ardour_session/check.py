"""What a session must fulfil before it is written.

Ardour loads most nonsense without a word and plays something else; here it is refused with the reason.
"""

from __future__ import annotations

from collections import Counter
from math import inf, isfinite
from typing import TYPE_CHECKING

from .errors import SessionError
from .gain import MAX_FADER_DB
from .names import file_name_problem, label_problem, session_name_problem, text_problem, track_name_problem
from .superclock import SUPERCLOCKS_PER_SECOND
from .timeline_text import FileFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .model import AudioFile, Region, RouteGroup, Session, TimeRange, Track
    from .tempo_map import TempoMap


def check_writable(session: Session, file_format: FileFormat = FileFormat.ARDOUR_7) -> None:
    """Refuse a session that Ardour would not load as it is meant.

    Raises:
        SessionError: lists everything that is wrong.
    """
    problems = list(_problems(session))
    if file_format is FileFormat.ARDOUR_6:
        problems.extend(_format_6_problems(session.tempo_map))
    if problems:
        raise SessionError(f"session {session.name!r} cannot be written: " + "; ".join(problems))


def _problems(session: Session) -> Iterator[str]:
    yield from _named("session", [session.name], session_name_problem)
    rate = session.sample_rate_hz
    if rate < 8000 or SUPERCLOCKS_PER_SECOND % rate:
        yield f"Ardour cannot place samples exactly at a rate of {rate} Hz; 44100, 48000 or 96000 are usual"
    tracks = session.tracks
    playlists = [playlist.name for track in tracks for playlist in track.playlists]
    yield from _named("track", [track.name for track in tracks], track_name_problem)
    yield from _named("playlist", playlists, label_problem)
    yield from _named("group", [group.name for group in session.groups], label_problem)
    yield from _repeated("track", [track.name for track in tracks])
    yield from _repeated("playlist", playlists)
    yield from _repeated("group", [group.name for group in session.groups])
    yield from _named("marker", [marker.name for marker in session.markers], label_problem)
    yield from _named("range", [marker.name for marker in session.ranges], label_problem)
    if problem := text_problem(session.description):
        yield f"the description cannot stand in XML: {problem}"
    for track in tracks:
        yield from _track_problems(track, session.groups)
    for region in session.regions:
        yield from _region_problems(region)
    yield from _file_problems(session.audio_files)
    for group in session.groups:
        yield from _colour_problem("group", group.name, group.colour_rgba)
    if not _is_gain(session.master.gain_db, MAX_FADER_DB):
        yield f"the master's gain is {session.master.gain_db} dB; Ardour's faders end at +{MAX_FADER_DB:g} dB"
    yield from _span_problems(session)


def _format_6_problems(tempo_map: TempoMap) -> Iterator[str]:
    """What Ardour 7.3 gets wrong when it converts the tempo map of format 6000 (`TempoMap::set_state_3x`)."""
    for tempo in tempo_map.tempos:
        if tempo.end_bpm is not None:
            yield f"the tempo glides from quarter {tempo.quarters}: Ardour 7 loses a glide of the Ardour 6 format"
        if tempo.note_type != 4:
            yield (
                f"the tempo at quarter {tempo.quarters} counts notes of 1/{tempo.note_type}: Ardour 7 reads quarter"
                f" notes from the Ardour 6 format; state {tempo.quarters_per_minute} quarter notes per minute instead"
            )
        if tempo.quarters.denominator != 1:
            yield (
                f"the tempo changes at quarter {tempo.quarters}: Ardour 7 moves a change of the Ardour 6 format to a"
                " whole quarter note"
            )


def _track_problems(track: Track, groups: Iterable[RouteGroup]) -> Iterator[str]:
    if track.channel_count not in {1, 2}:
        yield f"track {track.name!r} has {track.channel_count} channels; mono (1) and stereo (2) can be written"
    if not _is_gain(track.gain_db, MAX_FADER_DB):
        yield f"track {track.name!r} has a gain of {track.gain_db} dB; Ardour's faders end at +{MAX_FADER_DB:g} dB"
    if track.group is not None and track.group not in {group.name for group in groups}:
        yield f"track {track.name!r} is in group {track.group!r}, which the session does not have"
    if problem := text_problem(track.comment):
        yield f"the comment of track {track.name!r} cannot stand in XML: {problem}"
    yield from _colour_problem("track", track.name, track.colour_rgba)
    for playlist in track.playlists:
        for region in playlist.regions:
            if len(region.sources) > track.channel_count:
                yield (
                    f"region {region.name!r} has {len(region.sources)} channels, but its track {track.name!r} plays"
                    f" only {track.channel_count}"
                )


def _region_problems(region: Region) -> Iterator[str]:
    yield from _named("region", [region.name], label_problem)
    if region.length_samples < 1 or region.position_samples < 0 or region.start_samples < 0:
        yield (
            f"region {region.name!r} is {region.length_samples} samples long, at {region.position_samples}, from"
            f" {region.start_samples} in its source: the length must be at least 1 and the others at least 0"
        )
    if not region.sources:
        yield f"region {region.name!r} has no source"
    if not _is_gain(region.gain_db, inf):
        yield f"region {region.name!r} has a gain of {region.gain_db} dB"
    for source in region.sources:
        if not 0 <= source.channel < source.file.channel_count:
            yield (
                f"region {region.name!r} plays channel {source.channel} of {source.file.name!r}, whose"
                f" {source.file.channel_count} channels count from 0"
            )


def _file_problems(files: tuple[AudioFile, ...]) -> Iterator[str]:
    # Files that differ in anything are different here, but under one name they would be one file in the session.
    yield from _repeated("audio file", [file.name for file in files])
    for file in files:
        problem = text_problem(file.name) if file.is_outside else file_name_problem(file.name)
        if problem:
            yield f"an audio file cannot be named {file.name!r}: {problem}"
        if file.channel_count < 1:
            yield f"audio file {file.name!r} has {file.channel_count} channels"


def _span_problems(session: Session) -> Iterator[str]:
    spans: list[tuple[str, TimeRange | None]] = [
        ("loop", session.loop),
        ("session range", session.session_range),
    ]
    for name, span in spans:
        if span is not None and not 0 <= span.start_samples < span.end_samples:
            yield f"the {name} runs from {span.start_samples} to {span.end_samples}: it must start at 0 or later and end after"
    for marker in session.ranges:
        if not 0 <= marker.start_samples < marker.end_samples:
            yield f"range {marker.name!r} runs from {marker.start_samples} to {marker.end_samples}"
    for point in session.markers:
        if point.position_samples < 0:
            yield f"marker {point.name!r} stands at {point.position_samples}, before the start"


def _named(kind: str, names: Iterable[str], problem_of: Callable[[str], str | None]) -> Iterator[str]:
    for name in names:
        if problem := problem_of(name):
            yield f"a {kind} cannot be named {name!r}: {problem}"


def _repeated(kind: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{count} different {kind}s are named {name!r}; names must differ"


def _colour_problem(kind: str, name: str, colour_rgba: int | None) -> Iterator[str]:
    if colour_rgba is not None and not 0 < colour_rgba <= 0xFFFFFFFF:
        yield f"{kind} {name!r} has colour {colour_rgba:#x}; colours read 0xRRGGBBAA, and None lets Ardour choose"


def _is_gain(gain_db: float, highest_db: float) -> bool:
    return gain_db == -inf or (isfinite(gain_db) and gain_db <= highest_db)
