"""From a score to audio: notes placed to the sample, part by part, and mixed without a nonlinear master.

A part's chain is: notes, saturation of its own, echo, room, ducking, level, fade. Everything after the notes is
linear or belongs to one part, so the stems sum to the mix.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.sketch.drums import DRUM_KEYS
from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ, Event, Score
from dgx_music.engines.sketch.sounds import VELOCITY_STEPS, Note, Sounds
from dgx_music.engines.sketch.streams import stream
from dgx_music.engines.sketch.synth import waves
from dgx_music.engines.sketch.synth.room import add_convolved, impulse_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dgx_music.engines.sketch.genres import Mix
    from dgx_music.engines.sketch.synth.waves import Signal

__all__ = ["CRACKLE", "Rendering", "place_notes", "render"]

CRACKLE = "crackle"
"""The stem with the record's surface noise."""
_PANS = {"bass": 0.0, "chords": -0.12, "pad": 0.0, "lead": 0.15}
_ROOM_GAIN = 2.2
"""Brings a room of unit energy to about the level of what sounds in it."""
_CEILING = 0.97
_FADE_S = 0.02
_CLOSING_FADE_S = 0.5
_TICK_NOTES = 24
_BLOCK = SAMPLE_RATE_HZ // 10
_DRIFT_BLOCK = 600
_DRIFT_BLOCKS = 8
_DRIFT_STRIDE = 256


@dataclass(frozen=True)
class Rendering:
    """Audio at 48 kHz, `(2, samples)` float32; the stems sum to it."""

    audio: Signal
    stems: Mapping[str, Signal]


def render(
    score: Score,
    mix: Mix,
    sounds: Sounds,
    seed: int,
    *,
    samples: int,
    crackle: bool,
    progress: Callable[[float], None],
) -> Rendering:
    """Render a score.

    Args:
        score: what is played.
        mix: levels and effects.
        sounds: the instruments.
        seed: the take's, for the room and the crackle.
        samples: the audio's length; a loop wraps round to it, anything else fades out before it.
        crackle: whether a record's surface noise is added.
        progress: called often with 0 to 1; what it raises passes through.

    Raises:
        EngineError: from the instruments.
    """
    response = impulse_response(min(mix.room_s, 3.5), stream(seed, "room"))
    kicks = [score.sample_at(e.onset) for e in score.part_events("drums") if e.pitch == DRUM_KEYS["kick"]]
    stems: dict[str, Signal] = {}
    sounds.prepare([_note(score, event) for event in score.events], lambda: progress(0.0))
    for number, part in enumerate(score.parts):

        def tick(share: float = 0.0, number: int = number) -> None:
            progress((number + share) / len(score.parts))

        stem = place_notes(score, part, sounds, samples, tick)
        if part in mix.drive:
            _saturate(stem, mix.drive[part])
        tick(0.8)
        _remove_drift(stem, wrap=score.loop)
        tick(0.85)
        if part == "lead" and mix.echo is not None:
            _echo(stem, score.sample_at(mix.echo), wrap=score.loop)
        wet = mix.wet.get(part, 0.0)
        if wet:
            add_convolved(
                stem, response, wet * _ROOM_GAIN, wrap=score.loop, tick=functools.partial(tick, 0.9)
            )
        if mix.duck and part in ("bass", "chords", "pad") and kicks:
            stem *= _ducking(kicks, samples, mix.duck, wrap=score.loop)
        tick(0.95)
        _level(stem, getattr(mix, part))
        stems[part] = stem
    if crackle:
        stems[CRACKLE] = _crackle(samples, stream(seed, "crackle"))
    return _sum(score, stems, samples)


def place_notes(
    score: Score, part: str, sounds: Sounds, samples: int, tick: Callable[[float], None]
) -> Signal:
    """Return a part's dry notes, `(2, samples)`, each from the sample that its onset rounds to."""
    events = score.part_events(part)
    stem = np.zeros((2, samples), dtype=np.float32)
    pan = _PANS.get(part, 0.0)
    gains = np.array([[np.sqrt((1 - pan) / 2)], [np.sqrt((1 + pan) / 2)]], dtype=np.float32)
    for number, event in enumerate(events):
        sound = sounds.sound(_note(score, event))
        start = score.sample_at(event.onset)
        while start < samples and sound.shape[1]:
            fits = min(sound.shape[1], samples - start)
            stem[:, start : start + fits] += (
                sound[:, :fits] * gains if sound.shape[0] == 1 else sound[:, :fits]
            )
            if not score.loop:
                break
            sound = sound[:, fits:]
            start = 0
        if number % _TICK_NOTES == 0:
            tick(0.8 * number / len(events))
    return stem


def _note(score: Score, event: Event) -> Note:
    drums = event.part == "drums"
    gate = 0 if drums else score.samples_of(event)
    step = max(1, min(VELOCITY_STEPS, round(event.velocity * VELOCITY_STEPS)))
    return Note(drums, score.instruments[event.part], event.pitch, gate, step)


def _saturate(stem: Signal, amount: float) -> None:
    """Bend the peaks of a part at a fixed place over its own level, whatever that level is."""
    level = _active_rms(stem)
    if level:
        push = np.float32((0.12 + 0.5 * amount) / level)
        np.multiply(stem, push, out=stem)
        np.tanh(stem, out=stem)


def _remove_drift(stem: Signal, *, wrap: bool) -> None:
    """Take out the offset that bent waves and some SoundFonts have: the mean of the 0.1 s before, block by block."""
    blocks = stem.shape[1] // _DRIFT_BLOCK
    if blocks < 2 * _DRIFT_BLOCKS:
        return
    covered = stem[:, : blocks * _DRIFT_BLOCK].reshape(2, blocks, _DRIFT_BLOCK)
    means = covered.mean(axis=2, dtype=np.float64)
    before = means[:, -_DRIFT_BLOCKS - 1 :] if wrap else np.zeros((2, _DRIFT_BLOCKS + 1))
    total = np.cumsum(np.concatenate([before, means], axis=1), axis=1)
    # Only blocks that are over count, so that nothing is heard ahead of an onset.
    offset = (total[:, _DRIFT_BLOCKS:] - total[:, :-_DRIFT_BLOCKS]) / _DRIFT_BLOCKS
    offset = offset[:, : blocks + 1].astype(np.float32)
    ramp = np.linspace(0, 1, _DRIFT_BLOCK, endpoint=False, dtype=np.float32)
    for start in range(0, blocks, _DRIFT_STRIDE):
        edges = offset[:, start : start + _DRIFT_STRIDE + 1, np.newaxis]
        first, then = edges[:, :-1], edges[:, 1:]
        covered[:, start : start + first.shape[1]] -= first + (then - first) * ramp


def _echo(stem: Signal, delay: int, *, wrap: bool) -> None:
    """Add three repeats, each to the other side."""
    samples = stem.shape[1]
    if not 0 < delay < samples:
        return
    dry = stem.copy()
    for repeat in (1, 2, 3):
        gain = np.float32(0.32 * 0.5 ** (repeat - 1))
        source = dry[::-1] if repeat % 2 else dry
        shift = delay * repeat
        if wrap:
            stem += np.roll(source, shift % samples, axis=1) * gain
        elif shift < samples:
            stem[:, shift:] += source[:, :-shift] * gain


def _ducking(kicks: list[int], samples: int, depth: float, *, wrap: bool) -> Signal:
    """Return a gain that dips under each kick and breathes back over a sixth of a second."""
    recovery = int(0.17 * SAMPLE_RATE_HZ)
    fall = int(0.004 * SAMPLE_RATE_HZ)
    curve = np.sin(np.linspace(0, np.pi / 2, recovery, dtype=np.float32)) ** 2
    dip = np.float32(1 - depth) + np.float32(depth) * curve
    dip[:fall] = np.linspace(1, dip[fall], fall, dtype=np.float32)
    gain = np.ones(samples, dtype=np.float32)
    for start in kicks:
        place = np.arange(start, start + recovery)
        place = place % samples if wrap else place[place < samples]
        gain[place] = np.minimum(gain[place], dip[: len(place)])
    return gain


def _active_rms(stem: Signal) -> float:
    """Return the level while the part plays: blocks within 25 dB of its loudest."""
    blocks = stem.shape[1] // _BLOCK
    if blocks < 2:
        return float(np.sqrt(np.mean(stem.astype(np.float64) ** 2)))
    power = np.array(
        [np.mean(stem[:, i * _BLOCK : (i + 1) * _BLOCK].astype(np.float64) ** 2) for i in range(blocks)]
    )
    active = power[power > power.max() / 300]
    return float(np.sqrt(active.mean())) if len(active) else 0.0


def _level(stem: Signal, target_db: float) -> None:
    level = _active_rms(stem)
    if level:
        stem *= np.float32(10 ** (target_db / 20) / level)


def _crackle(samples: int, rng: np.random.Generator) -> Signal:
    """Dust and hiss of a record; it has no beginning, so it loops."""
    stem = rng.standard_normal((2, samples), dtype=np.float32)
    stem = (
        stem + np.roll(stem, 1, axis=1) - np.roll(stem, 2, axis=1) - np.roll(stem, 3, axis=1)
    ) * np.float32(0.0009)
    pop = waves.filtered(waves.noise(512, rng), low_hz=600, high_hz=5000) * waves.decay(512, 0.0012)
    pop /= np.max(np.abs(pop))
    count = max(1, int(samples / SAMPLE_RATE_HZ * 9))
    starts = rng.integers(0, samples, count)
    gains = 0.03 * rng.random(count, dtype=np.float32) ** 4
    sides = rng.uniform(-0.7, 0.7, count).astype(np.float32)
    for start, gain, side in zip(starts, gains, sides, strict=True):
        place = (start + np.arange(len(pop))) % samples
        stem[0, place] += pop * gain * (1 - side)
        stem[1, place] += pop * gain * (1 + side)
    stem -= stem.mean(axis=1, keepdims=True)
    return stem


def _sum(score: Score, stems: dict[str, Signal], samples: int) -> Rendering:
    """Fade what ends, keep the peak below full scale by one gain for all, and add up."""
    if not score.loop:
        fade = min(samples, int((_CLOSING_FADE_S if score.closes else _FADE_S) * SAMPLE_RATE_HZ))
        curve = np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        for stem in stems.values():
            stem[:, samples - fade :] *= curve
    audio = np.zeros((2, samples), dtype=np.float32)
    for stem in stems.values():
        audio += stem
    peak = float(np.max(np.abs(audio)))
    if peak > _CEILING:
        audio[:] = 0
        for stem in stems.values():
            np.multiply(stem, np.float32(_CEILING / peak), out=stem)
            audio += stem
    return Rendering(audio, stems)
