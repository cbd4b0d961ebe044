"""A session file as it is, to which tracks can be added without losing anything that was in it."""

from __future__ import annotations

import copy
import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lxml import etree

from .additions import Additions, new_files
from .audio_files import audio_folder, check_audio, take_all_in
from .check import check_writable
from .errors import SessionError
from .grid import Grid
from .in_place import digest_of, replace_keeping
from .model import RangeMarker, Session
from .names import SESSION_SUFFIX, session_name_problem
from .reader import TEMPLATE_RATE_HZ, read_view, route_flags, session_rate_hz, time_reader
from .superclock import SUPERCLOCKS_PER_SECOND
from .tempo_xml import superclocks_per_second, tempo_map_element
from .timeline_text import FileFormat, TimeWriter
from .xml_file import format_version, new_folder, parse_session_file, serialise, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lxml.etree import _Element as Element

    from .model import AudioFile, Marker, RouteGroup, TimeRange, Track
    from .tempo_map import TempoMap


@dataclass(frozen=True)
class OtherRoute:
    """A strip of the mixer that is not an audio track; `kind` is Ardour's word, such as `AudioBus` or `MidiTrack`."""

    name: str
    kind: str


class SessionDocument:
    """The whole XML of a session, its modelled view, and additions with fresh ids.

    Additions change the document only; `save_in_place`, `save_snapshot` or `save_new` write it. Where nothing was added, what is
    written has the same canonical XML as what was read.
    """

    def __init__(self, root: Element, path: Path) -> None:
        """Take over a `<Session>` element; use `SessionDocument.open` or `instantiate` to get one."""
        self._root = root
        self._path = path
        self._new_files: list[AudioFile] = []
        self._digest = b""

    @classmethod
    def open(cls, path: Path) -> SessionDocument:
        """Open a `.ardour` file.

        Raises:
            FileNotFoundError: there is no such file.
            SessionError: it is not a session that can be read.
        """
        digest = digest_of(path)
        document = cls(parse_session_file(path).getroot(), path)
        document._digest = digest
        return document

    @property
    def path(self) -> Path:
        """The file that the document was read from."""
        return self._path

    @property
    def session(self) -> Session:
        """What this package knows of the session, read anew from the XML."""
        return read_view(self._root, self._path)

    @property
    def other_routes(self) -> tuple[OtherRoute, ...]:
        """The buses, MIDI tracks and the like that are kept, but are not in the view."""
        return tuple(
            OtherRoute(route.get("name", ""), next(iter(route_flags(route)), ""))
            for route in self._root.iterfind("Routes/Route")
            if "audio-playlist" not in route.attrib
        )

    @property
    def grid(self) -> Grid:
        """Its bars, beats and tempo, to the sample.

        Raises:
            SessionError: the tempo map makes no sense.
        """
        tempo_map = self._root.find("TempoMap")
        if tempo_map is None:
            raise SessionError("the session has no <TempoMap>", path=self._path)
        return Grid(tempo_map, session_rate_hz(self._root) or TEMPLATE_RATE_HZ)

    @property
    def end_samples(self) -> int:
        """Where the last region on any track ends, MIDI included; 0 where there is none."""
        times = time_reader(self._root, session_rate_hz(self._root) or TEMPLATE_RATE_HZ)
        spans = [times.region_times(region) for region in self._root.iterfind("Playlists/Playlist/Region")]
        return max((position + length for position, length, _start in spans), default=0)

    @property
    def route_names(self) -> frozenset[str]:
        """The names of all tracks, busses and VCAs."""
        return frozenset(self._names("Routes/Route") | self._names("VCAManager/VCA"))

    @property
    def playlist_names(self) -> frozenset[str]:
        """The names of all playlists, of MIDI tracks and of deleted tracks too."""
        return frozenset(self._names("Playlists/Playlist") | self._names("UnusedPlaylists/Playlist"))

    @property
    def has_own_tempo_map(self) -> bool:
        """Whether more depends on the tempo map than one tempo and one meter: changes, bar markers, or regions."""
        tempo_map = self.session.tempo_map
        return (
            len(tempo_map.tempos) > 1
            or len(tempo_map.meters) > 1
            or self.grid.counts_bars_anew
            or self._root.find("Playlists/Playlist/Region") is not None
        )

    def canonical_xml(self) -> bytes:
        """The document in canonical form (C14N), to compare two of them."""
        return etree.tostring(self._root, method="c14n")

    def append(
        self,
        tracks: Iterable[Track] = (),
        *,
        groups: Iterable[RouteGroup] = (),
        markers: Iterable[Marker] = (),
        ranges: Iterable[RangeMarker] = (),
        loop: TimeRange | None = None,
    ) -> None:
        """Add tracks with their playlists, regions and sources, and markers; nothing present is changed.

        Tracks may join groups of the session or new ones. The session range grows over the new regions, as it does
        when audio is imported in Ardour, unless the user fixed it. The loop range is set only where there is none.

        Raises:
            SessionError: the additions are not what Ardour needs, or a name is taken; the document stays as it was.
        """
        tracks, groups, markers, ranges = tuple(tracks), tuple(groups), tuple(markers), tuple(ranges)
        present = self.session
        additions = Session(
            "additions",
            present.sample_rate_hz,
            tracks=tracks,
            groups=groups,
            markers=markers,
            ranges=ranges,
            loop=loop,
        )
        self._check(present, additions)
        root = copy.deepcopy(self._root)
        added = Additions(root, present).add(additions)
        self._root = root
        self._new_files.extend(added)

    def set_tempo_map(self, tempo_map: TempoMap) -> None:
        """Give a document that was made of a template another tempo map; markers and ranges keep their bars.

        Raises:
            SessionError: the document is a session that exists, or has a tempo map of its own
                (`has_own_tempo_map`), on which more than its markers depends.
        """
        if self._path.suffix == SESSION_SUFFIX or self.has_own_tempo_map:
            raise SessionError("its tempo map is not ours to change", path=self._path)
        rate = session_rate_hz(self._root) or TEMPLATE_RATE_HZ
        file_format = FileFormat.ARDOUR_6 if format_version(self._root) < 7000 else FileFormat.ARDOUR_7
        before, write = self.grid, TimeWriter(file_format, rate)
        times = time_reader(self._root, rate)
        for location in self._root.iterfind("Locations/Location"):
            for edge in ("start", "end"):
                text = location.get(edge, "")
                if not text.startswith("b"):  # a musical position moves along by itself
                    quarters = before.quarters_at(times.position(location, edge))
                    location.set(edge, write.position(tempo_map.sample_at(quarters, rate)))
        old = self._root.find("TempoMap")
        if old is not None:
            new = tempo_map_element(tempo_map, file_format, rate)
            new.tail = old.tail
            self._root.replace(old, new)

    def save_in_place(self, kept_as: str, *, hard_link: bool = False) -> Path:
        """Write the additions into the session file that was opened, and keep that file as it was beside it.

        New audio comes first, then the kept file, and last the session in one step: whatever fails on the way leaves
        everything as it was, and what dies on the way the session.

        Args:
            kept_as: the end of the kept file's name, see `replace_keeping`.
            hard_link: link new audio instead of copying it.

        Returns:
            Where the file as it was is kept.

        Raises:
            FileExistsError: the session has an audio file of the name of a new one.
            SessionError: the file has changed since it was opened, or is write-protected, as Ardour takes it then for a
                session to read only; or the document is no session that exists.
            OSError: a file cannot be written.
        """
        if self._path.suffix != SESSION_SUFFIX or not self._digest:
            raise SessionError("only a session that was opened can be saved in its place", path=self._path)
        path = self._path.resolve()
        if not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
            raise SessionError("it is write-protected, and left as it is", path=self._path)
        content = serialise(self._root)
        placed = self._place_audio(audio_folder(path.parent), hard_link=hard_link)
        try:
            kept = replace_keeping(path, content, self._digest, kept_as)
        except BaseException:
            if path.read_bytes() != content:
                for new in placed:
                    new.unlink()
            raise
        self._digest = digest_of(path)
        self._new_files.clear()
        return kept

    def save_snapshot(self, name: str, *, hard_link: bool = True) -> Path:
        """Write `NAME.ardour` beside the file that was opened, and new audio into the session's audio folder.

        Returns:
            The path of the new file; the one that was opened stays as it is.

        Raises:
            FileExistsError: the session has a snapshot, or an audio file, of that name.
            SessionError: the name is not legal, or the document is a template, which `save_new` makes a session of.
        """
        if self._path.suffix != SESSION_SUFFIX:
            raise SessionError("only a session has snapshots: save this as a new session", path=self._path)
        target = _session_file(self._path.parent, name)
        if target.exists():
            raise FileExistsError(f"the session already has a snapshot {target}")
        placed = self._place_audio(audio_folder(self._path.parent), hard_link=hard_link)
        try:
            write_file(target, serialise(self._root))
        except BaseException:
            for path in placed:
                path.unlink()
            raise
        self._new_files.clear()
        return target

    def save_new(self, folder: Path, *, hard_link: bool = True) -> Path:
        """Write an instantiated template as a new session folder.

        Returns:
            The path of the `.ardour` file, named like the session.

        Raises:
            FileExistsError: the folder exists.
            SessionError: the document was not instantiated from a template.
        """
        if self._path.suffix == SESSION_SUFFIX:
            raise SessionError(
                "a session that exists is saved as a snapshot: its audio stays there", path=self._path
            )
        name = self._root.get("name")
        if name is None:
            raise SessionError("a template is made a session by instantiate()", path=self._path)
        with new_folder(folder) as building:
            self._place_audio(audio_folder(building, folder.name), hard_link=hard_link)
            plugins = self._path.parent / "plugins"
            if plugins.is_dir():  # the state of plugins that keep it in files, as Ardour copies it
                shutil.copytree(plugins, building / "plugins")
            write_file(_session_file(building, name), serialise(self._root))
        return _session_file(folder, name)

    def _check(self, present: Session, additions: Session) -> None:
        joined = {track.group for track in additions.tracks} - {group.name for group in additions.groups}
        known = tuple(group for group in present.groups if group.name in joined)
        check_writable(replace(additions, groups=(*additions.groups, *known)))
        if session_rate_hz(self._root) is None:
            raise SessionError(
                "a template has no sample rate to place audio at: instantiate() it", path=self._path
            )
        tempo_map = self._root.find("TempoMap")
        if tempo_map is not None and superclocks_per_second(tempo_map) != SUPERCLOCKS_PER_SECOND:
            raise SessionError(
                "the session counts time in another unit than Ardour 7 to 9 do", path=self._path
            )
        known_files = {file.name for file in present.audio_files}
        taken = [
            *_repeats(
                "track or bus", self._names("Routes/Route"), [track.name for track in additions.tracks]
            ),
            *_repeats(
                "playlist",
                self._names("Playlists/Playlist") | self._names("UnusedPlaylists/Playlist"),
                [playlist.name for track in additions.tracks for playlist in track.playlists],
            ),
            *_repeats(
                "group", self._names("RouteGroups/RouteGroup"), [group.name for group in additions.groups]
            ),
            *_repeats(
                "audio file",
                known_files,
                [file.name for file in additions.audio_files if file.origin is not None],
            ),
        ]
        taken.extend(
            f"audio file {file.name!r} has other channels in the session"
            for file in additions.audio_files
            if file.origin is None and file.name in known_files and file not in present.audio_files
        )
        if taken:
            raise SessionError("cannot add: " + "; ".join(taken), path=self._path)
        check_audio(new_files(present, additions), additions.regions, additions.sample_rate_hz)

    def _names(self, path: str) -> set[str]:
        return {element.get("name", "") for element in self._root.iterfind(path)}

    def _place_audio(self, folder: Path, *, hard_link: bool) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return take_all_in(self._new_files, folder, hard_link=hard_link)


def _repeats(kind: str, taken: set[str], names: Iterable[str]) -> list[str]:
    return [f"{kind} {name!r} is there already" for name in names if name in taken]


def _session_file(folder: Path, name: str) -> Path:
    if problem := session_name_problem(name):
        raise SessionError(f"a session cannot be named {name!r}: {problem}")
    return folder / f"{name}{SESSION_SUFFIX}"
