"""Puts new tracks, groups and markers into the XML of a session that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from .elements import LOOP, MARK, PLAYBACK, RANGE, SESSION_RANGE, SessionElements
from .model import RangeMarker, TimeRange
from .reader import route_flags
from .timeline_text import FileFormat, TimeWriter
from .xml_file import format_version

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from .model import AudioFile, Session, Track


def new_files(present: Session, additions: Session) -> list[AudioFile]:
    """The files that the session does not have yet; a region may also play one that it has."""
    known = {file.name for file in present.audio_files}
    return [file for file in additions.audio_files if file.name not in known]


class Additions:
    """Adds what a session of additions holds to the XML of the present session, with fresh ids."""

    def __init__(self, root: Element, present: Session) -> None:
        self.root = root
        self.present = present
        version = format_version(root)
        file_format = FileFormat.ARDOUR_6 if version < 7000 else FileFormat.ARDOUR_7
        self.make = SessionElements(
            TimeWriter(file_format, present.sample_rate_hz), version, next_id=_first_free_id(root)
        )
        for source in root.iter("Source"):
            key = source.get("name", ""), int(source.get("channel", "0"))
            self.make.source_ids[key] = source.get("id", "")

    def add(self, additions: Session) -> list[AudioFile]:
        files = new_files(self.present, additions)
        self._append("Sources", [element for file in files for element in self.make.sources(file)])
        track_ids = self._add_tracks(additions.tracks)
        for group in additions.groups:
            members = [track_ids[track.name] for track in additions.tracks if track.group == group.name]
            self._append("RouteGroups", [self.make.group(group, members)])
        new_groups = {group.name for group in additions.groups}
        for track in additions.tracks:
            if track.group is not None and track.group not in new_groups:
                self._join(track.group, track_ids[track.name])
        points = [
            RangeMarker(mark.name, mark.position_samples, mark.position_samples) for mark in additions.markers
        ]
        self._append("Locations", [self.make.location(point.name, MARK, point) for point in points])
        self._append("Locations", [self.make.location(span.name, RANGE, span) for span in additions.ranges])
        self._grow_session_range(additions)
        if additions.loop is not None and self.present.loop is None:
            self._set_span("Loop", LOOP, additions.loop)
        self.root.set("id-counter", str(self.make.next_id))
        return files

    def _add_tracks(self, tracks: tuple[Track, ...]) -> dict[str, str]:
        presentations = self.root.iterfind("Routes/Route/PresentationInfo")
        order = 1 + max((int(info.get("order", "0")) for info in presentations), default=0)
        outputs = self._master_inputs()
        track_ids: dict[str, str] = {}
        for index, track in enumerate(tracks):
            track_id = track_ids[track.name] = self.make.fresh_id()
            active = self.make.playlist(track.playlist, track_id)
            self._append("Playlists", [active])
            others = [self.make.playlist(playlist, track_id) for playlist in track.other_playlists]
            self._append("UnusedPlaylists", others)
            route = self.make.track(track, order + index, track_id, active.get("id", ""), outputs)
            self._append("Routes", [route])
        return track_ids

    def _master_inputs(self) -> tuple[str, ...]:
        for route in self.root.iterfind("Routes/Route"):
            if "MasterOut" in route_flags(route):
                ports = route.findall("IO[@direction='Input']/Port[@type='audio']")
                return tuple(port.get("name", "") for port in ports)
        return PLAYBACK

    def _join(self, group: str, track_id: str) -> None:
        for element in self.root.iterfind("RouteGroups/RouteGroup"):
            if element.get("name") == group:
                element.set("routes", " ".join([*element.get("routes", "").split(), track_id]))

    def _grow_session_range(self, additions: Session) -> None:
        regions = additions.regions
        if not regions or self.root.get("session-range-is-free", "1") != "1":
            return
        start = min(region.position_samples for region in regions)
        end = max(region.end_samples for region in regions)
        present = self.present.session_range
        if present is not None:
            start, end = min(start, present.start_samples), max(end, present.end_samples)
        self._set_span("session", SESSION_RANGE, TimeRange(start, end))

    def _set_span(self, name: str, flag: str, span: TimeRange) -> None:
        """Set the one location of its kind, or make it: Ardour keeps none for a session that never had a region."""
        for element in self.root.iterfind("Locations/Location"):
            if flag in element.get("flags", "").split(","):
                element.set("start", self.make.times.position(span.start_samples))
                element.set("end", self.make.times.position(span.end_samples))
                return
        self._append("Locations", [self.make.location(name, flag, span)])

    def _append(self, holder_tag: str, elements: list[Element]) -> None:
        if not elements:
            return
        holder = self.root.find(holder_tag)
        if holder is None:
            holder = etree.SubElement(self.root, holder_tag)
        for element in elements:
            etree.indent(element, level=2)
            element.tail = "\n    "
        if len(holder):
            holder[-1].tail = "\n    "
        else:
            holder.text = "\n    "
        holder.extend(elements)
        holder[-1].tail = "\n  "


def _first_free_id(root: Element) -> int:
    ids = (int(element.get("id", "")) for element in root.iter("*") if element.get("id", "").isdecimal())
    counter = root.get("id-counter", "0")
    return max(1 + max(ids, default=0), int(counter) if counter.isdecimal() else 0)
