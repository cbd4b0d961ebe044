"""Builds the XML elements of a session: what Ardour needs of each, and no more.

What Ardour finds missing it makes with its own defaults. Attributes whose absence makes it crash or complain are
always written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from .gain import gain_factor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lxml.etree import _Element as Element

    from .model import (
        AudioFile,
        MasterBus,
        Playlist,
        RangeMarker,
        Region,
        RouteGroup,
        SourceChannel,
        TimeRange,
        Track,
    )
    from .timeline_text import TimeWriter

MASTER_INPUTS = ("Master/audio_in 1", "Master/audio_in 2")
PLAYBACK = ("system:playback_1", "system:playback_2")

MARK, RANGE, LOOP, SESSION_RANGE = "IsMark", "IsRangeMarker", "IsAutoLoop", "IsSessionRange"
"""The `flags` of a `<Location>`."""

GROUP_CONTROLS = ("gain", "mute", "solo", "recenable", "monitoring")


FIRST_ID = 1000
"""Ardour numbers some objects of its own before it reads a session; lower ids would meet those when it saves."""


@dataclass
class SessionElements:
    """Makes elements with fresh ids from one counter.

    Attributes:
        times: how this session spells positions.
        version: the session's file format.
        next_id: the first free id; the session's `id-counter` once everything is made.
        source_ids: the id of each source channel, by file name and channel.
        source_names: what to write as the name of a file, where it differs from its own.
    """

    times: TimeWriter
    version: int
    next_id: int = FIRST_ID
    source_ids: dict[tuple[str, int], str] = field(default_factory=dict)
    source_names: dict[str, str] = field(default_factory=dict)

    def fresh_id(self) -> str:
        taken = self.next_id
        self.next_id += 1
        return str(taken)

    def sources(self, file: AudioFile) -> list[Element]:
        """One `<Source>` for each channel; an interleaved file is named once for each."""
        made = []
        for source in file.channels:
            identifier = self.source_ids[_key(source)] = self.fresh_id()
            attributes = {
                "name": self.source_names.get(file.name, file.name),
                "take-id": "",
                "type": "audio",
                "flags": "",
                "id": identifier,
                "channel": str(source.channel),
                "origin": "",
                "gain": "1",
            }
            made.append(etree.Element("Source", attributes))
        return made

    def region(self, region: Region, layer: int) -> Element:
        attributes = {
            "name": region.name,
            "type": "audio",
            "id": self.fresh_id(),
            "muted": _flag(region.muted),
            "opaque": "1",
            "locked": "0",
            "automatic": "0",
            "whole-file": "0",
            "external": "1",
            "hidden": "0",
            "layering-index": str(layer),
            "fade-in-active": _flag(region.fades),
            "fade-out-active": _flag(region.fades),
            "scale-amplitude": repr(gain_factor(region.gain_db)),
            "channels": str(len(region.sources)),
            **self.times.region_times(region.position_samples, region.length_samples, region.start_samples),
        }
        for channel, source in enumerate(region.sources):
            attributes[f"source-{channel}"] = self.source_ids[_key(source)]
            attributes[f"master-source-{channel}"] = self.source_ids[_key(source)]
        return etree.Element("Region", attributes)

    def playlist(self, playlist: Playlist, track_id: str) -> Element:
        attributes = {
            "id": self.fresh_id(),
            "name": playlist.name,
            "type": "audio",
            "orig-track-id": track_id,
            "frozen": "0",
            "combine-ops": "0",
        }
        element = etree.Element("Playlist", attributes)
        element.extend(self.region(region, layer) for layer, region in enumerate(playlist.regions))
        return element

    def track(
        self, track: Track, order: int, track_id: str, playlist_id: str, outputs: Iterable[str]
    ) -> Element:
        """A `<Route>` that plays a playlist into `outputs`, the ports of the master bus.

        A mono track has one input and, like all tracks, an output for each channel of the master bus: Ardour pans it
        to the middle, 3 dB down on each side.
        """
        attributes = {
            **self._route_attributes(track.name, track_id),
            "audio-playlist": playlist_id,
            "mode": "Normal",
        }
        route = etree.Element("Route", attributes)
        etree.SubElement(
            route, "PresentationInfo", self._presentation(order, "AudioTrack", track.colour_rgba)
        )
        route.append(self._io(track.name, "Input", [()] * track.channel_count))
        route.append(self._io(track.name, "Output", [(port,) for port in outputs]))
        etree.SubElement(
            route, "MuteMaster", {"mute-point": "PostFader,Listen,Main", "muted": _flag(track.muted)}
        )
        mute = {
            "name": "mute",
            "id": self.fresh_id(),
            "flags": "Toggle,RealTime",
            "value": _flag(track.muted),
        }
        etree.SubElement(route, "Controllable", mute)
        if track.comment:  # Ardour crashes on an empty element
            etree.SubElement(route, "Comment").text = track.comment
        self._processor(route, f"recorder:{track.name}", "diskwriter", {"record-safe": "0"})
        self._processor(route, f"player:{track.name}", "diskreader")
        self._strip(route, track.name, track.gain_db)
        return route

    def master(self, master: MasterBus) -> Element:
        route = etree.Element("Route", self._route_attributes("Master", self.fresh_id()))
        etree.SubElement(route, "PresentationInfo", self._presentation(0, "MasterOut", None))
        route.append(self._io("Master", "Input", [()] * len(MASTER_INPUTS)))
        route.append(self._io("Master", "Output", [(port,) for port in PLAYBACK]))
        self._strip(route, "Master", master.gain_db)
        return route

    def click(self) -> Element:
        """The metronome's output. Ardour warns when this is absent, and crashes when it is empty."""
        click = etree.Element("Click")
        click.append(self._io("Click", "Output", [(port,) for port in PLAYBACK]))
        click.append(self._amp(0.0))
        return click

    def location(self, name: str, flags: str, span: TimeRange | RangeMarker) -> Element:
        attributes = {
            "id": self.fresh_id(),
            "name": name,
            "start": self.times.position(span.start_samples),
            "end": self.times.position(span.end_samples),
            "flags": flags,
            "locked": "0",
            **self.times.location_extras(),
        }
        return etree.Element("Location", attributes)

    def group(self, group: RouteGroup, track_ids: Iterable[str]) -> Element:
        attributes = {
            "id": self.fresh_id(),
            "name": group.name,
            "rgba": str(group.colour_rgba or 0),
            "used-to-share-gain": "0",
            "active": "1",
            "hidden": "0",
            "relative": "1",
            **dict.fromkeys(GROUP_CONTROLS, _flag(group.shares_controls)),
            "select": "0",
            "route-active": "0",
            "color": "0",  # 1 would paint the tracks in the group's colour instead of their own
            "routes": " ".join(track_ids),
        }
        return etree.Element("RouteGroup", attributes)

    def _route_attributes(self, name: str, identifier: str) -> dict[str, str]:
        return {
            "version": str(self.version),
            "id": identifier,
            "name": name,
            "default-type": "audio",
            "strict-io": "1",
            "active": "1",
        }

    def _presentation(self, order: int, kind: str, colour_rgba: int | None) -> dict[str, str]:
        return {"order": str(order), "flags": f"{kind},OrderSet", "color": str(colour_rgba or 0)}

    def _io(self, name: str, direction: str, ports: Iterable[tuple[str, ...]]) -> Element:
        attributes = {"name": name, "id": self.fresh_id(), "direction": direction, "default-type": "audio"}
        io = etree.Element("IO", attributes)
        way = "in" if direction == "Input" else "out"
        for number, connections in enumerate(ports, start=1):
            port = etree.SubElement(io, "Port", {"type": "audio", "name": f"{name}/audio_{way} {number}"})
            for other in connections:
                etree.SubElement(port, "Connection", {"other": other})
        return io

    def _strip(self, route: Element, name: str, gain_db: float) -> None:
        route.append(self._amp(gain_db))
        self._processor(route, f"meter-{name}", "meter")
        outs = {"own-input": "1", "own-output": "0", "output": name, "role": "Main"}
        self._processor(route, name, "main-outs", outs)

    def _amp(self, gain_db: float) -> Element:
        amp = etree.Element("Processor", {"id": self.fresh_id(), "name": "Amp", "active": "1", "type": "amp"})
        attributes = {
            "name": "gaincontrol",
            "id": self.fresh_id(),
            "flags": "GainLike",
            "value": repr(gain_factor(gain_db)),
        }
        etree.SubElement(amp, "Controllable", attributes)
        return amp

    def _processor(self, route: Element, name: str, kind: str, extra: dict[str, str] | None = None) -> None:
        attributes = {"id": self.fresh_id(), "name": name, "active": "1", "type": kind, **(extra or {})}
        etree.SubElement(route, "Processor", attributes)


def _key(source: SourceChannel) -> tuple[str, int]:
    return source.file.name, source.channel


def _flag(value: bool) -> str:
    return "1" if value else "0"
