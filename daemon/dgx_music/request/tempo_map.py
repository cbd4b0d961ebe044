"""`TempoPoint` and `Timeline`: a session's tempo and meter over a take, and the exact way from beats to seconds.

Between two points the tempo is constant, or it glides as Ardour's does: linear in quarter notes, hence exponential in
time (`TempoPoint::compute_omega_from_quarter_duration` and `superclock_at` in Ardour's libs/temporal/tempo.cc). With the
tempo T0 at a stretch's start, r = T1 / T0 and Q quarter notes in D seconds, the quarter note q is reached after

    D · ln(1 + (r - 1) · q / Q) / ln r,    and    D = 60 · Q · ln r / (T1 - T0).

Constant stretches are rational arithmetic; the logarithms have thirty digits.

Points come as whole samples, while in a session they stand on ticks (1/1920 of a quarter note). So the quarter notes
between two points are taken to be whole ticks where that changes less than the rounding to samples did, and a stretch is
fitted between the samples of its two points: no error is carried from one stretch into the next.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from dgx_music.request.music import Meter, canonical_meter, exact_fraction
from dgx_music.request.structured import from_json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_POINTS", "BarLine", "TempoPoint", "Timeline", "check_points", "start_of"]

MAX_POINTS = 500
"""Tempo and meter changes in a take; a session that has more of them follows a performance beat by beat."""
_FARTHEST_SAMPLES = 192_000 * 86_400 * 7
"""A week of the highest rate: no timeline is longer."""
_TICKS_PER_QUARTER = 1920
_DIGITS = 30
_GRAINS = 10**24
_ROUNDED_AWAY_SAMPLES = Fraction(3, 2)
"""How far a stretch's length may be off because both its ends were rounded to samples, and what was read just beside them
was taken for their tempo."""
_AT_A_BAR_LINE = Fraction(1, 100)
"""How near to a bar line, in quarter notes, a change of meter counts as standing on it; the shortest beat is 1/8."""

_SUPERCLOCK_ROUNDING = 2e-8
"""At 400 quarter notes a minute, half of the 282 240 000th of a second is this share of one."""


class TempoPoint(BaseModel):
    """From a sample on, a tempo; with `end_bpm` it glides there until the next point, or the take's end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    at: int = Field(
        ge=-_FARTHEST_SAMPLES,
        le=_FARTHEST_SAMPLES,
        description="samples from the take's start, at sample_rate; the first is 0 or less",
    )
    bpm: float = Field(ge=20, le=400, description="tempo from here on, in quarter notes a minute")
    end_bpm: float | None = Field(
        None, ge=20, le=400, description="tempo just before the next point, where it glides"
    )
    meter: Annotated[str | None, BeforeValidator(canonical_meter)] = Field(
        None, description="time signature from here on, such as 7/8; as before if left out"
    )


@dataclass(frozen=True)
class BarLine:
    """Where a bar begins."""

    quarters: Fraction
    """Quarter notes from the take's start."""
    meter: Meter


@dataclass(frozen=True)
class _Stretch:
    """From one point to the next. Seconds and quarter notes count from the take's start; before it they are negative."""

    start_s: Fraction
    start_quarters: Fraction
    duration_s: Fraction
    """With `quarters` it also says how the last stretch goes on beyond its end, if its tempo is constant."""
    quarters: Fraction
    from_bpm: Fraction
    to_bpm: Fraction

    @classmethod
    def of_quarters(
        cls,
        start_s: Fraction,
        start_quarters: Fraction,
        from_bpm: Fraction,
        to_bpm: Fraction,
        *,
        quarters: Fraction,
    ) -> _Stretch:
        """Return the stretch of so many quarter notes."""
        if from_bpm == to_bpm:
            duration_s = 60 * quarters / from_bpm
        else:
            duration_s = _rounded(60 * quarters * _log(to_bpm / from_bpm) / (to_bpm - from_bpm))
        return cls(start_s, start_quarters, duration_s, quarters, from_bpm, to_bpm)

    @classmethod
    def of_duration(
        cls,
        start_s: Fraction,
        start_quarters: Fraction,
        from_bpm: Fraction,
        to_bpm: Fraction,
        *,
        duration_s: Fraction,
    ) -> _Stretch:
        """Return the stretch of so many seconds."""
        if from_bpm == to_bpm:
            quarters = duration_s * from_bpm / 60
        else:
            quarters = _rounded(duration_s * (to_bpm - from_bpm) / (60 * _log(to_bpm / from_bpm)))
        return cls(start_s, start_quarters, duration_s, quarters, from_bpm, to_bpm)

    @property
    def glides(self) -> bool:
        return self.from_bpm != self.to_bpm

    @property
    def ratio(self) -> Fraction:
        return self.to_bpm / self.from_bpm

    def seconds_at(self, quarters: Fraction) -> Fraction:
        if not self.quarters:
            return self.start_s
        share = (quarters - self.start_quarters) / self.quarters
        if self.glides:
            share = _rounded(_log(1 + (self.ratio - 1) * share) / _log(self.ratio))
        return self.start_s + self.duration_s * share

    def quarters_at(self, seconds: Fraction) -> Fraction:
        share = (seconds - self.start_s) / self.duration_s
        if self.glides:
            share = _rounded((_power(self.ratio, share) - 1) / (self.ratio - 1))
        return self.start_quarters + self.quarters * share

    def bpm_at(self, quarters: Fraction) -> Fraction:
        share = (quarters - self.start_quarters) / self.quarters
        return self.from_bpm + (self.to_bpm - self.from_bpm) * share

    def on_ticks(self, sample_rate_hz: int) -> _Stretch:
        """Return the stretch with whole ticks, where only the rounding of its ends to samples kept it from that."""
        near = Fraction(round(self.quarters * _TICKS_PER_QUARTER), _TICKS_PER_QUARTER)
        may_be_off = _ROUNDED_AWAY_SAMPLES * max(self.from_bpm, self.to_bpm) / 60 / sample_rate_hz
        return replace(self, quarters=near) if near and abs(near - self.quarters) <= may_be_off else self


@dataclass(frozen=True)
class Timeline:
    """A take's time as music: seconds, quarter notes and bars, all counted from the take's start.

    Made by `constant`, `of_seconds` or `of_bars`. Beyond the take's end its last tempo goes on.
    """

    stretches: tuple[_Stretch, ...]
    meters: tuple[BarLine, ...]
    """Each meter with the place from which it counts; the first place is 0."""
    length_s: Fraction
    """The take's length."""

    @classmethod
    def constant(cls, bpm: Fraction, meter: Meter, length_s: Fraction) -> Timeline:
        """One tempo and one meter."""
        return cls((_steady(Fraction(0), Fraction(0), bpm),), (BarLine(Fraction(0), meter),), length_s)

    @classmethod
    def of_seconds(
        cls, points: Sequence[TempoPoint], sample_rate_hz: int, meter: Meter, length_s: Fraction
    ) -> Timeline:
        """Lay a take of a known length over a session's tempo.

        Args:
            points: such as `check_points` lets pass.
            sample_rate_hz: of the points' places.
            meter: what counts until a point says otherwise.
            length_s: the take's length.
        """
        laid = _Layout(points, sample_rate_hz, meter, length_s)
        return cls(laid.stretches(length_s=length_s), laid.meters, length_s)

    @classmethod
    def of_bars(cls, points: Sequence[TempoPoint], sample_rate_hz: int, meter: Meter, bars: int) -> Timeline:
        """Lay so many bars over a session's tempo; see `of_seconds`. A bar has the meter that holds at its start.

        Raises:
            ValueError: the last point glides, and begins before the take, so that its length cannot be told.
        """
        laid = _Layout(points, sample_rate_hz, meter)
        timeline = cls((), laid.meters, Fraction(0))
        end = timeline.bar_lines(bars + 1)[-1].quarters
        stretches = laid.stretches(length_quarters=end)
        timeline = replace(timeline, stretches=stretches)
        return replace(timeline, length_s=timeline.seconds_at(end))

    @cached_property
    def is_constant(self) -> bool:
        """Whether one tempo holds from start to end."""
        return len(self.changes) == 1 and not self.stretches[0].glides

    @property
    def length_quarters(self) -> Fraction:
        """The take's length in quarter notes."""
        return self.quarters_at(self.length_s)

    @property
    def changes(self) -> tuple[Fraction, ...]:
        """The places inside the take, in quarter notes, from which another tempo or another glide holds; the first is 0."""
        length = self.length_quarters
        places = (stretch.start_quarters for stretch in self.stretches)
        return tuple(place for place in places if place < length)

    def seconds_at(self, quarters: Fraction) -> Fraction:
        """Return when a place in quarter notes is reached."""
        return self._beginning_before(quarters).seconds_at(quarters)

    def quarters_at(self, seconds: Fraction) -> Fraction:
        """Return the place in quarter notes that is reached at a time."""
        index = bisect_right(self.stretches, seconds, key=lambda stretch: stretch.start_s) - 1
        return self.stretches[max(0, index)].quarters_at(seconds)

    def bpm_at(self, quarters: Fraction) -> Fraction:
        """Return the tempo just after a place, in quarter notes a minute."""
        return self._beginning_before(quarters).bpm_at(quarters)

    def glides_at(self, quarters: Fraction) -> bool:
        """Say whether the tempo is changing just after a place."""
        return self._beginning_before(quarters).glides

    def bar_lines(self, count: int) -> tuple[BarLine, ...]:
        """Return the take's first bar lines; the very first stands at its start."""
        lines: list[BarLine] = []
        place, ahead = Fraction(0), 0
        for _ in range(count):
            while ahead + 1 < len(self.meters) and self.meters[ahead + 1].quarters <= place + _AT_A_BAR_LINE:
                ahead += 1
            lines.append(BarLine(place, self.meters[ahead].meter))
            place += lines[-1].meter.quarters_per_bar
        return tuple(lines)

    def _beginning_before(self, quarters: Fraction) -> _Stretch:
        index = bisect_right(self.stretches, quarters, key=lambda stretch: stretch.start_quarters) - 1
        return self.stretches[max(0, index)]


def check_points(points: tuple[TempoPoint, ...] | None) -> tuple[TempoPoint, ...] | None:
    """Refuse points that make no tempo map; let all others through.

    Raises:
        ValueError: with a sentence that says what would be right.
    """
    if points is None:
        return None
    if not points:
        raise ValueError('empty; give a tempo at the start, as in [{"at": 0, "bpm": 93.5}]')
    if points[0].at > 0:
        raise ValueError(
            f"its first point is at {points[0].at}, so that the take's start has no tempo; "
            "let the first point's at be 0 or less"
        )
    for number, (earlier, later) in enumerate(itertools.pairwise(points), 1):
        if later.at <= earlier.at:
            raise ValueError(
                f"point {number} (counted from 0) is at {later.at}, which does not come after the {earlier.at} of the "
                "point before; give the points in order, at most one at a sample"
            )
    return points


def start_of(points: object) -> dict[str, Any]:
    """Return `bpm` and, where the map says it, `meter` at the take's start; nothing where `points` is no tempo map."""
    if points is None:
        return {}
    try:
        found = TypeAdapter(tuple[TempoPoint, ...]).validate_python(from_json_text(points))
        check_points(found)
    except ValueError:
        return {}
    begun = [point for point in found if point.at <= 0]
    last, after = begun[-1], found[len(begun) :]
    bpm = last.bpm
    if last.end_bpm is not None and after:
        bpm *= (last.end_bpm / bpm) ** (last.at / (last.at - after[0].at))
    meters = [point.meter for point in begun if point.meter]
    return {"bpm": _as_written(bpm), **({"meter": meters[-1]} if meters else {})}


def _as_written(bpm: float) -> float:
    """Return the short decimal that a tempo was before Ardour rounded a quarter note to whole superclocks: 92.99999978 was 93."""
    short = round(bpm, 4)
    return short if abs(short / bpm - 1) < _SUPERCLOCK_ROUNDING else bpm


class _Layout:
    """Points as stretches. What lies before the take is cut off; the last stretch is open until the take's end is known."""

    def __init__(
        self, points: Sequence[TempoPoint], rate_hz: int, meter: Meter, length_s: Fraction | None = None
    ) -> None:
        begun = [place for place, point in enumerate(points) if point.at <= 0]
        for point in points[: begun[-1] + 1]:
            meter = Meter.parse(point.meter) if point.meter else meter
        self.meters: tuple[BarLine, ...] = (BarLine(Fraction(0), meter),)
        self._closed: list[_Stretch] = []
        one_tempo = len({bpm for point in points for bpm in (point.bpm, point.end_bpm or point.bpm)}) == 1
        start_s, place = Fraction(0), Fraction(0)
        for point, following in zip(points[begun[-1] :], [*points[begun[-1] + 1 :], None], strict=True):
            if point.at > 0 and point.meter:
                self.meters = (*self.meters, BarLine(place, Meter.parse(point.meter)))
            from_bpm, to_bpm = _tempos(point)
            end_s = length_s if following is None else Fraction(following.at, rate_hz)
            if from_bpm != to_bpm and point.at < 0:
                from_bpm = _tempo_at_start(point, rate_hz, end_s)
            self._open = start_s, place, from_bpm, to_bpm
            if following is None or end_s is None:
                break
            stretch = _Stretch.of_duration(*self._open, duration_s=end_s - start_s).on_ticks(rate_hz)
            self._closed.append(stretch)
            start_s, place = end_s, place + stretch.quarters
        if one_tempo:
            self._closed = []
            self._open = Fraction(0), Fraction(0), *_tempos(points[0])

    def stretches(
        self, *, length_s: Fraction | None = None, length_quarters: Fraction | None = None
    ) -> tuple[_Stretch, ...]:
        start_s, place, from_bpm, to_bpm = self._open
        if from_bpm != to_bpm:
            if length_s is not None and length_s > start_s:
                glide = _Stretch.of_duration(*self._open, duration_s=length_s - start_s)
                return *self._closed, glide, _steady(length_s, place + glide.quarters, to_bpm)
            if length_quarters is not None and length_quarters > place:
                glide = _Stretch.of_quarters(*self._open, quarters=length_quarters - place)
                return *self._closed, glide, _steady(start_s + glide.duration_s, length_quarters, to_bpm)
        return *self._closed, _steady(start_s, place, from_bpm)


def _tempos(point: TempoPoint) -> tuple[Fraction, Fraction]:
    return exact_fraction(point.bpm), exact_fraction(point.bpm if point.end_bpm is None else point.end_bpm)


def _tempo_at_start(point: TempoPoint, rate_hz: int, end_s: Fraction | None) -> Fraction:
    """Return the tempo at the take's start, where a glide is under way that began before it."""
    if end_s is None:
        raise ValueError(
            f"tempo_map: its last point, at {point.at}, glides until the take's end, which bars leave open; "
            "give a point at 0 with the tempo there"
        )
    from_bpm, to_bpm = _tempos(point)
    before_s = Fraction(-point.at, rate_hz)
    return _rounded(from_bpm * _power(to_bpm / from_bpm, before_s / (before_s + end_s)))


def _steady(start_s: Fraction, start_quarters: Fraction, bpm: Fraction) -> _Stretch:
    """Return the stretch in which a tempo goes on for ever: its minute says how fast, not how long."""
    return _Stretch(start_s, start_quarters, Fraction(60), bpm, bpm, bpm)


def _rounded(value: Fraction) -> Fraction:
    """Keep what is left of an irrational number short: sums of such fractions would otherwise grow without end."""
    return Fraction(round(value * _GRAINS), _GRAINS)


def _log(value: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = _DIGITS
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).ln())


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    with localcontext() as context:
        context.prec = _DIGITS
        logarithm = (Decimal(base.numerator) / Decimal(base.denominator)).ln()
        return Fraction((logarithm * Decimal(exponent.numerator) / Decimal(exponent.denominator)).exp())
