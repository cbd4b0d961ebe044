"""Writes a session as a new folder that Ardour opens without a complaint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from .audio_files import audio_folder, check_audio, take_all_in
from .check import check_writable
from .elements import LOOP, MARK, MASTER_INPUTS, RANGE, SESSION_RANGE, SessionElements
from .model import RangeMarker, TimeRange
from .names import SESSION_SUFFIX
from .tempo_xml import tempo_map_element
from .timeline_text import FileFormat, TimeWriter
from .xml_file import new_folder, serialise, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lxml.etree import _Element as Element

    from .model import Session


def write_session(
    session: Session,
    folder: Path,
    *,
    file_format: FileFormat = FileFormat.ARDOUR_7,
    hard_link: bool = True,
) -> Path:
    """Write a session folder: `NAME.ardour` and the audio below `interchange/`.

    The folder is built beside its place and renamed into it: nobody sees half a session. Files made with
    `AudioFile.taken_in` are hard-linked (or copied) into it, those left outside are only referred to.

    Args:
        session: what to write.
        folder: the session folder, which must not exist; its parent must.
        file_format: which Ardour versions are to open it.
        hard_link: false copies the audio, so that the session shares nothing with its origin.

    Returns:
        The path of the `.ardour` file.

    Raises:
        FileExistsError: the folder exists.
        SessionError: the session or one of its audio files is not what Ardour needs; the message lists why.
    """
    check_writable(session, file_format)
    check_audio(session.audio_files, session.regions, session.sample_rate_hz)
    content = serialise(session_root(session, file_format))
    with new_folder(folder) as building:
        audio = audio_folder(building, folder.name)
        audio.mkdir(parents=True)
        take_all_in(session.audio_files, audio, hard_link=hard_link)
        write_file(building / f"{session.name}{SESSION_SUFFIX}", content)
    return folder / f"{session.name}{SESSION_SUFFIX}"


def session_root(
    session: Session,
    file_format: FileFormat,
    *,
    as_template: bool = False,
    source_names: Mapping[str, str] | None = None,
) -> Element:
    """The `<Session>` element of a session that `check_writable` let pass.

    Args:
        session: what to write.
        file_format: how to write it.
        as_template: leave out what a new session is to get of its own: name, rate and session range.
        source_names: paths to write for files in place of their names.
    """
    times = TimeWriter(file_format, session.sample_rate_hz)
    make = SessionElements(times, int(file_format), source_names=dict(source_names or {}))
    root = etree.Element("Session", {"version": str(int(file_format))})
    if not as_template:
        root.set("name", session.name)
        root.set("sample-rate", str(session.sample_rate_hz))
        root.set("session-range-is-free", "1")
    config = etree.SubElement(root, "Config")
    for name, value in (("native-file-data-format", "FormatFloat"), ("native-file-header-format", "WAVE")):
        etree.SubElement(config, "Option", {"name": name, "value": value})
    etree.SubElement(root, "Metadata")
    sources = etree.SubElement(root, "Sources")
    for file in session.audio_files:
        sources.extend(make.sources(file))
    etree.SubElement(root, "Regions")  # Ardour makes a region of each whole file by itself
    root.append(_locations(session, make, as_template=as_template))
    etree.SubElement(root, "Bundles")
    routes = etree.SubElement(root, "Routes")
    playlists = etree.SubElement(root, "Playlists")
    unused = etree.SubElement(root, "UnusedPlaylists")
    groups = etree.SubElement(root, "RouteGroups")
    routes.append(make.master(session.master))
    track_ids: dict[str, str] = {}
    for order, track in enumerate(session.tracks, start=1):
        track_id = track_ids[track.name] = make.fresh_id()
        active = make.playlist(track.playlist, track_id)
        playlists.append(active)
        unused.extend(make.playlist(playlist, track_id) for playlist in track.other_playlists)
        routes.append(make.track(track, order, track_id, active.get("id", ""), MASTER_INPUTS))
    for group in session.groups:
        members = [track_ids[track.name] for track in session.tracks if track.group == group.name]
        groups.append(make.group(group, members))
    root.append(make.click())
    root.append(tempo_map_element(session.tempo_map, file_format, session.sample_rate_hz))
    if session.description:
        etree.SubElement(root, "description").text = session.description
    root.set("id-counter", str(make.next_id))
    etree.indent(root)
    return root


def _locations(session: Session, make: SessionElements, *, as_template: bool) -> Element:
    locations = etree.Element("Locations")
    piece = TimeRange(0, 0) if as_template else session.session_range or _span_of_regions(session)
    locations.append(make.location("session", SESSION_RANGE, piece))
    if session.loop is not None:
        locations.append(make.location("Loop", LOOP, session.loop))
    for marker in session.markers:
        point = RangeMarker(marker.name, marker.position_samples, marker.position_samples)
        locations.append(make.location(marker.name, MARK, point))
    for span in session.ranges:
        locations.append(make.location(span.name, RANGE, span))
    return locations


def _span_of_regions(session: Session) -> TimeRange:
    regions = session.regions
    if not regions:
        return TimeRange(0, 0)
    start = min(region.position_samples for region in regions)
    return TimeRange(start, max(region.end_samples for region in regions))
