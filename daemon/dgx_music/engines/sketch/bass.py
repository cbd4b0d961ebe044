"""The bass: the genre's line on the chord's tones, or a walking line; under a new chord it starts on the root."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.harmony import chord_at, chord_index, scale_for
from dgx_music.engines.sketch.pulse import read_cells
from dgx_music.engines.sketch.score import ChordSpan, Event
from dgx_music.engines.sketch.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from dgx_music.engines.sketch.plan import Bar, Plan

__all__ = ["play_bass"]

_LEVELS = {"R": 0.9, "r": 0.6, "5": 0.75, "8": 0.8, "3": 0.75, "7": 0.75, "a": 0.7}
_Note = tuple[Fraction, str, float]


def play_bass(plan: Plan, chords: Sequence[ChordSpan]) -> list[Event]:
    """Write the bass part."""
    notes: list[_Note] = []
    for bar in plan.bars:
        if "bass" not in bar.parts:
            continue
        rng = stream(plan.seed, "bass", 1 + bar.index)
        if bar.closing:
            notes.append((bar.onset, "R", 0.9))
        elif plan.brief.walking:
            notes += _walking_bar(plan, bar, rng)
        else:
            notes += _bar(plan, bar, rng)
    return _sound(plan, chords, notes)


def _bar(plan: Plan, bar: Bar, rng: np.random.Generator) -> list[_Note]:
    notes: list[_Note] = []
    for pulse, position, mark in read_cells(plan.brief.genre.bass.cells, bar.pulses):
        chance, level = rng.random(2)
        if mark == "r" and chance > 0.2 + 0.7 * plan.brief.density:
            continue
        if plan.brief.density < 0.25 and mark != "R" and chance > 0.5:
            continue
        notes.append((plan.at(bar, pulse, position), mark, _LEVELS[mark] * (0.92 + 0.08 * float(level))))
    return notes


def _walking_bar(plan: Plan, bar: Bar, rng: np.random.Generator) -> list[_Note]:
    """A note on every pulse: root, then tones of the chord, and a step into the next root."""
    marks = ["R", *(str(mark) for mark in rng.choice(["3", "5", "8", "7", "5", "3"], size=len(bar.pulses)))]
    marks = marks[: len(bar.pulses)]
    if len(marks) > 2:
        marks[-1] = "a"
    notes = []
    for pulse, mark in zip(bar.pulses, marks, strict=True):
        notes.append((plan.at(bar, pulse, Fraction(0)), mark, 0.75 + 0.15 * float(rng.random())))
        if pulse.steps == 4 and rng.random() < 0.12:
            notes.append((plan.at(bar, pulse, pulse.length / 2), "r", 0.5))
    return notes


def _sound(plan: Plan, chords: Sequence[ChordSpan], notes: list[_Note]) -> list[Event]:
    """Give the marks their pitches and lengths."""
    style = plan.brief.genre.bass
    gate = Fraction(92, 100) if plan.brief.walking else Fraction(style.gate).limit_denominator(100)
    events = []
    previous: ChordSpan | None = None
    for place, (onset, mark, velocity) in enumerate(notes):
        chord = chord_at(chords, onset)
        following = notes[place + 1][0] if place + 1 < len(notes) else plan.end
        # A note that rings on holds to the end of its chord at most: the next root must be clean.
        length = min((following - onset) * gate, chord.end - onset)
        used = "R" if chord is not previous else mark
        previous = chord
        root = style.low + (chord.root - style.low) % 12
        ahead = chords[(chord_index(chords, onset) + 1) % len(chords)]
        events.append(
            Event("bass", onset, length, _pitch(plan, chord, ahead, root, used), round(velocity, 3))
        )
    return events


def _pitch(plan: Plan, chord: ChordSpan, ahead: ChordSpan, root: int, mark: str) -> int:
    if mark == "8":
        return root + 12
    if mark in "537":
        wanted = {"3": 1, "5": 2, "7": 3}[mark]
        tone = chord.tones[wanted] if wanted < len(chord.tones) else chord.root
        if mark == "5":
            tone = next((t for t in chord.tones if (t - chord.root) % 12 in (6, 7)), chord.root)
        return root + (tone - chord.root) % 12
    if mark == "a":
        scale = scale_for(chord, plan.key, pentatonic=False)
        target = plan.brief.genre.bass.low + (ahead.root - plan.brief.genre.bass.low) % 12
        step = next(s for s in (-1, 2, -2, 1, -3) if (target + s) % 12 in scale or s == -3)
        return target + step
    return root
