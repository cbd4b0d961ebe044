"""Drum sounds, struck once per take and reused: `(2, samples)` float32 that starts at its very first sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.sketch.drums import DRUM_KEYS
from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ
from dgx_music.engines.sketch.synth import waves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dgx_music.engines.sketch.synth.waves import Signal

__all__ = ["KITS", "Kit", "strike", "tuned"]

_NAMES = {number: name for name, number in DRUM_KEYS.items()}
_METAL = (205.3, 304.4, 369.6, 522.7, 540.0, 800.0, 1174.0, 1463.0)
"""Frequencies, in hertz, of the square waves whose beating makes a cymbal."""
_PANS = {
    "hat": 0.25, "pedal_hat": 0.25, "open_hat": 0.25, "ride": -0.35, "crash": 0.4, "shaker": -0.45, "rim": -0.15,
    "high_tom": 0.35, "mid_tom": 0.0, "low_tom": -0.2, "clap": 0.05,
}  # fmt: skip
_GAINS = {
    "kick": 1.0, "snare": 0.72, "clap": 0.6, "rim": 0.5, "hat": 0.3, "pedal_hat": 0.25, "open_hat": 0.32, "ride": 0.3,
    "crash": 0.42, "shaker": 0.22, "low_tom": 0.8, "mid_tom": 0.72, "high_tom": 0.66,
}  # fmt: skip


@dataclass(frozen=True)
class Kit:
    """A set of drums."""

    program: int
    """General MIDI kit, for the SoundFont renderer."""
    kick_hz: float = 52.0
    kick_sweep: float = 3.2
    """How far above its pitch the kick starts."""
    kick_s: float = 0.16
    kick_click: float = 0.3
    snare_hz: float = 190.0
    snare_s: float = 0.11
    snare_body: float = 0.55
    """Drum against wires, 0 to 1."""
    hat_s: float = 0.03
    hat_low_hz: float = 7000.0
    tom_hz: tuple[float, float, float] = (85.0, 115.0, 155.0)
    tom_s: float = 0.2
    top_hz: float = 18_000.0
    """Nothing above this: old samplers are dull."""
    brushes: bool = False
    gains: Mapping[str, float] = field(default_factory=dict)
    """Factors on the usual balance."""


KITS: Mapping[str, Kit] = {
    "pop": Kit(0),
    "rock": Kit(16, kick_hz=62, kick_s=0.12, kick_click=0.5, snare_hz=200, snare_s=0.14, hat_s=0.04, gains={"hat": 1.2}),
    "909": Kit(24, kick_hz=49, kick_sweep=4.5, kick_s=0.2, kick_click=0.25, snare_hz=210, snare_s=0.09, hat_s=0.028,
               hat_low_hz=8000, gains={"open_hat": 1.15}),
    "808": Kit(25, kick_hz=45, kick_sweep=2.2, kick_s=0.3, kick_click=0.12, snare_hz=180, snare_s=0.1, hat_s=0.02,
               hat_low_hz=9000, gains={"hat": 1.1}),
    "dusty": Kit(8, kick_hz=58, kick_sweep=2.4, kick_s=0.11, kick_click=0.12, snare_hz=175, snare_s=0.09,
                 hat_s=0.022, hat_low_hz=5200, top_hz=6500, gains={"hat": 0.8}),
    "jazz": Kit(32, kick_hz=64, kick_sweep=1.8, kick_s=0.1, kick_click=0.08, snare_hz=215, snare_s=0.08,
                snare_body=0.4, hat_s=0.03, gains={"kick": 0.6, "snare": 0.6, "ride": 1.3, "pedal_hat": 1.4}),
    "brushes": Kit(40, kick_hz=64, kick_sweep=1.6, kick_s=0.1, kick_click=0.05, snare_hz=200, snare_s=0.16,
                   snare_body=0.2, hat_s=0.03, top_hz=11_000, brushes=True,
                   gains={"kick": 0.7, "shaker": 1.6, "rim": 0.9}),
    "dnb": Kit(16, kick_hz=66, kick_sweep=3.0, kick_s=0.09, kick_click=0.4, snare_hz=225, snare_s=0.1,
               snare_body=0.5, hat_s=0.025, hat_low_hz=7500, gains={"snare": 1.15, "hat": 1.1}),
    "taiko": Kit(48, kick_hz=41, kick_sweep=1.9, kick_s=0.45, kick_click=0.15, tom_hz=(62.0, 88.0, 120.0), tom_s=0.42,
                 top_hz=9000, gains={"low_tom": 1.2, "mid_tom": 1.1}),
}  # fmt: skip


def tuned(kit: Kit, tonic: int) -> Kit:
    """Return the kit tuned to a key: the kick, which is heard as a note, to its tonic, other skins also to its fifth."""
    return replace(
        kit,
        kick_hz=_nearest(1.1 * kit.kick_hz, tonic, (0,)),
        snare_hz=_nearest(kit.snare_hz, tonic),
        tom_hz=(
            _nearest(kit.tom_hz[0], tonic),
            _nearest(kit.tom_hz[1], tonic),
            _nearest(kit.tom_hz[2], tonic),
        ),
    )


def _nearest(frequency_hz: float, tonic: int, steps: tuple[int, ...] = (0, 7)) -> float:
    note = 69 + 12 * float(np.log2(frequency_hz / 440))
    allowed = [pitch for pitch in range(int(note) - 7, int(note) + 9) if (pitch - tonic) % 12 in steps]
    pitch = min(allowed, key=lambda pitch: abs(pitch - note))
    return float(440 * 2 ** ((pitch - 69) / 12))


def strike(kit: Kit, drum_key: int, rng: np.random.Generator) -> Signal:
    """Make one drum sound at full velocity, panned, mono below 150 Hz."""
    name = _NAMES[drum_key]
    mono = _sound(kit, name, rng)
    mono = waves.filtered(mono, low_hz=22.0, order=1)
    if kit.top_hz < 18_000:
        mono = waves.filtered(mono, high_hz=kit.top_hz, order=3)
    mono *= waves.release(len(mono), len(mono) - 480, 0.01)
    peak = float(np.max(np.abs(mono)))
    mono *= np.float32(_GAINS[name] * kit.gains.get(name, 1.0) / peak)
    pan = _PANS.get(name, 0.0)
    if not pan:
        return np.stack([mono, mono]) * np.float32(np.sqrt(0.5))
    side = waves.filtered(mono, low_hz=150.0) * np.float32(0.6 * pan)
    return np.stack([mono - side, mono + side]) * np.float32(np.sqrt(0.5))


def _sound(kit: Kit, name: str, rng: np.random.Generator) -> Signal:
    if name == "kick":
        return _kick(kit, rng)
    if name == "snare":
        return _brush(kit, rng) if kit.brushes else _snare(kit, rng)
    if name == "clap":
        return _clap(rng)
    if name == "rim":
        return _rim(rng)
    if name == "shaker":
        return _shaker(rng)
    if name in ("low_tom", "mid_tom", "high_tom"):
        return _tom(kit.tom_hz[("low_tom", "mid_tom", "high_tom").index(name)], kit.tom_s, rng)
    times_s = {
        "hat": kit.hat_s,
        "pedal_hat": kit.hat_s * 1.3,
        "open_hat": kit.hat_s * 6,
        "ride": 0.26,
        "crash": 0.5,
    }
    low_hz = {"ride": 4200.0, "crash": 3200.0}.get(name, kit.hat_low_hz)
    return _cymbal(times_s[name], low_hz, 0.35 if name == "ride" else 0.75, rng)


def _drop(samples: int, frequency_hz: float, sweep: float, sweep_s: float) -> Signal:
    """A sine, starting at its crest, whose pitch falls from `1 + sweep` times its frequency."""
    pitch = frequency_hz * (1 + sweep * waves.decay(samples, sweep_s).astype(np.float64))
    turn = np.cumsum(pitch) / SAMPLE_RATE_HZ
    wave: Signal = np.sin(2 * np.pi * turn).astype(np.float32)
    return wave


def _kick(kit: Kit, rng: np.random.Generator) -> Signal:
    samples = int(kit.kick_s * 6 * SAMPLE_RATE_HZ)
    body = _drop(samples, kit.kick_hz, kit.kick_sweep, 0.022) * waves.decay(samples, kit.kick_s)
    click = waves.filtered(waves.noise(samples, rng), low_hz=1500) * waves.decay(samples, 0.004)
    kick: Signal = np.tanh(1.4 * body) + kit.kick_click * click
    return kick


def _snare(kit: Kit, rng: np.random.Generator) -> Signal:
    samples = int(kit.snare_s * 7 * SAMPLE_RATE_HZ)
    drum = _drop(samples, kit.snare_hz, 0.6, 0.012) * waves.decay(samples, 0.07)
    drum += 0.5 * _drop(samples, kit.snare_hz * 1.75, 0.3, 0.01) * waves.decay(samples, 0.045)
    wires = waves.filtered(waves.noise(samples, rng), low_hz=1400, order=1)
    wires *= waves.decay(samples, kit.snare_s)
    snap = waves.filtered(waves.noise(samples, rng), low_hz=4000) * waves.decay(samples, 0.006)
    snare: Signal = kit.snare_body * drum + (1 - kit.snare_body) * 0.7 * wires + 0.3 * snap
    return snare


def _brush(kit: Kit, rng: np.random.Generator) -> Signal:
    samples = int(kit.snare_s * 6 * SAMPLE_RATE_HZ)
    sweep = waves.filtered(waves.noise(samples, rng), low_hz=1800, high_hz=7500, order=1)
    return sweep * waves.decay(samples, kit.snare_s) * (0.3 + 0.7 * waves.attack(samples, 0.015))


def _clap(rng: np.random.Generator) -> Signal:
    samples = int(0.4 * SAMPLE_RATE_HZ)
    hiss = waves.filtered(waves.noise(samples, rng), low_hz=900, high_hz=6500, order=1)
    shape = 0.7 * waves.decay(samples, 0.07)
    for hand_s in (0.0, 0.010, 0.019):
        start = int(hand_s * SAMPLE_RATE_HZ)
        shape[start:] += waves.decay(samples - start, 0.004)
    return hiss * shape


def _rim(rng: np.random.Generator) -> Signal:
    samples = int(0.12 * SAMPLE_RATE_HZ)
    wood = waves.sine(samples, 1720) + 0.7 * waves.sine(samples, 480)
    stick = waves.filtered(waves.noise(samples, rng), low_hz=2000)
    return wood * waves.decay(samples, 0.012) + 0.5 * stick * waves.decay(samples, 0.004)


def _tom(frequency_hz: float, time_s: float, rng: np.random.Generator) -> Signal:
    samples = int(time_s * 6 * SAMPLE_RATE_HZ)
    skin = _drop(samples, frequency_hz, 0.5, 0.05) * waves.decay(samples, time_s)
    skin += 0.25 * _drop(samples, frequency_hz * 1.59, 0.3, 0.03) * waves.decay(samples, time_s * 0.5)
    stick = waves.filtered(waves.noise(samples, rng), low_hz=300, high_hz=3500) * waves.decay(samples, 0.012)
    return skin + 0.35 * stick


def _shaker(rng: np.random.Generator) -> Signal:
    samples = int(0.15 * SAMPLE_RATE_HZ)
    grains = waves.filtered(waves.noise(samples, rng), low_hz=5500)
    return grains * waves.decay(samples, 0.028) * (0.25 + 0.75 * waves.attack(samples, 0.012))


def _cymbal(time_s: float, low_hz: float, hiss: float, rng: np.random.Generator) -> Signal:
    samples = int(max(0.06, time_s * 6) * SAMPLE_RATE_HZ)
    metal = np.zeros(samples, dtype=np.float32)
    for frequency_hz in _METAL:
        turns = waves.phase(samples, frequency_hz * 1.7, float(rng.random()))
        metal += np.where(turns < 2**31, np.float32(1), np.float32(-1))
    metal = (1 - hiss) * metal / np.float32(len(_METAL)) + hiss * 0.5 * waves.noise(samples, rng)
    # Metal sounds thin out above ten kilohertz; white noise would not.
    ring = waves.filtered(waves.filtered(metal, low_hz=low_hz), high_hz=10_000, order=1) * waves.decay(
        samples, time_s
    )
    return ring + 0.4 * ring * waves.decay(samples, 0.006)
