"""The chords and the pad: voice-led voicings struck in the genre's rhythm, or held."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.genres import Comp
from dgx_music.engines.sketch.harmony import chord_index, voice_lead
from dgx_music.engines.sketch.pulse import Cells, read_cells
from dgx_music.engines.sketch.score import ChordSpan, Event
from dgx_music.engines.sketch.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.engines.sketch.plan import Plan

__all__ = ["play_chords", "play_pad", "voicings"]

_LEVELS = {"X": 0.9, "x": 0.75, "o": 0.55, "g": 0.35, "?": 0.5}
_PAD = Comp("warm_pad", Cells(one="X..."), gate=1.0)


def play_chords(plan: Plan, chords: Sequence[ChordSpan]) -> list[Event]:
    """Write the chord part."""
    return _play(plan, chords, plan.brief.genre.chords, "chords")


def play_pad(plan: Plan, chords: Sequence[ChordSpan]) -> list[Event]:
    """Write the pad, the held bed under the rest."""
    return _play(plan, chords, plan.brief.genre.pad or _PAD, "pad")


def voicings(chords: Sequence[ChordSpan], comp: Comp) -> list[tuple[int, ...]]:
    """Return each chord's notes, every one led from the one before."""
    found: list[tuple[int, ...]] = []
    known: dict[tuple[tuple[int, ...], tuple[int, ...] | None], tuple[int, ...]] = {}
    for chord in chords:
        tones = (chord.root, (chord.root + 7) % 12) if comp.power else chord.tones
        step = (tones, found[-1] if found else None)
        if step not in known:
            known[step] = voice_lead(tones, comp.low, comp.high, step[1])
        found.append(known[step])
    return found


def _play(plan: Plan, chords: Sequence[ChordSpan], comp: Comp, part: Purpose) -> list[Event]:
    voiced = voicings(chords, comp)
    strikes = _strikes(plan, chords, comp, part)
    gate = Fraction(comp.gate).limit_denominator(100)
    events = []
    for place, (onset, velocity, whole) in enumerate(strikes):
        place_in_harmony = chord_index(chords, onset)
        chord, voicing = chords[place_in_harmony], voiced[place_in_harmony]
        following = strikes[place + 1][0] if place + 1 < len(strikes) else plan.end
        length = (following - onset) * (Fraction(1) if whole else gate)
        length = min(length, (chord.end - onset) * max(gate, Fraction(1)))
        for voice, pitch in enumerate(sorted(set(voicing))):
            late = min(comp.spread * voice, length / 2)
            shade = velocity * (1.0 if voice == len(voicing) - 1 else 0.9)
            events.append(Event(part, onset + late, length - late, pitch, round(shade, 3)))
    return events


def _strikes(
    plan: Plan, chords: Sequence[ChordSpan], comp: Comp, part: Purpose
) -> list[tuple[Fraction, float, bool]]:
    """Return `(onset, velocity, held to the next)` of every strike; a held part strikes at each new chord."""
    holds = comp.gate >= 1 and comp.cells == Cells(one="X...")
    strikes: list[tuple[Fraction, float, bool]] = []
    for bar in plan.bars:
        if part not in bar.parts:
            continue
        rng = stream(plan.seed, part, 1 + bar.index)
        if bar.closing:
            strikes.append((bar.onset, 0.8, True))
            continue
        marks = []
        if not holds:
            for pulse, position, mark in read_cells(comp.cells, bar.pulses):
                chance, level = rng.random(2)
                if mark == "?" and chance > 0.1 + 0.7 * plan.brief.density:
                    continue
                if plan.brief.density < 0.25 and mark in "o?" and chance > 0.4:
                    continue
                marks.append(
                    (plan.at(bar, pulse, position), _LEVELS[mark] * (0.9 + 0.1 * float(level)), False)
                )
        if holds or comp.gate > 0.6:
            # Parts that ring are struck anew where the harmony changes; short stabs keep their rhythm.
            struck = {onset for onset, _, _ in marks}
            changes = [c.onset for c in chords if bar.onset <= c.onset < bar.onset + bar.quarters]
            marks += [(onset, 0.7, False) for onset in changes if onset not in struck]
        strikes += sorted(marks)
    return strikes
