"""Harmony: progressions in a key, and voicings that move as little as they can."""

from __future__ import annotations

import bisect
import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.score import ChordSpan
from dgx_music.engines.sketch.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from dgx_music.engines.sketch.plan import Bar, Plan
    from dgx_music.request import Key

__all__ = ["VOICES", "chord_at", "chord_index", "parse_chord", "scale_for", "spell_chords", "voice_lead"]

VOICES = 4
_ROMAN = re.compile(r"^(b|#)?(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(.*)$")
_DOMINANT = re.compile(r"^V(?!I)")
_DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_MAJOR_SUFFIX = {
    "": (0, 4, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "9": (0, 4, 10, 2),
    "maj9": (0, 4, 11, 2),
    "add9": (0, 4, 7, 2),
    "6": (0, 4, 7, 9),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
}
_MINOR_SUFFIX = {
    "": (0, 3, 7),
    "7": (0, 3, 7, 10),
    "9": (0, 3, 10, 2),
    "add9": (0, 3, 7, 2),
    "6": (0, 3, 7, 9),
    "ø7": (0, 3, 6, 10),
    "maj7": (0, 3, 7, 11),
}
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_PENTATONIC = {"major": (0, 2, 4, 7, 9), "minor": (0, 3, 5, 7, 10)}


def parse_chord(symbol: str, key: Key) -> tuple[int, tuple[int, ...]]:
    """Return root and tones, as pitch classes, of a roman numeral in a key.

    Numerals count the major scale's degrees in both modes (`bVI` in minor); lower case is minor.

    Raises:
        ValueError: when the symbol is not in the vocabulary.
    """
    match = _ROMAN.match(symbol)
    suffixes = _MINOR_SUFFIX if match and match[2].islower() else _MAJOR_SUFFIX
    if not match or match[3] not in suffixes:
        raise ValueError(f"{symbol!r} is no chord of this vocabulary; write a numeral such as bVImaj7 or iv9")
    root = (key.pitch_class + _DEGREES[match[2].lower()] + {"b": -1, "#": 1}.get(match[1] or "", 0)) % 12
    return root, tuple((root + interval) % 12 for interval in suffixes[match[3]])


def spell_chords(plan: Plan) -> tuple[ChordSpan, ...]:
    """Lay the progressions over the bars: one for the theme, another for `B`, and a tonic to end on."""
    options = plan.brief.genre.progressions[plan.key.mode]
    rng = stream(plan.seed, "harmony")
    order = [int(index) for index in rng.permutation(len(options))]
    chosen = {"A": options[order[0]], "B": options[order[1 % len(order)]], "C": options[order[0]]}
    spans = []
    for bar in plan.bars:
        symbols = _bar_symbols(plan, bar, chosen[bar.section])
        for onset, length, symbol in _share_bar(bar, symbols):
            spans.append(ChordSpan(onset, length, symbol, *parse_chord(symbol, plan.key)))
    last = spans[-1]
    spans[-1] = replace(last, length=plan.end - last.onset)
    return tuple(spans)


def chord_index(chords: Sequence[ChordSpan], position: Fraction) -> int:
    """Return the place in `chords` of the one that holds at a position in quarter notes."""
    return max(0, bisect.bisect_right(chords, position, key=lambda chord: chord.onset) - 1)


def chord_at(chords: Sequence[ChordSpan], position: Fraction) -> ChordSpan:
    """Return the chord that holds at a position in quarter notes."""
    return chords[chord_index(chords, position)]


def scale_for(chord: ChordSpan, key: Key, *, pentatonic: bool) -> tuple[int, ...]:
    """Return the pitch classes that a melody may use over a chord.

    The key's scale, except what rubs a semitone against a chord tone that the scale lacks (the leading note of a
    minor key's dominant), plus the chord's own tones.
    """
    scale = {(key.pitch_class + step) % 12 for step in (_PENTATONIC if pentatonic else _SCALES)[key.mode]}
    foreign = [tone for tone in chord.tones if tone not in scale]
    scale -= {(tone + rub) % 12 for tone in foreign for rub in (-1, 1)}
    return tuple(sorted(scale | set(chord.tones)))


def voice_lead(tones: Sequence[int], low: int, high: int, previous: Sequence[int] | None) -> tuple[int, ...]:
    """Return `VOICES` MIDI notes from `low` to `high`, ascending, for pitch classes given root first.

    Every tone sounds; a triad doubles its root. Of all spacings the one is taken whose voices move least from
    `previous`, with a pull to the middle of the range and no cluster at the bottom.
    """
    wanted = list(tones[:VOICES])
    while len(wanted) < VOICES:
        wanted.append(tones[0] if len(wanted) != 2 else tones[1])
    places = [[note for note in range(low, high + 1) if note % 12 == tone] for tone in wanted]
    middle = (low + high) / 2

    def cost(voicing: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        spread = voicing[-1] - voicing[0]
        price = 0.35 * abs(sum(voicing) / VOICES - middle) + 0.5 * max(0, spread - 16)
        price += sum(4.0 for a, b in itertools.pairwise(voicing) if b - a < 1)
        price += 1.5 if voicing[1] - voicing[0] < 3 else 0.0
        if previous is not None:
            moves = [abs(a - b) for a, b in zip(voicing, previous, strict=True)]
            price += sum(moves) + 0.6 * max(moves) ** 1.5
        return price, voicing

    candidates = {tuple(sorted(choice)) for choice in itertools.product(*places)}
    return min(candidates, key=cost)


def _bar_symbols(plan: Plan, bar: Bar, progression: tuple[str, ...]) -> list[str]:
    tonic = next((symbol for symbol in progression[0].split()), "I")
    if bar.closing:
        return [tonic]
    final = plan.bars[-1]
    before_end = final.closing and bar.index == final.index - 1 and bar.index > 0
    if before_end or (
        bar.index == final.index > 0 and (bar.index + 1) % len(progression) and not final.closing
    ):
        # The last step before the tonic, be it the end's or the loop's first bar, is the dominant.
        return progression[-1].split() if _DOMINANT.match(progression[-1].split()[-1]) else ["V"]
    return progression[bar.index % len(progression)].split()


def _share_bar(bar: Bar, symbols: list[str]) -> list[tuple[Fraction, Fraction, str]]:
    if len(symbols) == 1 or len(bar.pulses) == 1:
        return [(bar.onset, bar.quarters, symbols[-1])]
    later = [pulse for pulse in bar.pulses[1:] if pulse.role == "strong"] or list(bar.pulses[1:])
    middle = min(later, key=lambda pulse: abs(pulse.onset - bar.quarters / 2))
    return [
        (bar.onset, middle.onset, symbols[0]),
        (bar.onset + middle.onset, bar.quarters - middle.onset, symbols[1]),
    ]
