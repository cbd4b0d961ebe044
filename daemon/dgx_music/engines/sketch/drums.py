"""The drums: the genre's lines, ghosts by density, fills at phrase ends, a crash where the next phrase starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.engines.sketch.pulse import read_cells
from dgx_music.engines.sketch.score import Event
from dgx_music.engines.sketch.streams import stream

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np

    from dgx_music.engines.sketch.plan import Bar, Plan
    from dgx_music.engines.sketch.pulse import Pulse

__all__ = ["DRUM_KEYS", "play_drums"]

DRUM_KEYS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "pedal_hat": 44,
    "open_hat": 46,
    "low_tom": 41,
    "mid_tom": 45,
    "high_tom": 48,
    "crash": 49,
    "ride": 51,
    "shaker": 70,
}
"""Names to General MIDI percussion keys."""
_LEVELS = {"X": 1.0, "x": 0.82, "o": 0.58, "g": 0.32, "?": 0.3, "r": 0.6}
_FILLS = {
    "toms": ("snare", "high_tom", "mid_tom", "low_tom"),
    "snare": ("snare", "kick", "snare", "snare"),
    "roll": ("clap", "clap", "snare", "snare"),
    "brush": ("rim", "snare", "snare", "snare"),
    "taiko": ("mid_tom", "low_tom", "mid_tom", "low_tom"),
}


def play_drums(plan: Plan) -> list[Event]:
    """Write the drum part."""
    events: list[Event] = []
    for bar in plan.bars:
        if "drums" in bar.parts:
            rng = stream(plan.seed, "drums", 1 + bar.index)
            events += _closing_hit(plan, bar) if bar.closing else _bar(plan, bar, rng)
    return events


def _bar(plan: Plan, bar: Bar, rng: np.random.Generator) -> list[Event]:
    drums = plan.brief.genre.drums
    fill_from = _fill_start(plan, bar) if bar.fill and drums.fill != "none" else bar.quarters
    events = []
    for line in drums.lines:
        if line.from_density > plan.brief.density or (bar.section == "C" and line.sound in ("kick", "clap")):
            continue
        for pulse, position, mark in read_cells(line.cells, bar.pulses):
            chance, level = rng.random(2)
            if mark == "?" and chance > 0.15 + 0.6 * plan.brief.density:
                continue
            if pulse.onset + position >= fill_from and line.sound not in ("ride", "shaker"):
                continue
            if plan.brief.density < 0.25 and mark in "og" and chance > 0.5:
                continue
            events += _hits(plan, bar, pulse, position, line.sound, mark, _LEVELS[mark] * (0.9 + 0.1 * level))
    if fill_from < bar.quarters:
        events += _fill(plan, bar, fill_from, rng)
    if drums.crash and bar.position == 0 and bar.index > 0:
        events.append(_event(bar.onset, "crash", 0.75))
    return events


def _hits(
    plan: Plan, bar: Bar, pulse: Pulse, position: Fraction, sound: str, mark: str, velocity: float
) -> list[Event]:
    if mark != "r":
        return [_event(plan.at(bar, pulse, position), sound, velocity)]
    first, second = position, position + pulse.step / 2
    return [_event(plan.at(bar, pulse, place), sound, velocity) for place in (first, second)]


def _fill_start(plan: Plan, bar: Bar) -> Fraction:
    """A fill takes the bar's last pulse, in busy takes its last two, never the whole bar."""
    wanted = 2 if plan.brief.density >= 0.5 and len(bar.pulses) > 3 else 1
    return bar.pulses[-min(wanted, max(1, len(bar.pulses) - 1))].onset


def _fill(plan: Plan, bar: Bar, start: Fraction, rng: np.random.Generator) -> list[Event]:
    sounds = _FILLS[plan.brief.genre.drums.fill]
    steps = [
        (pulse, index * pulse.step)
        for pulse in bar.pulses
        for index in range(pulse.steps)
        if pulse.onset + index * pulse.step >= start
    ]
    events = []
    for place, (pulse, position) in enumerate(steps):
        keep, level = rng.random(2)
        on_grid = position % (2 * pulse.step) == 0
        # A fill tightens towards the bar line: in its last pulse every step is struck.
        if not on_grid and pulse is not bar.pulses[-1] and keep > 0.4 + 0.6 * plan.brief.density:
            continue
        rise = 0.5 + 0.45 * (place + 1) / len(steps)
        sound = sounds[place * len(sounds) // len(steps)]
        events.append(_event(plan.at(bar, pulse, position), sound, min(1.0, rise * (0.9 + 0.1 * level))))
        if on_grid and position == 0 and sound != "kick":
            events.append(_event(plan.at(bar, pulse, position), "kick", 0.6))
    return events


def _closing_hit(plan: Plan, bar: Bar) -> list[Event]:
    sounds = {line.sound for line in plan.brief.genre.drums.lines}
    hit = [_event(bar.onset, "kick", 0.9)] if "kick" in sounds else []
    last = "crash" if plan.brief.genre.drums.crash else "ride" if "ride" in sounds else "open_hat"
    return [*hit, _event(bar.onset, last, 0.6)]


def _event(onset: Fraction, sound: str, velocity: float) -> Event:
    return Event("drums", onset, onset * 0 + 1, DRUM_KEYS[sound], round(velocity, 3))
