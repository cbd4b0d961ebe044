"""A room: exponentially decaying noise, darker as it dies, and fast convolution with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from dgx_music.engines.sketch.synth.waves import Signal

__all__ = ["add_convolved", "impulse_response"]

_BANDS_HZ = ((250.0, 800.0, 1.0), (800.0, 2500.0, 0.85), (2500.0, 6000.0, 0.55), (6000.0, 11_000.0, 0.3))
"""Low edge, high edge, decay time against the room's. Nothing below 250 Hz: the low end stays dry and mono."""
_PREDELAY_S = 0.016


def impulse_response(decay_s: float, rng: np.random.Generator) -> Signal:
    """Return a stereo response, `(2, samples)`, of unit energy a channel, −60 dB after `decay_s`."""
    samples = int(decay_s * SAMPLE_RATE_HZ)
    times_s = np.arange(samples, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal((2, samples), dtype=np.float32), axis=1)
    frequencies_hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    tail = np.zeros((2, samples), dtype=np.float32)
    for low_hz, high_hz, share in _BANDS_HZ:
        band = np.where((frequencies_hz >= low_hz) & (frequencies_hz < high_hz), spectrum, 0)
        fall = np.exp(times_s * np.float32(-6.9 / (decay_s * share)))
        tail += np.fft.irfft(band, samples, axis=1).astype(np.float32) * fall
    ramp = min(samples, SAMPLE_RATE_HZ // 200)
    tail[:, :ramp] *= np.linspace(0, 1, ramp, dtype=np.float32)
    tail /= np.sqrt(np.sum(tail**2, axis=1, keepdims=True))
    return np.pad(tail, ((0, 0), (int(_PREDELAY_S * SAMPLE_RATE_HZ), 0)))


def add_convolved(
    signal: Signal, response: Signal, gain: float, *, wrap: bool, tick: Callable[[], None]
) -> None:
    """Add to `signal` its mono sum convolved with a stereo response, in place, block by block.

    Args:
        signal: `(2, samples)`.
        response: `(2, taps)`.
        gain: of what is added.
        wrap: whether what rings past the end goes on at the start, for a loop.
        tick: called at every block.
    """
    samples, taps = signal.shape[1], response.shape[1]
    size = 1 << int(np.ceil(np.log2(max(4 * taps, 1 << 15) if samples > 2 * taps else taps + samples)))
    hop = size - taps + 1
    kernel = np.fft.rfft(response * np.float32(gain), size, axis=1)
    send = (signal[0] + signal[1]) * np.float32(0.5)
    for start in range(0, samples, hop):
        block = np.fft.rfft(send[start : start + hop], size)
        wet = np.fft.irfft(block * kernel, size, axis=1)[:, : min(hop, samples - start) + taps - 1]
        _add(signal, wet, start, wrap=wrap)
        tick()


def _add(target: Signal, piece: npt.NDArray[np.floating], start: int, *, wrap: bool) -> None:
    samples = target.shape[1]
    while piece.shape[1] and start < samples:
        fits = min(piece.shape[1], samples - start)
        target[:, start : start + fits] += piece[:, :fits]
        piece = piece[:, fits:]
        if not wrap:
            return
        start = 0
