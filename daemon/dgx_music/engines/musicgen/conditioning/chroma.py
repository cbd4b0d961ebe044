"""A melody as chroma: which pitch class is strongest in each stretch of audio (Copet et al. 2023, section 2.2).

Shapes: T frames, B pitch classes (`bins`), d the language model's width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
import scipy.signal

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import ChromaArchitecture

__all__ = ["extract", "fit", "null", "project"]

_EPSILON = 1e-6
"""The level below which a frame counts as silent and is not normalised up."""
_BLOCK_FRAMES = 32


def extract(
    wave: npt.NDArray[np.float32], architecture: ChromaArchitecture, sample_rate_hz: int
) -> npt.NDArray[np.float32]:
    """Turn audio into chroma; frames beyond the architecture's own number are not computed.

    Power spectrum of a Hann window, centred with reflection at both ends, divided by the window's energy; summed into
    pitch classes by overlapping Gaussian weights (Ellis 2007); each frame divided by its maximum; and, where the model
    was trained so, only the maximum kept, as 1. Audio that is shorter than one window has silence on both sides.

    Args:
        wave: (samples,) mono.
        architecture: window, hop, and the number of pitch classes.
        sample_rate_hz: the wave's rate; the codec's, for which the model was trained.

    Returns:
        (T, B) float32, T = samples // hop + 1 but at most `architecture.frames`.
    """
    size = 2**architecture.radix2_exp
    missing = size - len(wave)
    if missing > 0:
        wave = np.pad(wave, (missing // 2, missing - missing // 2))
    count = min(len(wave) // architecture.winhop + 1, architecture.frames)
    padded = np.pad(wave.astype(np.float32, copy=False), size // 2, mode="reflect")
    cuts = np.lib.stride_tricks.sliding_window_view(padded, size)[:: architecture.winhop][:count]
    window = scipy.signal.get_window("hann", size, fftbins=True).astype(np.float32)
    energy = np.sqrt(np.square(window, dtype=np.float64).sum()).astype(np.float32)
    filters = _filters(sample_rate_hz, size, architecture.bins)
    chroma = np.empty((count, architecture.bins), np.float32)
    for first in range(0, count, _BLOCK_FRAMES):  # a block of 32 windows of 16384 is 2 MB
        block = cuts[first : first + _BLOCK_FRAMES] * window
        spectrum = np.abs(np.asarray(scipy.fft.rfft(block, axis=1)) / energy) ** 2
        chroma[first : first + _BLOCK_FRAMES] = spectrum @ filters.T
    chroma /= np.maximum(np.abs(chroma).max(axis=1, keepdims=True), _EPSILON)
    if architecture.argmax:
        chroma = np.eye(architecture.bins, dtype=np.float32)[chroma.argmax(axis=1)]
    return chroma


def fit(chroma: npt.NDArray[np.float32], frames: int) -> npt.NDArray[np.float32]:
    """Repeat (T, B) from its beginning, or cut it, so that it has the length of training: (frames, B)."""
    return chroma[np.arange(frames) % len(chroma)]


def null(architecture: ChromaArchitecture) -> npt.NDArray[np.float32]:
    """Return the chroma that stands for "no melody": that of silence, (frames, B).

    In silence no pitch class is the strongest, and the first of equals counts: with `argmax`, C in every frame.
    """
    chroma = np.zeros((architecture.frames, architecture.bins), np.float32)
    if architecture.argmax:
        chroma[:, 0] = 1
    return chroma


def project(
    chroma: npt.NDArray[np.float32], weight: npt.NDArray[np.floating], bias: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Bring chroma to the language model's width: (T, B) by (d, B) and (d,) to (T, d) float32."""
    projected: npt.NDArray[np.float32] = chroma @ weight.astype(np.float32).T + bias.astype(np.float32)
    return projected


def _filters(sample_rate_hz: int, size: int, bins: int) -> npt.NDArray[np.float32]:
    """Return the (B, size / 2 + 1) weights by which frequencies belong to pitch classes, C first, for A = 440 Hz.

    As librosa's filter bank: across pitch, Gaussians two standard deviations to a class (or to the distance between two
    frequencies, where that is wider), scaled so that each frequency's weights have the norm 1; along pitch, a Gaussian
    two octaves wide around the fifth octave above 27.5 Hz, so that bass and hiss count little.
    """
    octaves = np.log2(np.arange(1, size) * (sample_rate_hz / size) / 27.5)
    octaves = np.concatenate([[octaves[0] - 1.5], octaves])  # 0 Hz stands well below the next frequency
    pitches = bins * octaves
    widths = np.append(np.maximum(np.diff(pitches), 1.0), 1.0)
    half = round(bins / 2)
    distances = (pitches - np.arange(bins)[:, None] + half) % bins - half
    weights = np.exp(-0.5 * (2 * distances / widths) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((octaves - 5) / 2) ** 2)
    from_c = np.roll(weights, -3 * (bins // 12), axis=0)
    filters: npt.NDArray[np.float32] = from_c[:, : size // 2 + 1].astype(np.float32)
    return filters
