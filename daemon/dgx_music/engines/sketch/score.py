"""The score: what is played, as data, before anything sounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dgx_music.request import Key, Meter, Timeline

__all__ = ["PARTS", "SAMPLE_RATE_HZ", "ChordSpan", "Event", "Score"]

SAMPLE_RATE_HZ = 48_000
_HOLD_GRAIN = SAMPLE_RATE_HZ // 100
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
    """Quarter notes a minute, at the start."""
    timeline: Timeline
    """When the places in quarter notes are reached."""
    meter: Meter
    """The first bar's."""
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
        return math.floor(self.timeline.seconds_at(quarters) * SAMPLE_RATE_HZ + Fraction(1, 2))

    def samples_of(self, event: Event) -> int:
        """Return how long a note is held, in samples."""
        if self.timeline.is_constant:
            return self.sample_at(event.duration)
        held = self.sample_at(event.onset + event.duration) - self.sample_at(event.onset)
        # Notes of the same length would all differ by some samples, and each would have to be made anew.
        return max(1, round(held / _HOLD_GRAIN)) * _HOLD_GRAIN

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that play, in summing order."""
        return tuple(part for part in PARTS if part in self.instruments)

    def part_events(self, part: str) -> tuple[Event, ...]:
        """Return one part's events in order."""
        return tuple(event for event in self.events if event.part == part)
