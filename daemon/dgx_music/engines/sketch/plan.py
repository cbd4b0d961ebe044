"""The plan of a take: tempo, key, bars, phrases and who plays in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.pulse import STRAIGHT, Pulse, Swing, pulses_of
from dgx_music.engines.sketch.score import PARTS, SAMPLE_RATE_HZ
from dgx_music.engines.sketch.streams import stream
from dgx_music.request import Key, Meter, Timeline, exact_fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from dgx_music.engines.sketch.brief import Brief
    from dgx_music.request import BarLine, GenerationRequest

__all__ = ["Bar", "Plan", "make_plan"]

PHRASE_BARS = 4
SECTION_BARS = 8
_TONICS = {
    "minor": ("A", "C", "D", "E", "F", "G", "B", "F#"),
    "major": ("C", "D", "Eb", "F", "G", "A", "Bb", "E"),
}


@dataclass(frozen=True)
class Bar:
    """One bar's place in the form."""

    index: int
    onset: Fraction
    """In quarter notes from the start."""
    phrase: int
    position: int
    """In the phrase, from 0."""
    phrase_bars: int
    section: str
    """`A` the theme, `B` the second theme, `C` the breakdown."""
    fill: bool
    """Whether the drums lead into the next phrase here."""
    closing: bool
    """Whether this is the last bar of a take that comes to an end."""
    parts: tuple[str, ...]
    """Who plays."""
    quarters: Fraction
    """Its length."""
    pulses: tuple[Pulse, ...]


@dataclass(frozen=True)
class Plan:
    """What all composers share."""

    brief: Brief
    seed: int
    bpm: Fraction
    """The tempo, or the first one."""
    meter: Meter
    """The meter, or the first one."""
    key: Key
    pulses: tuple[Pulse, ...]
    """Of a bar in that meter."""
    swing: Swing
    bars: tuple[Bar, ...]
    length_quarters: Fraction
    """Where the audio ends."""
    loop: bool
    timeline: Timeline

    @property
    def end(self) -> Fraction:
        """Where the last notes may end: at the last bar line, or later where a short rest of a bar is left over."""
        return max(self.length_quarters, self.bars[-1].onset + self.bars[-1].quarters)

    @property
    def closes(self) -> bool:
        """Whether the take comes to an end of its own."""
        return self.bars[-1].closing

    def at(self, bar: Bar, pulse: Pulse, position: Fraction) -> Fraction:
        """Return a straight position inside a pulse as quarter notes from the start, swung."""
        return bar.onset + pulse.onset + self.swing.warp(pulse, position)


def make_plan(request: GenerationRequest, brief: Brief, seed: int) -> Plan:
    """Settle what the request leaves open."""
    rng = stream(seed, "plan")
    meter = request.time_signature
    key = Key.parse(request.key) if request.key else _key(brief, rng)
    quarters = meter.quarters_per_bar
    draw = rng.random(4)
    bpm = exact_fraction(request.bpm) if request.bpm is not None else _tempo(request, brief, quarters, draw)
    timeline = request.timeline or Timeline.constant(bpm, meter, request.length_exact_s)
    length = timeline.length_quarters
    lines, whole = _bar_lines(timeline, length)
    closes = not request.loop and (request.bpm is None or not whole)
    if closes and not whole and len(lines) > 1 and length - lines[-1].quarters < _length(lines[-1]) / 2:
        # Too little is left of the last bar to close in it: the bar before closes and rings on.
        lines.pop()
    return Plan(
        brief=brief,
        seed=seed,
        bpm=bpm,
        meter=meter,
        key=key,
        pulses=pulses_of(meter),
        swing=_swing(brief),
        bars=_form(lines, brief, loop=request.loop, closes=closes),
        length_quarters=length,
        loop=request.loop,
        timeline=timeline,
    )


def _length(line: BarLine) -> Fraction:
    return line.meter.quarters_per_bar


def _bar_lines(timeline: Timeline, length: Fraction) -> tuple[list[BarLine], bool]:
    """Return the lines of the bars that a length takes, and whether it ends with a bar."""
    shortest = min(_length(line) for line in timeline.meters)
    lines = list(timeline.bar_lines(math.ceil(length / shortest) + 2))
    # A range in samples at a known tempo misses the bar line by a fraction of a sample; it still means whole bars.
    end = min(lines[1:], key=lambda line: abs(line.quarters - length))
    if abs(timeline.seconds_at(end.quarters) - timeline.length_s) * SAMPLE_RATE_HZ <= 2:
        return [line for line in lines if line.quarters < end.quarters], True
    return [line for line in lines if line.quarters < length], False


def _key(brief: Brief, rng: np.random.Generator) -> Key:
    mode = "minor" if rng.random() < brief.genre.minor_chance else "major"
    mode = brief.mode or mode
    return Key(str(rng.choice(_TONICS[mode])), mode)


def _tempo(request: GenerationRequest, brief: Brief, quarters: Fraction, draw: np.ndarray) -> Fraction:
    """Choose a tempo in the genre's range; where one makes the length whole bars, such a one."""
    low, high = brief.genre.tempo
    wish = (
        float(draw[0])
        if not brief.tempo_bias
        else 0.5 + 0.5 * brief.tempo_bias * (0.4 + 0.6 * float(draw[0]))
    )
    target = low + (high - low) * wish
    length = request.length_exact_s
    first = math.ceil(low * length / 60 / quarters)
    last = math.floor(high * length / 60 / quarters)
    fitting = range(max(1, first), last + 1)
    if fitting:
        # Phrases are four bars long: prefer counts that make whole phrases, then the tempo that was wished for.
        def cost(count: int) -> tuple[float, int]:
            off = abs(float(count * quarters * 60 / length) - target) / (high - low)
            return off + {0: 0.0, 2: 0.25}.get(count % PHRASE_BARS, 0.5), count

        return min(fitting, key=cost) * quarters * 60 / length
    if request.loop:
        # Whole bars come before the genre's range: a loop that limps is no loop.
        count = max(1, round(target * length / 60 / quarters))
        return count * quarters * 60 / length
    return Fraction(round(target))


def _swing(brief: Brief) -> Swing:
    own = brief.genre.swing
    if brief.swing is None:
        return own
    if not brief.swing:
        return STRAIGHT
    return own if own != STRAIGHT else Swing(Fraction(1, 2), Fraction(2, 3))


def _form(lines: Sequence[BarLine], brief: Brief, *, loop: bool, closes: bool) -> tuple[Bar, ...]:
    bars = []
    count = len(lines)
    pulses = {meter: pulses_of(meter) for meter in {line.meter for line in lines}}
    for index, line in enumerate(lines):
        phrase, position = divmod(index, PHRASE_BARS)
        phrase_bars = min(PHRASE_BARS, count - phrase * PHRASE_BARS)
        section = "A" if count <= SECTION_BARS else "ABAC"[index // SECTION_BARS % 4]
        last = index == count - 1
        closing = closes and last and count > 1
        bars.append(
            Bar(
                index=index,
                onset=line.quarters,
                phrase=phrase,
                position=position,
                phrase_bars=phrase_bars,
                section=section,
                fill=position == phrase_bars - 1 and phrase_bars > 1 and not closing,
                closing=closing,
                parts=_players(index, count, section, brief, intro=not loop),
                quarters=_length(line),
                pulses=pulses[line.meter],
            )
        )
    return tuple(bars)


def _players(index: int, count: int, section: str, brief: Brief, *, intro: bool) -> tuple[str, ...]:
    """Who plays in a bar: all, except in the intro of a longer take and in its breakdowns."""
    resting: set[str] = set()
    if intro and count >= 16 and index < PHRASE_BARS:
        resting = {"lead"}
    if section == "C":
        resting = {"bass"} if index // PHRASE_BARS % 2 == 0 else set()
    playing = tuple(part for part in PARTS if part in brief.parts and part not in resting)
    return playing or brief.parts
