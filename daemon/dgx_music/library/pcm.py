"""What a channel's samples are, whatever file they lie in: one SHA-256 a channel.

A channel is hashed as 24-bit integers: every sample x (full scale ±1) becomes x · 2^23, rounded half to even and held
within -2^23 … 2^23 - 1, in three bytes, the lowest first. Nothing stands before or after the samples, so that the number
of frames is part of the hash. Files of 16 and 24 bits and float files that hold such samples lose nothing by that: a take
keeps its hashes when a DAW splits it into mono files, drops its metadata, or turns it into float.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import soundfile

    from dgx_music.finishing.master import FileAudio

__all__ = [
    "FULL_SCALE",
    "FilePcm",
    "as_24_bit",
    "blocks_of",
    "file_pcm",
    "frames_at_once",
    "in_steps",
    "pcm_hashes",
]

FULL_SCALE = 1 << 23
"""Full scale in steps of 24 bits."""
_FRAMES_AT_ONCE = 1 << 16
_SAMPLES_AT_ONCE = 1 << 20
"""A file may claim a thousand channels."""


@dataclass(frozen=True)
class FilePcm:
    """A file's samples, as far as they tell it from others."""

    frames: int
    sample_rate_hz: int
    sha256: tuple[str, ...]
    """One a channel."""


def as_24_bit(samples: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return float samples of full scale ±1 in steps of 24 bits; what is no number counts as silence."""
    return np.rint(in_steps(samples)).astype(np.int32)


def in_steps(samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return float samples in steps of 24 bits and held within their range, but not rounded."""
    held = np.clip(np.nan_to_num(samples.astype(np.float64), posinf=1.0, neginf=-1.0), -1, 1)
    return np.minimum(held * FULL_SCALE, FULL_SCALE - 1)


def frames_at_once(channels: int) -> int:
    """Return how many frames of a file are quick to work on and need little memory."""
    return min(_FRAMES_AT_ONCE, _SAMPLES_AT_ONCE // channels)


def pcm_hashes(audio: FileAudio, bit_depth: int) -> tuple[str, ...]:
    """Return the hash of each channel of finished audio.

    Args:
        audio: `(channels, samples)` in the type that goes with the bit depth: int16, int32 within ±2^23, or float32.
        bit_depth: 16, 24 or 32 (float).
    """
    digests = [hashlib.sha256() for _ in range(audio.shape[0])]
    for start in range(0, audio.shape[1], _FRAMES_AT_ONCE):
        block = audio[:, start : start + _FRAMES_AT_ONCE]
        steps = as_24_bit(block) if bit_depth == 32 else block.astype(np.int32) << (24 - bit_depth)
        _update(digests, steps)
    return tuple(digest.hexdigest() for digest in digests)


def file_pcm(file: soundfile.SoundFile) -> FilePcm:
    """Hash an open file from its beginning.

    Raises:
        AudioError: the file holds less than its header claims.
    """
    digests = [hashlib.sha256() for _ in range(file.channels)]
    frames = 0
    for block in blocks_of(file):
        frames += block.shape[1]
        _update(digests, block)
    return FilePcm(frames, file.samplerate, tuple(digest.hexdigest() for digest in digests))


def blocks_of(file: soundfile.SoundFile) -> Iterator[npt.NDArray[np.int32]]:
    """Read an open file from its beginning, in steps of 24 bits.

    Yields:
        `(channels, frames)`, as many frames at once as are quick to work on.

    Raises:
        AudioError: the file holds less than its header claims.
    """
    file.seek(0)
    left = file.frames
    at_once = frames_at_once(file.channels)
    while left > 0:
        # Every sample of up to 32 bits is a float64 without loss.
        block = file.read(min(left, at_once), dtype="float64", always_2d=True)
        if not len(block):
            raise AudioError(
                f"{left} samples are missing that the header claims; the file is cut off or damaged"
            )
        left -= len(block)
        yield as_24_bit(block.T)


def _update(digests: list[hashlib._Hash], block: npt.NDArray[np.int32]) -> None:
    packed = np.ascontiguousarray(block, "<i4")
    for digest, channel in zip(digests, packed, strict=True):
        digest.update(channel.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
