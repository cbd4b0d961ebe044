"""Building blocks: oscillators that never drift, one-period tables without aliasing, envelopes, causal filters.

Filters are one-pole and two-pole sections applied by their z-transform on a zero-padded FFT, so nothing sounds
before it is struck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    Signal: TypeAlias = npt.NDArray[np.float32]

__all__ = [
    "TABLE_BITS",
    "attack",
    "decay",
    "filtered",
    "noise",
    "period",
    "phase",
    "release",
    "sine",
    "to_radians",
]

TABLE_BITS = 13
_TABLE_SIZE = 1 << TABLE_BITS
_TURN = 2.0**32


def phase(samples: int, frequency_hz: float, start: float = 0.0) -> npt.NDArray[np.uint32]:
    """Return an oscillator's phase as 32-bit fractions of a turn, `(samples,)`; wraps by itself."""
    step = np.array([round(frequency_hz / SAMPLE_RATE_HZ * _TURN)], dtype=np.uint32)
    first = np.array([int(start * _TURN) % int(_TURN)], dtype=np.uint32)
    return np.arange(samples, dtype=np.uint32) * step + first


def to_radians(turns: npt.NDArray[np.uint32]) -> Signal:
    """Return a phase in radians, −π to π."""
    return turns.view(np.int32).astype(np.float32) * np.float32(2 * np.pi / _TURN)


def sine(samples: int, frequency_hz: float) -> Signal:
    """Return a sine that starts at zero."""
    wave: Signal = np.sin(to_radians(phase(samples, frequency_hz)))
    return wave


def period(weights: npt.NDArray[np.floating], seed: int | None = None) -> Signal:
    """Return one period with the given harmonic amplitudes, first the fundamental.

    Sine phases give the classic shapes; with a `seed` phases are drawn, which keeps the crest factor of dense
    sounds low. The table has no mean, so the sound has no DC.
    """
    count = min(len(weights), _TABLE_SIZE // 2 - 1)
    spectrum = np.zeros(_TABLE_SIZE // 2 + 1, dtype=np.complex128)
    angles = np.full(count, -np.pi / 2)
    if seed is not None:
        angles = np.random.Generator(np.random.PCG64(seed)).uniform(0, 2 * np.pi, count)
    spectrum[1 : count + 1] = weights[:count] * np.exp(1j * angles) * (_TABLE_SIZE / 2)
    return np.fft.irfft(spectrum).astype(np.float32)


def attack(samples: int, time_s: float) -> Signal:
    """Return a rise from 0 to 1 with a rounded top, `(samples,)`."""
    length = max(1, min(samples, round(time_s * SAMPLE_RATE_HZ)))
    rise = np.ones(samples, dtype=np.float32)
    rise[:length] = np.sin(np.linspace(0, np.pi / 2, length, endpoint=False, dtype=np.float32))
    return rise


def decay(samples: int, time_s: float) -> Signal:
    """Return an exponential fall by 1/e in `time_s`, starting at 1."""
    factor = np.float32(-1.0 / (time_s * SAMPLE_RATE_HZ))
    fall: Signal = np.exp(np.arange(samples, dtype=np.float32) * factor)
    return fall


def release(samples: int, gate: int, time_s: float) -> Signal:
    """Return 1 up to sample `gate`, then a fall that reaches exactly 0 on the last sample."""
    curve = np.ones(samples, dtype=np.float32)
    tail = samples - gate
    if tail > 0:
        ramp = np.linspace(1, 0, tail, dtype=np.float32)
        curve[gate:] = decay(tail, time_s) * np.minimum(1, ramp * 4)
    return curve


def noise(samples: int, rng: np.random.Generator) -> Signal:
    """Return white noise without a mean."""
    white = rng.standard_normal(samples, dtype=np.float32)
    return np.asarray(white - white.mean(), dtype=np.float32)


def filtered(
    signal: Signal, *, low_hz: float | None = None, high_hz: float | None = None, order: int = 2
) -> Signal:
    """Keep what lies above `low_hz` and below `high_hz`, with `order` one-pole sections each; along the last axis."""
    samples = signal.shape[-1]
    size = 1 << int(np.ceil(np.log2(max(64, samples + SAMPLE_RATE_HZ // 20))))
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(size // 2 + 1, dtype=np.complex128)
    if high_hz is not None:
        response *= _one_pole(high_hz, turn) ** order
    if low_hz is not None:
        response *= (1 - _one_pole(low_hz, turn)) ** order
    bent = np.fft.irfft(np.fft.rfft(signal, size, axis=-1) * response, size, axis=-1)
    return bent[..., :samples].astype(np.float32)


def _one_pole(cutoff_hz: float, turn: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    pole = np.exp(-2 * np.pi * min(cutoff_hz, 0.45 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)
    response: npt.NDArray[np.complex128] = (1 - pole) / (1 - pole * turn)
    return response
