"""Reads a session file into the model: files written here and files saved by Ardour 6 to 9.

The model is a view: what it does not know (plugins, automation, MIDI, bar markers) is not in it. `SessionDocument`
keeps the whole file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .elements import LOOP, MARK, RANGE, SESSION_RANGE
from .errors import SessionError
from .gain import gain_db
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
from .tempo_xml import read_tempo_map, superclocks_per_second, tempo_anchors
from .timeline_text import TimeReader
from .xml_file import parse_session_file, tag_of

if TYPE_CHECKING:
    from pathlib import Path

    from lxml.etree import _Element as Element

TEMPLATE_RATE_HZ = 48_000


def read_session(path: Path, *, template_rate_hz: int = TEMPLATE_RATE_HZ) -> Session:
    """Read a `.ardour` session file or a `.template`.

    Args:
        path: the file.
        template_rate_hz: the rate at which to state positions of a file that names none, as templates do.

    Raises:
        FileNotFoundError: there is no such file.
        SessionError: it is not a session that can be read; the message names the line.
    """
    return read_view(parse_session_file(path).getroot(), path, template_rate_hz=template_rate_hz)


def read_view(root: Element, path: Path, *, template_rate_hz: int = TEMPLATE_RATE_HZ) -> Session:
    """The model of a parsed session file; `path` serves its name and error messages."""
    try:
        return _SessionReader(root, template_rate_hz).session(path.stem)
    except SessionError as error:
        raise SessionError(str(error), path=path, line=error.line) from error


def session_rate_hz(root: Element) -> int | None:
    """The sample rate of a session file; `None` for a template.

    Raises:
        SessionError: what is there is no rate.
    """
    text = root.get("sample-rate")
    if text is None:
        return None
    # Ardour has written whole numbers since version 3, and reads others as well.
    whole = text.partition(".")[0]
    if not whole.isdecimal() or int(whole) < 1:
        raise SessionError(f"sample-rate={text!r} is no rate in Hz", line=root.sourceline)
    return int(whole)


def time_reader(root: Element, sample_rate_hz: int) -> TimeReader:
    tempo_map = _required_child(root, "TempoMap")
    return TimeReader(sample_rate_hz, superclocks_per_second(tempo_map), tempo_anchors(tempo_map))


class _SessionReader:
    def __init__(self, root: Element, template_rate_hz: int) -> None:
        self.root = root
        self.sample_rate_hz = session_rate_hz(root) or template_rate_hz
        self.times = time_reader(root, self.sample_rate_hz)
        self.sources = self._read_sources()

    def session(self, file_stem: str) -> Session:
        groups = [element for element in self.root.iterfind("RouteGroups/RouteGroup") if element.get("name")]
        group_of = {
            route_id: element.get("name")
            for element in groups
            for route_id in element.get("routes", "").split()
        }
        tracks = self._read_tracks(group_of)
        used = {
            source.file.name
            for track in tracks
            for playlist in track.playlists
            for region in playlist.regions
            for source in region.sources
        }
        unused = {
            source.file.name: source.file for source in self.sources.values() if source.file.name not in used
        }
        spans = {flag: self._spans(flag) for flag in (SESSION_RANGE, LOOP, MARK, RANGE)}
        description = self.root.find("description")
        return Session(
            name=self.root.get("name", file_stem),
            sample_rate_hz=self.sample_rate_hz,
            tempo_map=read_tempo_map(_required_child(self.root, "TempoMap")),
            tracks=tracks,
            groups=tuple(
                RouteGroup(
                    element.get("name", ""),
                    _colour(element.get("rgba")),
                    element.get("gain", "1") == "1" and element.get("mute", "1") == "1",
                )
                for element in groups
            ),
            markers=tuple(Marker(span.name, span.start_samples) for span in spans[MARK]),
            ranges=tuple(spans[RANGE]),
            loop=_only_span(spans[LOOP]),
            session_range=_only_span(spans[SESSION_RANGE]),
            master=MasterBus(self._master_gain_db()),
            other_files=tuple(unused.values()),
            description="" if description is None else description.text or "",
        )

    def _read_sources(self) -> dict[str, SourceChannel]:
        channels: dict[str, tuple[str, int]] = {}
        counts: dict[str, int] = {}
        for element in self.root.iter("Source"):
            if element.get("type", "audio") != "audio":
                continue
            name, channel = element.get("name", ""), _channel(element)
            channels[element.get("id", "")] = name, channel
            counts[name] = max(counts.get(name, 0), channel + 1)
        files = {name: AudioFile(name, count) for name, count in counts.items()}
        return {
            identifier: SourceChannel(files[name], channel)
            for identifier, (name, channel) in channels.items()
        }

    def _read_tracks(self, group_of: dict[str, str | None]) -> tuple[Track, ...]:
        playlists = [
            *self.root.iterfind("Playlists/Playlist"),
            *self.root.iterfind("UnusedPlaylists/Playlist"),
        ]
        by_id = {element.get("id"): element for element in playlists}
        routes = [route for route in self.root.iterfind("Routes/Route") if "audio-playlist" in route.attrib]
        active = {route.get("audio-playlist") for route in routes}
        tracks = []
        for route in sorted(routes, key=_presentation_order):
            playing = by_id.get(route.get("audio-playlist"))
            if playing is None:
                raise SessionError(
                    f"track {route.get('name')!r} plays playlist {route.get('audio-playlist')}, which is not there",
                    line=route.sourceline,
                )
            others = [
                element
                for element in playlists
                if element.get("orig-track-id") == route.get("id") and element.get("id") not in active
            ]
            tracks.append(self._track(route, playing, others, group_of))
        return tuple(tracks)

    def _track(
        self, route: Element, playing: Element, others: list[Element], group_of: dict[str, str | None]
    ) -> Track:
        presentation = route.find("PresentationInfo")
        mute = route.find("MuteMaster")
        return Track(
            name=route.get("name", ""),
            playlist=self._playlist(playing),
            channel_count=len(route.findall("IO[@direction='Input']/Port[@type='audio']")),
            other_playlists=tuple(self._playlist(element) for element in others),
            gain_db=_fader_db(route),
            muted=mute is not None and mute.get("muted") == "1",
            colour_rgba=None if presentation is None else _colour(presentation.get("color")),
            comment=route.findtext("Comment", ""),
            group=group_of.get(route.get("id", "")),
        )

    def _playlist(self, element: Element) -> Playlist:
        regions = sorted(element.iterfind("Region"), key=lambda region: _number(region, "layering-index", 0))
        return Playlist(element.get("name", ""), tuple(self._region(region) for region in regions))

    def _region(self, element: Element) -> Region:
        sources: list[SourceChannel] = []
        while (identifier := element.get(f"source-{len(sources)}")) is not None:
            if identifier not in self.sources:
                raise SessionError(
                    f"region {element.get('name')!r} plays source {identifier}, which is not there",
                    line=element.sourceline,
                )
            sources.append(self.sources[identifier])
        position, length, start = self.times.region_times(element)
        return Region(
            name=element.get("name", ""),
            sources=tuple(sources),
            length_samples=length,
            position_samples=position,
            start_samples=start,
            gain_db=gain_db(_number(element, "scale-amplitude", 1)),
            fades="1" in {element.get("fade-in-active", "1"), element.get("fade-out-active", "1")},
            muted=element.get("muted") == "1",
        )

    def _spans(self, flag: str) -> list[RangeMarker]:
        return [
            RangeMarker(
                element.get("name", ""),
                self.times.position(element, "start"),
                self.times.position(element, "end"),
            )
            for element in self.root.iterfind("Locations/Location")
            if flag in element.get("flags", "").split(",")
        ]

    def _master_gain_db(self) -> float:
        for route in self.root.iterfind("Routes/Route"):
            if "MasterOut" in route_flags(route):
                return _fader_db(route)
        return 0.0


def route_flags(route: Element) -> list[str]:
    """What a route is, such as `AudioTrack` or `MasterOut`."""
    presentation = route.find("PresentationInfo")
    return [] if presentation is None else presentation.get("flags", "").split(",")


def _presentation_order(route: Element) -> float:
    presentation = route.find("PresentationInfo")
    return 0.0 if presentation is None else _number(presentation, "order", 0)


def _fader_db(route: Element) -> float:
    control = route.find("Processor[@type='amp']/Controllable[@name='gaincontrol']")
    return 0.0 if control is None else gain_db(_number(control, "value", 1))


def _only_span(spans: list[RangeMarker]) -> TimeRange | None:
    """The one range of its kind; `None` if it is absent or, as in a template, empty."""
    if not spans or spans[0].end_samples <= spans[0].start_samples:
        return None
    return TimeRange(spans[0].start_samples, spans[0].end_samples)


def _colour(text: str | None) -> int | None:
    return int(text) or None if text is not None and text.isdecimal() else None


def _channel(source: Element) -> int:
    text = source.get("channel", "0")
    if not text.isdecimal():
        raise SessionError(
            f"<Source channel={text!r}> should be a channel, counted from 0", line=source.sourceline
        )
    return int(text)


def _number(element: Element, attribute: str, default: float) -> float:
    text = element.get(attribute)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        raise SessionError(
            f"<{tag_of(element)} {attribute}={text!r}> should be a number", line=element.sourceline
        ) from None


def _required_child(root: Element, tag: str) -> Element:
    child = root.find(tag)
    if child is None:
        raise SessionError(f"the session has no <{tag}>; Ardour would not load it", line=root.sourceline)
    return child
