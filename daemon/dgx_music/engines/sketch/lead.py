"""The lead: a motif, its answer, and a close, over the chords."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.harmony import chord_at, scale_for
from dgx_music.engines.sketch.score import ChordSpan, Event
from dgx_music.engines.sketch.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from dgx_music.engines.sketch.plan import Bar, Plan
    from dgx_music.engines.sketch.pulse import Pulse

__all__ = ["play_lead"]

_WEIGHTS = {"one": 0.8, "strong": 0.65, "back": 0.55, "weak": 0.5}


@dataclass(frozen=True)
class _Motif:
    """One bar of melody: places on the grid, and for each a number of scale steps from the phrase's anchor."""

    places: tuple[tuple[int, Fraction], ...]
    """Pulse index and straight position inside the pulse."""
    steps: tuple[int, ...]


def play_lead(plan: Plan, chords: Sequence[ChordSpan]) -> list[Event]:
    """Write the lead part."""
    kind = "arp" if plan.brief.arpeggio else plan.brief.genre.lead.kind
    if kind == "arp":
        return _arpeggio(plan, chords)
    motifs = {
        section: _motif(plan, stream(plan.seed, "lead", number)) for number, section in enumerate("ABC", 1)
    }
    answers = {
        section: _motif(plan, stream(plan.seed, "lead", number)) for number, section in enumerate("ABC", 4)
    }
    notes: list[tuple[Fraction, int, Bar]] = []
    for bar in plan.bars:
        if "lead" in bar.parts:
            notes += [
                (onset, step, bar)
                for onset, step in _bar(plan, bar, kind, motifs[bar.section], answers[bar.section])
            ]
    return _sound(plan, chords, notes)


def _motif(plan: Plan, rng: np.random.Generator) -> _Motif:
    density = plan.brief.genre.lead.density * (0.6 + 0.8 * plan.brief.density)
    places = []
    for index, pulse in enumerate(plan.pulses):
        for step in range(pulse.steps):
            position = step * pulse.step
            weight = _WEIGHTS[pulse.role] if step == 0 else 0.45 if step % 2 == 0 else 0.16
            if rng.random() < weight * density * 1.5:
                places.append((index, position))
    if len(places) < 2:
        places = sorted({*places, (0, Fraction(0)), (len(plan.pulses) - 1, Fraction(0))})
    steps = [int(rng.integers(-1, 2))]
    for _ in places[1:]:
        # Mostly steps, now and then a leap, which the next note answers by turning back.
        leap = rng.random() < 0.2
        turn = -1 if steps[-1] > 2 else 1 if steps[-1] < -2 else int(rng.choice([-1, 1]))
        steps.append(steps[-1] + turn * (int(rng.integers(2, 4)) if leap else int(rng.integers(0, 2)) or 1))
    return _Motif(tuple(places), tuple(steps))


def _bar(plan: Plan, bar: Bar, kind: str, motif: _Motif, answer: _Motif) -> list[tuple[Fraction, int]]:
    """Motif, motif moved, motif, close; a `riff` repeats, a `sparse` lead leaves every other bar open."""
    if bar.closing:
        return [(bar.onset, 0)]
    used, shift, keep = motif, 0, len(motif.places)
    if kind == "sparse":
        used, keep = (motif, keep) if bar.position % 2 == 0 else (answer, 1 if bar.position == 1 else 0)
    elif kind == "riff":
        shift = 0
        used = answer if bar.position == 3 else motif
    elif bar.position == 1:
        shift = 1 if bar.phrase % 2 == 0 else -1
    elif bar.position == 2:
        used = motif if bar.phrase % 2 == 0 else answer
    elif bar.position == 3:
        used, keep = answer, max(1, (len(answer.places) + 1) // 2)
    notes = list(zip(used.places, used.steps, strict=True))[:keep]
    return [
        (plan.at(bar, bar.pulses[index], position), step + shift)
        for (index, position), step in notes
        # In a shorter bar than the motif's own, what does not fit is left out.
        if index < len(bar.pulses) and position < bar.pulses[index].length
    ]


def _sound(plan: Plan, chords: Sequence[ChordSpan], notes: list[tuple[Fraction, int, Bar]]) -> list[Event]:
    style = plan.brief.genre.lead
    gate = Fraction(style.gate).limit_denominator(100)
    middle = (style.low + style.high) // 2
    rng = stream(plan.seed, "lead", 0)
    events = []
    for place, (onset, step, bar) in enumerate(notes):
        chord = chord_at(chords, onset)
        following = notes[place + 1][0] if place + 1 < len(notes) else plan.end
        length = min((following - onset) * gate, 2 * bar.quarters)
        scale = scale_for(chord, plan.key, pentatonic=style.pentatonic)
        strong = any(bar.onset + pulse.onset == onset for pulse in bar.pulses) or following - onset >= 1
        if bar.closing:
            scale = (plan.key.pitch_class,)
        pitch = _pitch(
            middle, step, scale, chord.tones if strong and not bar.closing else scale, style.low, style.high
        )
        velocity = (0.85 if strong else 0.7) * (0.9 + 0.1 * float(rng.random()))
        events.append(Event("lead", onset, length, pitch, round(velocity, 3)))
    return events


def _pitch(middle: int, step: int, scale: Sequence[int], tones: Sequence[int], low: int, high: int) -> int:
    """Go `step` scale notes up or down from the middle of the range, then to the nearest allowed tone."""
    ladder = [note for note in range(low, high + 1) if note % 12 in scale]
    start = min(range(len(ladder)), key=lambda index: (abs(ladder[index] - middle), index))
    wish = ladder[max(0, min(len(ladder) - 1, start + step))]
    allowed = [note for note in range(low, high + 1) if note % 12 in tones]
    return min(allowed, key=lambda note: (abs(note - wish), note))


def _arpeggio(plan: Plan, chords: Sequence[ChordSpan]) -> list[Event]:
    """Chord tones in running steps, up and down over two octaves, with rests that repeat every bar."""
    style = plan.brief.genre.lead
    rng = stream(plan.seed, "lead", 1)
    steps = _steps(plan.pulses)
    sounding = [
        bool(rng.random() < 0.45 + 0.5 * plan.brief.density) or index == 0 for index in range(len(steps))
    ]
    order = [int(value) for value in rng.permutation(8)] if rng.random() < 0.5 else [0, 1, 2, 3, 4, 3, 2, 1]
    events = []
    for bar in plan.bars:
        if "lead" not in bar.parts:
            continue
        steps = _steps(bar.pulses)
        for index, (pulse, position) in enumerate(steps if not bar.closing else steps[:1]):
            if not sounding[index % len(sounding)]:
                continue
            onset = plan.at(bar, pulse, position)
            tones = chord_at(chords, onset).tones
            ladder = [note for note in range(style.low, style.high + 1) if note % 12 in tones]
            pitch = ladder[order[index % len(order)] % len(ladder)]
            length = pulse.step * Fraction(style.gate).limit_denominator(100) * (4 if bar.closing else 1)
            events.append(Event("lead", onset, length, pitch, 0.85 if position == 0 else 0.65))
    return events


def _steps(pulses: Sequence[Pulse]) -> list[tuple[Pulse, Fraction]]:
    """Return every step of a bar's grid: its pulse, and its straight position inside it."""
    return [(pulse, index * pulse.step) for pulse in pulses for index in range(pulse.steps)]
