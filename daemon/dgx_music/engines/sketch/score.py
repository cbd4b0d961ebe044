"""The score: what is played, as data, before anything sounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dgx_music.request import Key, Meter

__all__ = ["PARTS", "SAMPLE_RATE_HZ", "ChordSpan", "Event", "Score"]

SAMPLE_RATE_HZ = 48_000
PARTS = ("drums", "bass", "chords", "pad", "lead")
"""The parts that events belong to, in the order in which stems are summed."""


@dataclass(frozen=True)
class Event:
    """One note. Times are quarter notes from the start, exact."""

    part: str
    onset: Fraction
    duration: Fraction
    pitch: int
    """MIDI note; in `drums` the General MIDI percussion key."""
    velocity: float
    """0 to 1."""


@dataclass(frozen=True)
class ChordSpan:
    """A chord and how long it holds, in quarter notes."""

    onset: Fraction
    length: Fraction
    symbol: str
    """As a roman numeral in the take's key."""
    root: int
    """Pitch class of the root."""
    tones: tuple[int, ...]
    """Pitch classes, root first."""

    @property
    def end(self) -> Fraction:
        """Where the next chord starts."""
        return self.onset + self.length


@dataclass(frozen=True)
class Score:
    """A whole take as data."""

    genre: str
    bpm: Fraction
    """Quarter notes a minute."""
    meter: Meter
    key: Key
    bars: int
    length_quarters: Fraction
    """Where the audio ends; inside the last bar when the length is no whole number of bars."""
    loop: bool
    closes: bool
    """Whether the music comes to an end of its own, rather than being cut at a bar line for more to follow."""
    chords: tuple[ChordSpan, ...]
    events: tuple[Event, ...]
    """Sorted by onset, part, pitch."""
    instruments: Mapping[str, str]
    """For each part the patch (or kit) that plays it."""

    def sample_at(self, quarters: Fraction) -> int:
        """Return the sample (48 kHz) at which a position in quarter notes falls, rounded half up."""
        return math.floor(quarters * 60 * SAMPLE_RATE_HZ / self.bpm + Fraction(1, 2))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that play, in summing order."""
        return tuple(part for part in PARTS if part in self.instruments)

    def part_events(self, part: str) -> tuple[Event, ...]:
        """Return one part's events in order."""
        return tuple(event for event in self.events if event.part == part)
