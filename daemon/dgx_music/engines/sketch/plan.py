"""The plan of a take: tempo, key, bars, phrases and who plays in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.pulse import STRAIGHT, Pulse, Swing, pulses_of
from dgx_music.engines.sketch.score import PARTS, SAMPLE_RATE_HZ
from dgx_music.engines.sketch.streams import stream
from dgx_music.request import Key, Meter, exact_fraction

if TYPE_CHECKING:
    import numpy as np

    from dgx_music.engines.sketch.brief import Brief
    from dgx_music.request import GenerationRequest

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


@dataclass(frozen=True)
class Plan:
    """What all composers share."""

    brief: Brief
    seed: int
    bpm: Fraction
    meter: Meter
    key: Key
    pulses: tuple[Pulse, ...]
    swing: Swing
    bars: tuple[Bar, ...]
    length_quarters: Fraction
    """Where the audio ends."""
    loop: bool

    @property
    def end(self) -> Fraction:
        """Where the last notes may end: at the last bar line, or later where a short rest of a bar is left over."""
        return max(self.length_quarters, self.bars[-1].onset + self.bar_quarters)

    @property
    def closes(self) -> bool:
        """Whether the take comes to an end of its own."""
        return self.bars[-1].closing

    @property
    def bar_quarters(self) -> Fraction:
        """A bar's length in quarter notes."""
        return self.meter.quarters_per_bar

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
    length = request.length_exact_s * bpm / 60
    count = max(1, math.ceil(length / quarters))
    # A range in samples at a known tempo misses the bar line by a fraction of a sample; it still means whole bars.
    nearest = max(1, round(length / quarters))
    if abs(nearest * quarters - length) * 60 * SAMPLE_RATE_HZ / bpm <= 2:
        count = nearest
        whole = True
    else:
        whole = False
    closes = not request.loop and (request.bpm is None or not whole)
    if closes and not whole and count > 1 and length - (count - 1) * quarters < quarters / 2:
        # Too little is left of the last bar to close in it: the bar before closes and rings on.
        count -= 1
    return Plan(
        brief=brief,
        seed=seed,
        bpm=bpm,
        meter=meter,
        key=key,
        pulses=pulses_of(meter),
        swing=_swing(brief),
        bars=_form(count, quarters, brief, loop=request.loop, closes=closes),
        length_quarters=length,
        loop=request.loop,
    )


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


def _form(count: int, quarters: Fraction, brief: Brief, *, loop: bool, closes: bool) -> tuple[Bar, ...]:
    bars = []
    for index in range(count):
        phrase, position = divmod(index, PHRASE_BARS)
        phrase_bars = min(PHRASE_BARS, count - phrase * PHRASE_BARS)
        section = "A" if count <= SECTION_BARS else "ABAC"[index // SECTION_BARS % 4]
        last = index == count - 1
        closing = closes and last and count > 1
        bars.append(
            Bar(
                index=index,
                onset=index * quarters,
                phrase=phrase,
                position=position,
                phrase_bars=phrase_bars,
                section=section,
                fill=position == phrase_bars - 1 and phrase_bars > 1 and not closing,
                closing=closing,
                parts=_players(index, count, section, brief, intro=not loop),
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
