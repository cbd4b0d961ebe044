"""Turns float audio into what the file holds: 16 or 24 bits with dither, or 32-bit float."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from dgx_music.finishing.master import FileAudio

__all__ = ["quantise", "to_float"]

_SAMPLES_AT_ONCE = 1 << 18


def quantise(audio: npt.NDArray[np.float32], bit_depth: int, seed: Sequence[int]) -> FileAudio:
    """Return the audio as the file will hold it.

    16 and 24 bits get TPDF dither of 2 LSB peak to peak (Lipshitz, Wannamaker, Vanderkooy 1992: the least that
    leaves neither distortion nor noise modulation), values beyond full scale are held there, and digital
    silence stays digital silence. Float is handed through.

    Args:
        audio: `(channels, samples)` float32, full scale ±1.
        bit_depth: 16, 24 or 32.
        seed: non-negative integers that decide the dither, so that a take can be made again bit by bit.

    Returns:
        int16 for 16 bits, int32 within ±2^23 for 24, float32 for 32.
    """
    if bit_depth == 32:
        return audio.astype(np.float32)
    full_scale = 1 << (bit_depth - 1)
    quantised = np.zeros(audio.shape, np.int16 if bit_depth == 16 else np.int32)
    if not audio.any():
        return quantised
    rng = np.random.default_rng(seed)
    for source, target in zip(audio, quantised, strict=True):
        for start in range(0, source.size, _SAMPLES_AT_ONCE):
            piece = source[start : start + _SAMPLES_AT_ONCE].astype(np.float64) * full_scale
            piece += rng.random(piece.size)
            piece -= rng.random(piece.size)
            np.rint(piece, out=piece)
            target[start : start + piece.size] = np.clip(piece, -full_scale, full_scale - 1)
    return quantised


def to_float(audio: FileAudio, bit_depth: int) -> npt.NDArray[np.float32]:
    """Return quantised audio as float32 with full scale ±1, as a reader of the file sees it."""
    if audio.dtype == np.float32:
        return audio.astype(np.float32, copy=False)
    return audio.astype(np.float32) * np.float32(1 / (1 << (bit_depth - 1)))
