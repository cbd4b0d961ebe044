"""Playing a patch: one note in, `(channels, samples)` out, one channel where the sound has no width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ
from dgx_music.engines.sketch.synth import waves
from dgx_music.engines.sketch.synth.patches import FmPatch, Patch, PluckPatch, TablePatch

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.sketch.synth.waves import Signal

__all__ = ["VoiceBank"]

_HARMONICS = 160
_RELEASE_TAILS = 5.0
"""A release is followed for this many of its time constants, to −43 dB."""
_STRING_ROW = 256
_LONGEST_S = 40.0
"""Held notes end here; a decaying one is silent long before."""


class VoiceBank:
    """Synthesises notes; keeps the tables that notes of the same pitch and brightness share."""

    def __init__(self, brightness: float) -> None:
        self._tilt = 2.0**brightness
        self._tables: dict[tuple[object, ...], Signal] = {}

    def play(self, patch: Patch, pitch: int, gate: int, velocity: float) -> Signal:
        """Synthesise a note.

        Args:
            patch: the instrument.
            pitch: MIDI note.
            gate: samples from onset to key release.
            velocity: 0 to 1; sets level and brightness.

        Returns:
            `(1 or 2, samples)`, with the release beyond `gate`.
        """
        frequency_hz = 440.0 * 2 ** ((pitch - 69) / 12)
        gate = max(64, min(gate, int(_LONGEST_S * SAMPLE_RATE_HZ)))
        if isinstance(patch, FmPatch):
            sound = self._fm(patch, frequency_hz, gate, velocity)
        elif isinstance(patch, PluckPatch):
            sound = self._pluck(patch, frequency_hz, gate, velocity)
        else:
            sound = self._table_voice(patch, frequency_hz, gate, velocity)
        sound *= np.float32(velocity**1.2)
        return sound

    def _table_voice(self, patch: TablePatch, frequency_hz: float, gate: int, velocity: float) -> Signal:
        samples = _length(gate, patch.release_s, patch.decay_s if patch.sustain == 0 else None)
        lift = self._tilt * (0.55 + 0.6 * velocity)
        bright = self._table(patch, frequency_hz, patch.open_hz * lift)
        dark = self._table(patch, frequency_hz, patch.closed_hz * lift)
        blend = waves.decay(samples, abs(patch.sweep_s))
        if patch.sweep_s < 0:
            blend = 1 - blend
        shape = waves.release(samples, gate, patch.release_s) * waves.attack(samples, patch.attack_s)
        if patch.decay_s < 30:
            shape *= patch.sustain + (1 - patch.sustain) * waves.decay(samples, patch.decay_s)
        bend = _vibrato(samples, frequency_hz, patch)
        voices = len(patch.detune_cents)
        out = np.zeros((2 if patch.width else 1, samples), dtype=np.float32)
        difference = bright - dark
        for number, cents in enumerate(patch.detune_cents):
            turns = waves.phase(samples, frequency_hz * 2 ** (cents / 1200), 0.37 * number)
            if bend is not None:
                turns += bend
            place = (turns >> np.uint32(32 - waves.TABLE_BITS)).astype(np.intp)
            tone = dark[place] + difference[place] * blend
            if patch.width and voices > 1:
                side = patch.width * (2 * number / (voices - 1) - 1)
                out[0] += tone * np.float32(np.sqrt((1 - side) / 2))
                out[1] += tone * np.float32(np.sqrt((1 + side) / 2))
            else:
                out += tone
        out *= shape / np.float32(np.sqrt(voices))
        if patch.breath:
            out += patch.breath * self._breath(samples, frequency_hz) * shape
        return out

    def _fm(self, patch: FmPatch, frequency_hz: float, gate: int, velocity: float) -> Signal:
        # Higher notes ring shorter, and fewer sidebands fit below the Nyquist frequency.
        ring_s = patch.decay_s * float(np.clip((330 / frequency_hz) ** 0.4, 0.4, 1.6))
        samples = _length(gate, patch.release_s, ring_s)
        room = float(np.clip(9000 / (frequency_hz * (1 + patch.ratio)), 0.1, 1.5))
        index = patch.index * min(room, 0.3 + velocity) * self._tilt
        depth = index * ((1 - patch.floor) * waves.decay(samples, patch.index_s) + patch.floor)
        carrier = waves.to_radians(waves.phase(samples, frequency_hz))
        tone = np.sin(carrier + depth * waves.sine(samples, frequency_hz * patch.ratio))
        strike_hz = frequency_hz * patch.strike_ratio
        if patch.strike and strike_hz < 12_000:
            burst = min(samples, int(patch.strike_s * 6 * SAMPLE_RATE_HZ))
            tone[:burst] += (
                np.float32(patch.strike * velocity)
                * waves.sine(burst, strike_hz)
                * waves.decay(burst, patch.strike_s)
            )
        tone *= waves.decay(samples, ring_s) * waves.attack(samples, patch.attack_s)
        tone *= waves.release(samples, gate, patch.release_s)
        if not patch.width:
            return np.reshape(tone, (1, samples))
        sway = np.float32(patch.width) * waves.sine(samples, 4.6)
        both: Signal = np.stack([tone * (1 + sway), tone * (1 - sway)])
        both *= np.float32(0.7)
        return both

    def _pluck(self, patch: PluckPatch, frequency_hz: float, gate: int, velocity: float) -> Signal:
        samples = _length(gate, patch.release_s, patch.decay_s)
        periods = int(samples * frequency_hz / SAMPLE_RATE_HZ) + 2
        rows = self._string(patch, frequency_hz, periods, velocity)
        # Row m holds the string's m-th period; reading across them keeps the pitch exact at any period length.
        turn = np.arange(samples, dtype=np.float64) * (frequency_hz / SAMPLE_RATE_HZ * _STRING_ROW)
        place = turn.astype(np.intp)
        fraction = (turn - place).astype(np.float32)
        tone = rows[place] * (1 - fraction) + rows[place + 1] * fraction
        tone *= waves.attack(samples, 0.0008)
        if patch.drive:
            tone = np.tanh(tone * np.float32(1 + 6 * patch.drive)) * np.float32(0.7)
        tone *= waves.release(samples, gate, patch.release_s)
        return tone[np.newaxis]

    def _string(self, patch: PluckPatch, frequency_hz: float, periods: int, velocity: float) -> Signal:
        """Return the successive periods of a string, `(periods * row + 1,)`."""
        harmonics = int(min(_STRING_ROW // 2 - 1, 11_000 / frequency_hz))
        number = np.arange(1, harmonics + 1)
        soft = (0.25 + 2.2 * patch.bright * (0.5 + 0.5 * velocity)) * self._tilt
        start = np.sin(np.pi * number * patch.position) / number ** (1.0 + 0.4 / max(soft, 0.1))
        # The loop filter takes more from the upper harmonics at every turn; the rest decays with the string.
        loss = np.exp(-1 / (patch.decay_s * frequency_hz)) * np.exp(
            -((number / harmonics) ** 2) * (0.06 / max(soft, 0.1))
            - (number * frequency_hz / 9e6) / max(soft, 0.1)
        )
        spectrum = np.zeros((periods, _STRING_ROW // 2 + 1), dtype=np.complex64)
        turns = np.arange(periods)[:, np.newaxis]
        spectrum[:, 1 : harmonics + 1] = -0.5j * _STRING_ROW * start * np.exp(np.log(loss) * turns)
        flat = np.fft.irfft(spectrum, _STRING_ROW, axis=1).astype(np.float32).ravel()
        return np.append(flat, flat[-_STRING_ROW])

    def _table(self, patch: TablePatch, frequency_hz: float, cutoff_hz: float) -> Signal:
        key = (patch.spectrum, round(frequency_hz, 3), round(cutoff_hz), patch.resonance)
        if key not in self._tables:
            count = max(1, min(_HARMONICS, int(16_000 / frequency_hz)))
            harmonics_hz = frequency_hz * np.arange(1, count + 1)
            weights = _spectrum(patch.spectrum, count, frequency_hz) / np.sqrt(
                1 + (harmonics_hz / cutoff_hz) ** 4
            )
            if patch.resonance:
                weights *= 1 + patch.resonance * np.exp(-((np.log2(harmonics_hz / cutoff_hz) * 2.2) ** 2))
            dense = patch.spectrum in ("string", "voice")
            self._tables[key] = waves.period(weights, seed=count if dense else None)
        return self._tables[key]

    def _breath(self, samples: int, frequency_hz: float) -> Signal:
        key = ("breath", round(frequency_hz, 3))
        if key not in self._tables:
            rng = np.random.Generator(np.random.PCG64(round(frequency_hz)))
            hiss = waves.noise(SAMPLE_RATE_HZ // 4, rng)
            burst = waves.filtered(hiss, low_hz=frequency_hz, high_hz=min(9000.0, frequency_hz * 6))
            self._tables[key] = burst * waves.decay(len(burst), 0.035) * waves.attack(len(burst), 0.002)
        burst = self._tables[key][:samples]
        return np.pad(burst, (0, samples - len(burst)))


def _length(gate: int, release_s: float, decay_s: float | None) -> int:
    """Return how long a note sounds, release included; a decaying one not past −60 dB."""
    samples = gate + int(release_s * _RELEASE_TAILS * SAMPLE_RATE_HZ)
    if decay_s is not None:
        samples = min(samples, max(gate // 8, int(decay_s * 7 * SAMPLE_RATE_HZ)))
    return max(256, samples)


def _vibrato(samples: int, frequency_hz: float, patch: TablePatch) -> npt.NDArray[np.uint32] | None:
    """Return the phase that vibrato adds; it sets in after a fifth of a second."""
    onset = SAMPLE_RATE_HZ // 5
    if not patch.vibrato_cents or samples <= onset:
        return None
    deviation_hz = frequency_hz * (2 ** (patch.vibrato_cents / 1200) - 1)
    turns = deviation_hz / (2 * np.pi * patch.vibrato_hz) * 2.0**32
    swell = np.minimum(
        1, np.maximum(0, np.arange(samples, dtype=np.float32) - onset) / (0.3 * SAMPLE_RATE_HZ)
    )
    bend = waves.sine(samples, patch.vibrato_hz) * swell * np.float32(turns)
    return bend.astype(np.int64).astype(np.uint32)


def _spectrum(name: str, count: int, frequency_hz: float) -> npt.NDArray[np.float64]:
    number = np.arange(1, count + 1, dtype=np.float64)
    if name == "saw":
        return 0.6 / number
    if name == "square":
        return np.where(number % 2 == 1, 0.9 / number, 0.0)
    if name == "triangle":
        return np.where(number % 2 == 1, 1.0 / number**2, 0.08 / number**2)
    if name == "reed":
        return np.where(number % 2 == 1, 0.7, 0.35) / number
    if name == "organ":
        drawbars = np.zeros(max(count, 8))
        drawbars[[0, 1, 2, 3, 5, 7]] = [0.5, 0.45, 0.35, 0.2, 0.1, 0.12]
        return drawbars[:count]
    if name == "piano":
        return np.sin(np.pi * number / 8.2) ** 2 / number**0.9 + 0.15 / number**1.5
    if name == "sub":
        return np.where(number == 1, 1.0, 0.25 / number**2)
    harmonics_hz = number * frequency_hz
    if name == "voice":
        formants = sum(
            gain * np.exp(-(((harmonics_hz - centre) / width) ** 2))
            for centre, width, gain in ((700, 180, 1.0), (1150, 220, 0.6), (2700, 500, 0.25))
        )
        return (formants + 0.06) / number**0.6
    # strings: a saw through a wooden body
    body = (
        1
        + 0.6 * np.exp(-(((harmonics_hz - 500) / 250) ** 2))
        + 0.5 * np.exp(-(((harmonics_hz - 2600) / 900) ** 2))
    )
    return np.asarray(0.5 * body / number, dtype=np.float64)
