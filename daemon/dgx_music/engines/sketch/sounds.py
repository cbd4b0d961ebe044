"""Where a note's sound comes from: the numpy instruments here, a SoundFont in `fluid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dgx_music.engines.sketch.streams import stream
from dgx_music.engines.sketch.synth.kit import KITS, strike, tuned
from dgx_music.engines.sketch.synth.patches import PATCHES
from dgx_music.engines.sketch.synth.voices import VoiceBank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dgx_music.engines.sketch.synth.waves import Signal

__all__ = ["VELOCITY_STEPS", "Note", "NumpySounds", "Sounds"]

VELOCITY_STEPS = 16
"""Velocities are rounded to so many steps, so that equal notes can share one sound."""
_CACHE_SAMPLES = 24_000_000
"""How much sound is kept for reuse, 96 MB."""


@dataclass(frozen=True)
class Note:
    """What a sound depends on: nothing of its place in the music."""

    drums: bool
    instrument: str
    """A patch, or a kit for drums."""
    pitch: int
    gate: int
    """Samples from onset to release; 0 for drums."""
    velocity_step: int
    """1 to `VELOCITY_STEPS`."""

    @property
    def velocity(self) -> float:
        """0 to 1."""
        return self.velocity_step / VELOCITY_STEPS


class Sounds(Protocol):
    """A source of note sounds at 48 kHz."""

    def prepare(self, notes: Sequence[Note], tick: Callable[[], None]) -> None:
        """Get ready for a take's notes. Calls `tick` every fifth of a second or more often.

        Raises:
            EngineError: when the notes cannot be made.
        """

    def sound(self, note: Note) -> Signal:
        """Return a note as `(1 or 2, samples)`, starting at its onset. Must not be written to."""


class NumpySounds:
    """The built-in instruments."""

    def __init__(self, seed: int, tonic: int, brightness: float) -> None:
        self._seed = seed
        self._tonic = tonic
        self._voices = VoiceBank(brightness)
        self._kept: dict[Note, Signal] = {}
        self._kept_samples = 0
        self._drums: dict[tuple[str, int], Signal] = {}

    def prepare(self, notes: Sequence[Note], tick: Callable[[], None]) -> None:
        """Do nothing: sounds are made when first asked for."""

    def sound(self, note: Note) -> Signal:
        """Return a note; equal notes are made once."""
        if note not in self._kept:
            made = self._make(note)
            if self._kept_samples + made.size > _CACHE_SAMPLES:
                self._kept.clear()
                self._kept_samples = 0
            self._kept[note] = made
            self._kept_samples += made.size
        return self._kept[note]

    def _make(self, note: Note) -> Signal:
        if not note.drums:
            return self._voices.play(PATCHES[note.instrument], note.pitch, note.gate, note.velocity)
        key = (note.instrument, note.pitch)
        if key not in self._drums:
            kit = tuned(KITS[note.instrument], self._tonic)
            self._drums[key] = strike(kit, note.pitch, stream(self._seed, "timbre", note.pitch))
        level: Signal = self._drums[key] * self._drums[key].dtype.type(note.velocity**1.4)
        return level
