"""The instruments as data, each with its General MIDI program for the SoundFont renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PATCHES", "FmPatch", "Patch", "PluckPatch", "TablePatch"]


@dataclass(frozen=True)
class TablePatch:
    """Subtractive sound: a harmonic spectrum that a low-pass opens and closes, as two tables that cross-fade."""

    program: int
    spectrum: Literal["saw", "square", "triangle", "organ", "voice", "string", "reed", "piano", "sub"] = "saw"
    open_hz: float = 6000.0
    """Cut-off of the brighter table; rises with velocity and the take's brightness."""
    closed_hz: float = 900.0
    sweep_s: float = 0.3
    """How fast the sound falls from the brighter to the darker table; negative opens instead."""
    resonance: float = 0.0
    detune_cents: tuple[float, ...] = (0.0,)
    width: float = 0.0
    """How far the detuned voices lie apart in the stereo field, 0 mono to 1."""
    attack_s: float = 0.004
    decay_s: float = 30.0
    sustain: float = 1.0
    release_s: float = 0.08
    vibrato_cents: float = 0.0
    vibrato_hz: float = 5.2
    breath: float = 0.0
    """Noise at the attack: hammer, bow, breath."""


@dataclass(frozen=True)
class FmPatch:
    """Two-operator frequency modulation with a second, short-lived modulator for the strike."""

    program: int
    ratio: float = 1.0
    index: float = 1.5
    index_s: float = 0.6
    floor: float = 0.15
    """The modulation index that stays, as a share of `index`."""
    strike_ratio: float = 14.0
    strike: float = 0.25
    strike_s: float = 0.06
    attack_s: float = 0.002
    decay_s: float = 1.6
    release_s: float = 0.15
    width: float = 0.15
    """Depth of a slow left–right tremolo."""


@dataclass(frozen=True)
class PluckPatch:
    """A plucked string after Karplus and Strong (1983): a burst that loses its upper harmonics each period."""

    program: int
    bright: float = 0.5
    """0 soft thumb to 1 hard pick."""
    decay_s: float = 1.5
    position: float = 0.17
    """Where the string is plucked, as a share of its length; harmonics with a node there are missing."""
    release_s: float = 0.1
    drive: float = 0.0


Patch = TablePatch | FmPatch | PluckPatch

PATCHES: Mapping[str, Patch] = {
    # chords
    "rhodes": FmPatch(4),
    "dark_keys": FmPatch(4, index=1.0, strike=0.1, decay_s=2.2),
    "piano": TablePatch(
        0, "piano", 7000, 1000, 0.22, detune_cents=(-0.9, 0.9), width=0.35, attack_s=0.002, decay_s=1.3, sustain=0.0,
        release_s=0.12, breath=0.08,
    ),
    "house_piano": TablePatch(
        1, "piano", 9500, 2200, 0.25, detune_cents=(-2, 2), width=0.4, attack_s=0.002, decay_s=0.9, sustain=0.0,
        release_s=0.1, breath=0.1,
    ),
    "organ": TablePatch(16, "organ", 7000, 5000, 1.0, attack_s=0.006, release_s=0.05, vibrato_cents=5, vibrato_hz=6.1),
    "steel": PluckPatch(25, bright=0.65, decay_s=1.6),
    "nylon": PluckPatch(24, bright=0.3, decay_s=1.1, position=0.25),
    "drive_guitar": PluckPatch(30, bright=0.75, decay_s=2.4, drive=0.8, release_s=0.06),
    "harp": PluckPatch(46, bright=0.35, decay_s=2.2, position=0.4, release_s=0.8),
    "clav": PluckPatch(7, bright=0.95, decay_s=0.5, position=0.08, release_s=0.04, drive=0.25),
    "skank": PluckPatch(28, bright=0.6, decay_s=0.35, position=0.12, release_s=0.04),
    "pluck": PluckPatch(45, bright=0.5, decay_s=0.5, position=0.3, release_s=0.3),
    "stab": TablePatch(
        90, "saw", 4500, 500, 0.12, 0.6, (-9, 8), 0.6, attack_s=0.002, decay_s=0.35, sustain=0.2, release_s=0.12
    ),
    "spiccato": TablePatch(
        48, "string", 5000, 1600, 0.15, detune_cents=(-7, 6), width=0.6, attack_s=0.015, decay_s=0.35, sustain=0.15,
        release_s=0.15, breath=0.05,
    ),
    # pads
    "warm_pad": TablePatch(
        89, "saw", 1900, 800, -1.5, detune_cents=(-9, 8), width=0.8, attack_s=0.25, release_s=0.6
    ),
    "dark_pad": TablePatch(
        95, "saw", 1000, 450, -2.0, 0.3, detune_cents=(-11, 10), width=0.8, attack_s=0.4, release_s=0.8
    ),
    "glass_pad": TablePatch(
        88, "triangle", 3800, 1300, -2.5, detune_cents=(-6, 7), width=0.9, attack_s=0.7, release_s=1.2
    ),
    "strings": TablePatch(
        48, "string", 3600, 1500, -0.8, detune_cents=(-8, 0, 8), width=0.8, attack_s=0.22, release_s=0.5,
        vibrato_cents=7,
    ),
    "choir": TablePatch(
        52, "voice", 5000, 3000, -1.0, detune_cents=(-8, 7), width=0.8, attack_s=0.2, release_s=0.5, vibrato_cents=9
    ),
    # leads
    "square_lead": TablePatch(80, "square", 3600, 1500, 0.35, detune_cents=(-4, 4), width=0.3, vibrato_cents=8,
                              release_s=0.12, decay_s=1.2, sustain=0.6),
    "saw_lead": TablePatch(81, "saw", 5200, 900, 0.14, 0.5, (-8, 7), 0.5, attack_s=0.002, decay_s=0.4, sustain=0.35,
                           release_s=0.1),
    "lead_guitar": PluckPatch(29, bright=0.7, decay_s=3.5, drive=0.9, release_s=0.1),
    "bells": FmPatch(14, ratio=3.5, index=1.6, index_s=0.9, floor=0.05, strike=0.1, decay_s=1.8, release_s=1.2),
    "vibes": FmPatch(11, ratio=4.0, index=0.55, index_s=0.15, floor=0.1, strike=0.08, decay_s=1.4, release_s=0.5,
                     width=0.3),
    "flute": TablePatch(73, "triangle", 4000, 2500, -0.2, attack_s=0.05, release_s=0.1, vibrato_cents=10, breath=0.12),
    "sax": TablePatch(66, "reed", 4500, 1800, 0.5, attack_s=0.03, release_s=0.09, vibrato_cents=10, breath=0.08),
    "trumpet": TablePatch(56, "saw", 6000, 2400, 0.3, attack_s=0.02, release_s=0.07, vibrato_cents=6, breath=0.03),
    "horn": TablePatch(60, "saw", 1800, 700, -0.35, detune_cents=(-4, 4), width=0.4, attack_s=0.07, release_s=0.25),
    "violin": TablePatch(40, "string", 6500, 3000, 0.6, attack_s=0.07, release_s=0.15, vibrato_cents=14, breath=0.05),
    "melodica": TablePatch(22, "reed", 3500, 2600, 0.8, attack_s=0.03, release_s=0.08, vibrato_cents=6),
    # basses
    "upright": PluckPatch(32, bright=0.12, decay_s=0.9, position=0.33, release_s=0.09),
    "electric_bass": PluckPatch(33, bright=0.35, decay_s=1.8, position=0.2, release_s=0.06),
    "slap": PluckPatch(36, bright=0.8, decay_s=1.1, position=0.12, release_s=0.04, drive=0.2),
    "dub_bass": TablePatch(33, "triangle", 420, 180, 0.25, attack_s=0.008, decay_s=1.4, sustain=0.4, release_s=0.07),
    "sub": TablePatch(39, "sub", 600, 220, 1.0, attack_s=0.03, release_s=0.25),
    "saw_bass": TablePatch(38, "saw", 2200, 260, 0.12, 0.5, attack_s=0.003, decay_s=0.6, sustain=0.5, release_s=0.05),
    "acid": TablePatch(38, "saw", 2600, 300, 0.11, 2.2, attack_s=0.002, decay_s=0.5, sustain=0.4, release_s=0.04),
    "reese": TablePatch(39, "saw", 900, 420, -0.9, 0.3, (-14, 0, 13), attack_s=0.006, release_s=0.06),
    "bass_808": TablePatch(39, "sub", 900, 160, 0.12, attack_s=0.003, decay_s=1.1, sustain=0.1, release_s=0.15),
    "low_strings": TablePatch(48, "string", 1800, 700, -0.7, detune_cents=(-6, 5), attack_s=0.12, release_s=0.35),
}  # fmt: skip
