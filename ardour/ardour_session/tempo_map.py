"""Tempo and meter over a timeline: the exact way from bars and beats to seconds and samples.

Positions are quarter notes from the start of the session. A tempo counts notes of its own note type per minute, a
meter counts beats of its own note value per bar, as in Ardour. Between two tempo changes the tempo is constant, or it
glides: linear in quarter notes, hence exponential in time (Ardour's own ramp, see doc/tempo.tex in its source).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

from .superclock import (
    SUPERCLOCKS_PER_SECOND,
    TICKS_PER_QUARTER,
    natural_log,
    round_half_up,
    simplest_tempo,
)

NOTE_TYPES = (1, 2, 4, 8, 16, 32, 64)


def _on_tick(quarters: Fraction) -> Fraction:
    exact = Fraction(quarters)
    if exact < 0 or (exact * TICKS_PER_QUARTER).denominator != 1:
        raise ValueError(
            f"a position of {quarters} quarter notes is not a tick (1/{TICKS_PER_QUARTER}) at 0 or later"
        )
    return exact


def _check_note_type(note_type: int) -> None:
    if note_type not in NOTE_TYPES:
        raise ValueError(f"a note type must be one of {NOTE_TYPES}, not {note_type}")


@dataclass(frozen=True, order=True)
class BarBeatTick:
    """A musical position: bar and beat count from 1, ticks are 1920ths of a quarter note past the beat."""

    bar: int
    beat: int = 1
    tick: int = 0

    def __str__(self) -> str:
        return f"{self.bar}|{self.beat}|{self.tick}"


@dataclass(frozen=True)
class TempoChange:
    """From `quarters` on, `bpm` notes of `note_type` a minute; with `end_bpm` the tempo glides there until the next.

    Tempos are kept as the simplest fraction that is the same tempo to Ardour (`simplest_tempo`): the float 120.1
    becomes 1201/10.

    Attributes:
        quarters: position in quarter notes, a whole number of ticks (1/1920).
        bpm: notes of `note_type` per minute; any number may be passed, a `Fraction` is kept.
        note_type: 4 for quarter notes, 8 for eighths and so on.
        end_bpm: the tempo reached at the next change; `None` for a constant tempo.
    """

    bpm: Fraction
    quarters: Fraction = Fraction(0)
    note_type: int = 4
    end_bpm: Fraction | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "bpm", simplest_tempo(self.bpm))
        object.__setattr__(self, "quarters", _on_tick(self.quarters))
        if self.end_bpm is not None:
            end = simplest_tempo(self.end_bpm)
            object.__setattr__(self, "end_bpm", None if end == self.bpm else end)
        _check_note_type(self.note_type)

    @property
    def quarters_per_minute(self) -> Fraction:
        return self.bpm * 4 / self.note_type

    @property
    def end_quarters_per_minute(self) -> Fraction:
        return (self.bpm if self.end_bpm is None else self.end_bpm) * 4 / self.note_type


@dataclass(frozen=True)
class MeterChange:
    """From the start of `bar` (counted from 1) on, bars of `beats_per_bar` notes of `note_value`."""

    beats_per_bar: int = 4
    note_value: int = 4
    bar: int = 1

    def __post_init__(self) -> None:
        if self.bar < 1 or self.beats_per_bar < 1:
            raise ValueError(
                f"bars count from 1 and have at least one beat, not bar {self.bar}, {self.beats_per_bar}"
            )
        _check_note_type(self.note_value)

    @property
    def quarters_per_bar(self) -> Fraction:
        return Fraction(4 * self.beats_per_bar, self.note_value)

    @property
    def ticks_per_beat(self) -> int:
        return 4 * TICKS_PER_QUARTER // self.note_value


@dataclass(frozen=True)
class TempoMap:
    """All tempo and meter changes of a session, in order; the first ones stand at the start.

    Raises:
        ValueError: no change at the start, changes out of order, or a glide with no tempo to end at.
    """

    tempos: tuple[TempoChange, ...] = (TempoChange(Fraction(120)),)
    meters: tuple[MeterChange, ...] = (MeterChange(),)
    _starts: tuple[Fraction, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.tempos or self.tempos[0].quarters != 0:
            raise ValueError("the first tempo must stand at quarter 0")
        if not self.meters or self.meters[0].bar != 1:
            raise ValueError("the first meter must stand at bar 1")
        for earlier, later in zip(self.tempos, self.tempos[1:], strict=False):
            if later.quarters <= earlier.quarters:
                raise ValueError(
                    f"tempo change at quarter {later.quarters} does not come after {earlier.quarters}"
                )
        for before, after in zip(self.meters, self.meters[1:], strict=False):
            if after.bar <= before.bar:
                raise ValueError(f"meter change at bar {after.bar} does not come after bar {before.bar}")
        if self.tempos[-1].end_bpm is not None:
            raise ValueError("the last tempo glides, but no tempo change follows to end the glide at")
        starts = [Fraction(0)]
        for index in range(1, len(self.tempos)):
            starts.append(starts[-1] + self._superclocks_into(index - 1, self.tempos[index].quarters))
        object.__setattr__(self, "_starts", tuple(starts))

    @classmethod
    def constant(cls, bpm: Fraction | float, beats_per_bar: int = 4, note_value: int = 4) -> Self:
        """One tempo in quarter notes per minute and one meter from start to end."""
        return cls((TempoChange(Fraction(bpm)),), (MeterChange(beats_per_bar, note_value),))

    def superclock_at(self, quarters: Fraction) -> Fraction:
        """The position of a quarter note in superclocks, unrounded."""
        index = max(i for i, tempo in enumerate(self.tempos) if tempo.quarters <= quarters or i == 0)
        return self._starts[index] + self._superclocks_into(index, quarters)

    def sample_at(self, quarters: Fraction, sample_rate_hz: int) -> int:
        """The sample nearest to a quarter note."""
        return round_half_up(self.superclock_at(quarters) * sample_rate_hz / SUPERCLOCKS_PER_SECOND)

    def sample_at_bar(self, bar: int, sample_rate_hz: int) -> int:
        """The sample nearest to the start of a bar, counted from 1."""
        return self.sample_at(self.quarters_at_bar(bar), sample_rate_hz)

    def quarters_at_bar(self, bar: int) -> Fraction:
        """The position of the start of a bar, counted from 1, in quarter notes."""
        position = Fraction(0)
        for meter, following in zip(self.meters, (*self.meters[1:], None), strict=True):
            if following is None or bar < following.bar:
                return position + (bar - meter.bar) * meter.quarters_per_bar
            position += (following.bar - meter.bar) * meter.quarters_per_bar
        raise AssertionError  # the loop returns at the last meter

    def bar_beat_tick_at(self, quarters: Fraction) -> BarBeatTick:
        """The musical position of a quarter note that lies on a tick."""
        meter = max(
            (meter for meter in self.meters if self.quarters_at_bar(meter.bar) <= quarters),
            key=lambda meter: meter.bar,
            default=self.meters[0],
        )
        past = _on_tick(quarters) - self.quarters_at_bar(meter.bar)
        bars, in_bar = divmod(past, meter.quarters_per_bar)
        beats, ticks = divmod(int(in_bar * TICKS_PER_QUARTER), meter.ticks_per_beat)
        return BarBeatTick(meter.bar + bars, beats + 1, ticks)

    def _superclocks_into(self, index: int, quarters: Fraction) -> Fraction:
        """Superclocks from the tempo change `index` to a later quarter note before the next change."""
        tempo = self.tempos[index]
        distance = quarters - tempo.quarters
        minute = 60 * SUPERCLOCKS_PER_SECOND
        slope = self.ramp_slope(index)
        if slope == 0:
            return minute * distance / tempo.quarters_per_minute
        # Quarters per minute grow by `slope` a quarter: time is the integral of 1 / tempo over quarter notes.
        reached = tempo.quarters_per_minute + slope * distance
        return minute * natural_log(reached / tempo.quarters_per_minute) / slope

    def ramp_slope(self, index: int) -> Fraction:
        """How many quarter notes per minute the tempo `index` gains with each quarter note; 0 if it is constant."""
        tempo = self.tempos[index]
        if tempo.end_bpm is None:
            return Fraction(0)
        span = self.tempos[index + 1].quarters - tempo.quarters
        return (tempo.end_quarters_per_minute - tempo.quarters_per_minute) / span
