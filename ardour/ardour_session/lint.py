"""Finds what Ardour stays silent about, or crashes on, in a session.

It looks at the XML itself rather than at the model, because what it looks for cannot be modelled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .audio_files import audio_folder
from .errors import SessionError
from .names import TEMPLATE_SUFFIX
from .reader import session_rate_hz, time_reader
from .wav_header import WavHeader, read_wav_header
from .xml_file import parse_session_file, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml.etree import _Element as Element

    from .timeline_text import TimeReader


class Severity(StrEnum):
    """`error`: the session does not load or does not sound as it should; `warning`: it may surprise."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """Something wrong with a session.

    Attributes:
        code: a short name that stays the same, such as `missing-source`.
        severity: how bad it is.
        where: the element and its name or id, with its line in the file.
        message: what is wrong, what Ardour makes of it, and what would be right.
    """

    code: str
    severity: Severity
    where: str
    message: str


_NEEDED_SECTIONS = (
    "TempoMap",
    "Sources",
    "Regions",
    "Locations",
    "Playlists",
    "Routes",
    "RouteGroups",
    "Config",
)
_TEMPO_ATTRIBUTES = ("npm", "enpm", "note-type", "active", "sclock", "quarters", "bbt")
_METER_ATTRIBUTES = ("note-value", "divisions-per-bar", "sclock", "quarters", "bbt")
_TEMPO_ATTRIBUTES_6 = ("beats-per-minute", "end-beats-per-minute", "note-type", "frame", "movable", "active")
_METER_ATTRIBUTES_6 = ("divisions-per-bar", "note-type", "bbt", "frame", "movable")
_LOCATION_ATTRIBUTES = ("id", "name", "start", "end", "flags")


def lint(path: Path) -> list[Finding]:
    """Check a `.ardour` file, the audio that it plays, and what lies beside it.

    Returns:
        What was found, errors first; an empty list for a session without fault.

    Raises:
        FileNotFoundError: there is no such file.
        SessionError: the file cannot be parsed as a session at all.
    """
    root = parse_session_file(path).getroot()
    findings = list(_Linter(root, path).findings())
    return sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)


class _Linter:
    def __init__(self, root: Element, path: Path) -> None:
        self.root = root
        self.path = path
        self.headers: dict[str, WavHeader] = {}
        self.sample_rate_hz: int | None = None

    def findings(self) -> Iterator[Finding]:
        yield from self._sections()
        yield from self._tempo_map()
        yield from self._ids()
        yield from self._locations()
        yield from self._routes()
        yield from self._source_files()
        yield from self._regions()
        yield from self._pending()

    def _sections(self) -> Iterator[Finding]:
        for tag in _NEEDED_SECTIONS:
            if self.root.find(tag) is None:
                yield _error(
                    "missing-section", self.root, f"there is no <{tag}>: Ardour does not load the session"
                )
        if self.root.find("Config/Option[@name='native-file-data-format']") is None:
            message = (
                "<Config> has no option 'native-file-data-format': Ardour refuses the session with 'Cannot get"
                " samplerate from session'"
            )
            yield _error("missing-option", self.root, message)
        try:
            self.sample_rate_hz = session_rate_hz(self.root)
        except SessionError as error:
            yield _error("bad-sample-rate", self.root, str(error))
        if self.root.get("sample-rate") is None and self.path.suffix != TEMPLATE_SUFFIX:
            message = (
                "the session has no sample-rate: Ardour takes that of the sound card, and moves everything"
            )
            yield _error("missing-sample-rate", self.root, message)
        click = self.root.find("Click")
        if click is not None and len(click) == 0:
            yield _error(
                "empty-click", click, "Ardour 7 crashes on an empty <Click>: leave it out or give it an <IO>"
            )

    def _tempo_map(self) -> Iterator[Finding]:
        tempo_map = self.root.find("TempoMap")
        if tempo_map is None:
            return
        format_6 = tempo_map.find("Tempos") is None
        tempos = tempo_map.findall("Tempo" if format_6 else "Tempos/Tempo")
        meters = tempo_map.findall("Meter" if format_6 else "Meters/Meter")
        for kind, elements in (("tempo", tempos), ("meter", meters)):
            if not elements:
                yield _error(
                    "missing-tempo", tempo_map, f"the tempo map has no {kind}: it needs one at the start"
                )
        for element in tempos:
            yield from _absent(
                element, _TEMPO_ATTRIBUTES_6 if format_6 else _TEMPO_ATTRIBUTES, "missing-tempo-attribute"
            )
        for element in meters:
            yield from _absent(
                element, _METER_ATTRIBUTES_6 if format_6 else _METER_ATTRIBUTES, "missing-tempo-attribute"
            )

    def _ids(self) -> Iterator[Finding]:
        identified = [element for element in self.root.iter("*") if "id" in element.attrib]
        counts = Counter(element.get("id", "") for element in identified)
        for element in identified:
            if counts[element.get("id", "")] > 1:
                yield _error(
                    "duplicate-id",
                    element,
                    f"id {element.get('id')} is used {counts[element.get('id', '')]} times: Ardour finds only one of them",
                )
        counter = self.root.get("id-counter")
        highest = max((int(text) for text in counts if text.isdecimal()), default=0)
        if counter is not None and counter.isdecimal() and int(counter) <= highest:
            message = (
                f"id-counter is {counter}, but ids up to {highest} are in use: what the user makes next gets the id of"
                f" something else; it must be at least {highest + 1}"
            )
            yield _warning("low-id-counter", self.root, message)

    def _locations(self) -> Iterator[Finding]:
        locations = self.root.findall("Locations/Location")
        for location in locations:
            yield from _absent(location, _LOCATION_ATTRIBUTES, "missing-location-attribute")
        if not any("IsSessionRange" in location.get("flags", "") for location in locations):
            message = (
                "no location has the flag IsSessionRange: an export of the session has nothing to render"
            )
            yield _warning("missing-session-range", self.root, message)

    def _routes(self) -> Iterator[Finding]:
        routes = self.root.findall("Routes/Route")
        route_ids = {route.get("id") for route in routes}
        playlists = [
            *self.root.iterfind("Playlists/Playlist"),
            *self.root.iterfind("UnusedPlaylists/Playlist"),
        ]
        playlist_ids = {playlist.get("id") for playlist in playlists}
        for route in routes:
            for attribute in ("audio-playlist", "midi-playlist"):
                wanted = route.get(attribute)
                if wanted is not None and wanted not in playlist_ids:
                    message = f"it plays playlist {wanted}, which is not there: the track loads empty"
                    yield _error("unknown-playlist", route, message)
            if route.find("Processor[@type='amp']") is None:
                yield _error(
                    "missing-fader",
                    route,
                    "it has no Processor of type 'amp': Ardour complains at every load",
                )
            comment = route.find("Comment")
            if comment is not None and not comment.text:
                yield _error("empty-comment", route, "Ardour 7 crashes on an empty <Comment>: leave it out")
            for processor in route.findall("Processor"):
                yield from _absent(processor, ("type",), "missing-processor-type")
        for playlist in playlists:
            owner = playlist.get("orig-track-id")
            if owner not in {None, "0"} and owner not in route_ids:
                message = f"it belongs to track {owner}, which is not there: no track offers it"
                yield _warning("unknown-track", playlist, message)
        for group in self.root.iterfind("RouteGroups/RouteGroup"):
            for member in group.get("routes", "").split():
                if member not in route_ids:
                    message = f"it has member {member}, which is no track or bus: Ardour drops it"
                    yield _warning("unknown-group-member", group, message)

    def _source_files(self) -> Iterator[Finding]:
        for source in self.root.iterfind("Sources/Source"):
            if source.get("type", "audio") == "audio":
                yield from self._source_file(source)

    def _source_file(self, source: Element) -> Iterator[Finding]:
        name = source.get("name", "")
        path = self._locate(name)
        if path is None:
            folder = audio_folder(self.path.parent)
            message = f"{name!r} is not in {folder}: Ardour plays silence in its place without a word"
            if name.startswith("/"):
                message = f"{name!r} does not exist: Ardour plays silence in its place without a word"
            yield _error("missing-source", source, message)
            return
        try:
            header = self.headers[source.get("id", "")] = read_wav_header(path)
        except SessionError as error:
            if path.suffix.lower() == ".wav":
                yield _error("unreadable-source", source, str(error))
            return  # Ardour also plays FLAC, CAF and others, whose headers are not checked here
        session_rate = self.sample_rate_hz
        if session_rate is not None and header.sample_rate_hz != session_rate:
            message = (
                f"{path.name!r} has {header.sample_rate_hz} Hz in a session of {session_rate} Hz: Ardour plays it at the"
                " wrong pitch and speed; resample it"
            )
            yield _error("source-rate", source, message)
        channel = source.get("channel", "0")
        if not channel.isdecimal() or int(channel) >= header.channel_count:
            message = (
                f"it takes channel {channel!r} of {path.name!r}, which has {header.channel_count}, counted from 0: Ardour"
                " cannot open it"
            )
            yield _error("source-channel", source, message)

    def _locate(self, name: str) -> Path | None:
        """Ardour searches every audio folder of the session."""
        candidates = [self.path.parent / name]
        if not name.startswith("/"):
            candidates = [folder / name for folder in self.path.parent.glob("interchange/*/audiofiles")]
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def _regions(self) -> Iterator[Finding]:
        known = {source.get("id") for source in self.root.iter("Source")}
        times = self._times()
        for region in self.root.iter("Region"):
            needed = (
                ("name", "id", "length", "source-0")
                if region.get("type", "audio") == "audio"
                else ("name", "id")
            )
            yield from _absent(region, needed, "missing-region-attribute")
            for attribute in ("source", "master-source"):
                channel = 0
                while (wanted := region.get(f"{attribute}-{channel}")) is not None:
                    if wanted not in known:
                        message = (
                            f"{attribute}-{channel} is {wanted}, which is no source: Ardour drops the region"
                        )
                        yield _error("unknown-source", region, message)
                    channel += 1
            if times is not None:
                yield from self._region_length(region, times)

    def _region_length(self, region: Element, times: TimeReader) -> Iterator[Finding]:
        header = self.headers.get(region.get("source-0", ""))
        if header is None:
            return
        try:
            _, length, start = times.region_times(region)
        except SessionError as error:
            yield _error("bad-time", region, str(error))
            return
        if start + length > header.frames:
            message = (
                f"it plays samples {start} to {start + length} of a source of {header.frames}: Ardour 7 shortens it"
                " without a word"
            )
            yield _error("region-past-source", region, message)

    def _times(self) -> TimeReader | None:
        rate = self.sample_rate_hz
        try:
            return None if rate is None else time_reader(self.root, rate)
        except SessionError:
            return None  # the tempo map is unreadable, which has its own findings

    def _pending(self) -> Iterator[Finding]:
        pending = self.path.with_name(f"{self.path.stem}.pending")
        if pending.exists():
            message = (
                f"{pending.name} lies beside it, left by a crash: Ardour loads that instead, after asking or, without a"
                " window, without a word"
            )
            yield _warning("pending-file", self.root, message)


def _absent(element: Element, attributes: tuple[str, ...], code: str) -> Iterator[Finding]:
    absent = [attribute for attribute in attributes if attribute not in element.attrib]
    if absent:
        yield _error(code, element, f"it has no {', '.join(absent)}: Ardour drops it, or crashes")


def _error(code: str, element: Element, message: str) -> Finding:
    return Finding(code, Severity.ERROR, _where(element), message)


def _warning(code: str, element: Element, message: str) -> Finding:
    return Finding(code, Severity.WARNING, _where(element), message)


def _where(element: Element) -> str:
    name = element.get("name") or element.get("id") or ""
    return (
        f"{tag_of(element)} {name!r}, line {element.sourceline}"
        if name
        else f"{tag_of(element)}, line {element.sourceline}"
    )
