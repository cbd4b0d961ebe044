"""Bars, beats and tempo of a session file where Ardour plays them, to the sample.

`TempoMap` computes positions from tempos; here they come from the positions that the file itself states, with its
ramps as they are saved and its bar markers, and are rounded down to a sample as Ardour does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import exp, floor
from typing import TYPE_CHECKING

from .errors import SessionError
from .superclock import round_half_up, simplest_tempo, superclocks_to_samples
from .tempo_map import MeterChange, TempoMap
from .tempo_xml import read_tempo_map, superclocks_per_second, tempo_anchors
from .timeline_text import TempoAnchor, read_quarters

if TYPE_CHECKING:
    from lxml.etree import _Element as Element


@dataclass(frozen=True)
class GridMeter:
    """A meter from a quarter note of the timeline on, whose bars count from `meter.bar`."""

    quarters: Fraction
    meter: MeterChange


@dataclass(frozen=True)
class GridChange:
    """A tempo, and where it changes also a meter, over a stretch of the timeline.

    Attributes:
        sample: where it begins.
        bpm: quarter notes a minute at its beginning.
        end_bpm: quarter notes a minute just before the next change, or the end of the stretch that was asked for,
            reached by a ramp that is linear in quarter notes; `None` for a constant tempo.
        meter: beats a bar and their note value; `None` where the meter goes on.
    """

    sample: int
    bpm: float
    end_bpm: float | None = None
    meter: tuple[int, int] | None = None


class Grid:
    """The tempo map of one session file. Positions in samples count at the session's rate."""

    def __init__(self, tempo_map: Element, sample_rate_hz: int) -> None:
        """Read a `<TempoMap>` element.

        Raises:
            SessionError: an attribute is absent or makes no sense.
        """
        self._sample_rate_hz = sample_rate_hz
        self._superclocks_per_second = superclocks_per_second(tempo_map)
        written = read_tempo_map(tempo_map)
        stated = tempo_anchors(tempo_map) or _anchors_of(written, self._superclocks_per_second)
        # Ardour counts a quarter note in whole superclocks.
        self._anchors = tuple(
            replace(anchor, superclocks_per_quarter=Fraction(round_half_up(anchor.superclocks_per_quarter)))
            for anchor in stated
        )
        self.meters = _meters(tempo_map, written)
        self.counts_bars_anew = tempo_map.find("MusicTimes/MusicTime") is not None
        """Whether a bar marker begins a new count, so that one number names several bars."""

    def sample_at(self, quarters: Fraction) -> int:
        """The sample that Ardour plays a quarter note of the timeline at."""
        index = max((i for i, anchor in enumerate(self._anchors) if anchor.quarters <= quarters), default=0)
        return self._samples(self._anchors[index].superclock_at(quarters))

    def quarters_at(self, sample: int) -> Fraction:
        """The place of a sample in quarter notes from the start of the session."""
        superclock = Fraction(sample * self._superclocks_per_second, self._sample_rate_hz)
        return self._anchor_at(superclock).quarters_at(superclock)

    def quarters_at_bar(self, bar: int, beat: int = 1) -> Fraction:
        """The place of a beat in quarter notes; bars and beats count from 1, a beat is a note of the meter's value.

        Raises:
            SessionError: there is no such beat, or bar markers make the number ambiguous.
        """
        if self.counts_bars_anew:
            raise SessionError(
                "the session has bar markers that count bars anew, so that a bar's number can mean several places:"
                " give the position in samples"
            )
        place = max(
            (place for place in self.meters if place.meter.bar <= bar), key=_bar, default=self.meters[0]
        )
        meter = place.meter
        if bar < 1 or not 1 <= beat <= meter.beats_per_bar:
            raise SessionError(
                f"there is no bar {bar}, beat {beat}: bars count from 1, and bar {max(bar, 1)} has beats 1 to"
                f" {meter.beats_per_bar}"
            )
        return (
            place.quarters
            + (bar - meter.bar) * meter.quarters_per_bar
            + (beat - 1) * Fraction(4, meter.note_value)
        )

    def bar_line_from(self, sample: int) -> int:
        """The first bar line at or after a sample, as a sample.

        A line that lies one sample before still counts: a take that fills its bars can be one sample longer than the
        bars are between samples that were rounded down.
        """
        quarters = self.quarters_at(sample)
        index = max((i for i, place in enumerate(self.meters) if place.quarters <= quarters), default=0)
        place = self.meters[index]
        following = self.meters[index + 1].quarters if index + 1 < len(self.meters) else None
        length = place.meter.quarters_per_bar
        line = place.quarters + max(0, floor((quarters - place.quarters) / length)) * length
        while self.sample_at(line) < sample - 1:
            line += length
        return self.sample_at(line if following is None else min(line, following))

    def meter_at(self, sample: int) -> MeterChange:
        """The meter that holds at a sample."""
        held = [place.meter for place in self.meters if self.sample_at(place.quarters) <= sample]
        return held[-1] if held else self.meters[0].meter

    def bpm_at(self, sample: int) -> float:
        """The tempo at a sample in quarter notes a minute, where a change stands the new one."""
        superclock = Fraction((sample + 1) * self._superclocks_per_second, self._sample_rate_hz) - 1
        return self._bpm(self._anchor_at(superclock), superclock)

    def changes(self, start: int, end: int) -> tuple[GridChange, ...]:
        """Every tempo that plays between two samples, the first as it began at or before `start`."""
        anchors = [(self._samples(Fraction(anchor.superclock)), anchor) for anchor in self._anchors]
        first = max((i for i, (sample, _) in enumerate(anchors) if sample <= start), default=0)
        playing = [anchors[first], *(item for item in anchors[first + 1 :] if start < item[0] < end)]
        meters = {self.sample_at(place.quarters): place.meter for place in self.meters}
        changing = {sample: meter for sample, meter in meters.items() if start < sample < end}
        points = dict(playing)
        for sample in changing:
            if sample not in points:
                points[sample] = max((item for item in playing if item[0] <= sample), key=_sample)[1]
        found = []
        ordered = sorted(points)
        for index, sample in enumerate(ordered):
            anchor = points[sample]
            begin = max(Fraction(anchor.superclock), self._superclock(sample))
            until = self._superclock(ordered[index + 1] if index + 1 < len(ordered) else end)
            meter = self.meter_at(start) if index == 0 else changing.get(sample)
            found.append(
                GridChange(
                    sample,
                    self._bpm(anchor, begin),
                    self._bpm(anchor, until) if anchor.omega else None,
                    None if meter is None else (meter.beats_per_bar, meter.note_value),
                )
            )
        return tuple(found)

    def _bpm(self, anchor: TempoAnchor, superclock: Fraction) -> float:
        minute = 60 * self._superclocks_per_second
        at_anchor = simplest_tempo(minute / anchor.superclocks_per_quarter)
        grown = exp(anchor.omega * float(superclock - anchor.superclock)) if anchor.omega else 1.0
        return float(at_anchor) * grown

    def _anchor_at(self, superclock: Fraction) -> TempoAnchor:
        index = max(
            (i for i, anchor in enumerate(self._anchors) if anchor.superclock <= superclock), default=0
        )
        return self._anchors[index]

    def _superclock(self, sample: int) -> Fraction:
        return Fraction(sample * self._superclocks_per_second, self._sample_rate_hz)

    def _samples(self, superclock: Fraction) -> int:
        return superclocks_to_samples(superclock, self._sample_rate_hz, self._superclocks_per_second)


def _meters(element: Element, written: TempoMap) -> tuple[GridMeter, ...]:
    places = [GridMeter(written.quarters_at_bar(meter.bar), meter) for meter in written.meters]
    marked = element.findall("MusicTimes/MusicTime")
    if marked:  # with bars counted anew the numbers no longer give the places: the file states them
        places = []
        for holder in (*element.iterfind("Meters/Meter"), *marked):
            meter = holder if holder.tag == "Meter" else holder.find("Meter")
            if meter is None:
                continue
            try:
                beats, note_value = (
                    round(float(meter.get(name, ""))) for name in ("divisions-per-bar", "note-value")
                )
                bar = int(holder.get("bbt", "").partition("|")[0])
                places.append(GridMeter(read_quarters(holder), MeterChange(beats, note_value, bar)))
            except ValueError as error:
                raise SessionError(f"this meter makes no sense: {error}", line=meter.sourceline) from error
    return tuple(sorted(places, key=lambda place: place.quarters))


def _anchors_of(written: TempoMap, superclocks_per_second: int) -> tuple[TempoAnchor, ...]:
    return tuple(
        TempoAnchor(
            tempo.quarters,
            round_half_up(written.superclock_at(tempo.quarters)),
            60 * superclocks_per_second / tempo.quarters_per_minute,
            float(written.ramp_slope(index) / (60 * superclocks_per_second)),
        )
        for index, tempo in enumerate(written.tempos)
    )


def _bar(place: GridMeter) -> int:
    return place.meter.bar


def _sample(item: tuple[int, TempoAnchor]) -> int:
    return item[0]
