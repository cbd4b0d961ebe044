"""Reads the stretch of an audio file that a request names, and nothing outside the folders that may be read.

The file is somebody else's: its path may lead anywhere (`dgx_music.reading.files`) and its header may claim anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from dgx_music.errors import AudioError, RequestError
from dgx_music.reading.files import open_inside
from dgx_music.request.excerpt import MAX_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.request import AudioExcerpt

__all__ = ["MAX_VALUES", "Audio", "convert", "read_excerpt"]

MAX_VALUES = 2**26
"""Samples times channels that are read at most: 256 MB as float32, ten minutes of 48 kHz stereo and a bit."""
_BLOCK_FRAMES = 65_536
_RATES_HZ = range(1_000, 1_000_001)


@dataclass(frozen=True)
class Audio:
    """Sound as it stands in its file."""

    samples: npt.NDArray[np.float32]
    """(channels, samples), finite."""
    sample_rate_hz: int


@dataclass(frozen=True)
class _Part:
    """What is read of one file."""

    path: str
    start: int
    length: int | None
    channel: int | None
    """`None` for all."""
    max_values: int


def read_excerpt(excerpt: AudioExcerpt, roots: Sequence[Path], *, max_values: int = MAX_VALUES) -> Audio:
    """Read an excerpt; its files are opened for reading only and never changed.

    Args:
        excerpt: what to read; start and length in samples of the file. Channels that are named one by one come from a
            file each, and are the same stretch of it.
        roots: folders that may be read, with all that lies below them (`reading.roots`).
        max_values: samples times channels that may be read.

    Raises:
        RequestError: a path may not be read, is no audio file, the excerpt is not inside the file, or the files do not
            go together.
        AudioError: a file holds less than its header claims, or values that are not finite.
    """
    if not excerpt.sources:
        return _read_part(_Part(excerpt.path, excerpt.start, excerpt.length, None, max_values), roots)
    each = max_values // len(excerpt.sources)
    audios = [
        _read_part(_Part(source.path, excerpt.start, excerpt.length, source.channel, each), roots)
        for source in excerpt.sources
    ]
    first = audios[0]
    for source, audio in zip(excerpt.sources, audios, strict=True):
        if audio.sample_rate_hz != first.sample_rate_hz:
            raise RequestError(
                f"{excerpt.path!r} has {first.sample_rate_hz} Hz and {source.path!r} {audio.sample_rate_hz} Hz; the "
                "channels of one excerpt have one sample rate"
            )
        if audio.samples.shape[1] != first.samples.shape[1]:
            raise RequestError(
                f"{excerpt.path!r} has {first.samples.shape[1]} samples from {excerpt.start} on and {source.path!r} "
                f"{audio.samples.shape[1]}; give the length that both have"
            )
    return Audio(np.concatenate([audio.samples for audio in audios]), first.sample_rate_hz)


def _read_part(part: _Part, roots: Sequence[Path]) -> Audio:
    descriptor = open_inside(part.path, roots)
    try:
        return _read(descriptor, part)
    finally:
        os.close(descriptor)


def convert(audio: Audio, *, to_hz: int, channels: int) -> npt.NDArray[np.float32]:
    """Bring audio to a codec's sample rate and channels.

    Channels as MusicGen was trained: many become one by their mean, one becomes many by repetition, and of more than
    are wanted the first are kept. The rate goes through soxr at its best quality, the resampler of the rest of this
    program. audiocraft's own (julius, a windowed sinc of 24 zero crossings that rolls off at 94.5 % of the lower Nyquist
    frequency) differs only where both filters fall off, above 90 % of it. The length is julius's: rounded down.

    Returns:
        (channels, ⌊samples · to_hz / rate⌋) float32.
    """
    samples = audio.samples
    have = samples.shape[0]
    if have != channels and channels == 1:
        samples = samples.mean(axis=0, keepdims=True)
    elif have > channels:
        samples = samples[:channels]
    elif have == 1 and channels > 1:
        samples = np.repeat(samples, channels, axis=0)
    elif have < channels:
        raise AudioError(f"the file has {have} channels where the model needs 1 or {channels}")
    if audio.sample_rate_hz == to_hz:
        return np.ascontiguousarray(samples, np.float32)
    length = samples.shape[1] * to_hz // audio.sample_rate_hz
    resampled = np.asarray(soxr.resample(samples.T, audio.sample_rate_hz, to_hz, quality="VHQ")).T
    fitted = np.zeros((channels, length), np.float32)
    fitted[:, : resampled.shape[1]] = resampled[:, :length]
    return fitted


def _read(descriptor: int, part: _Part) -> Audio:
    try:
        with soundfile.SoundFile(descriptor, closefd=False) as file:
            channels, rate_hz, total = file.channels, file.samplerate, file.frames
            if not 1 <= channels <= MAX_CHANNELS or rate_hz not in _RATES_HZ:
                raise RequestError(
                    f"{part.path!r} claims {channels} channels at {rate_hz} Hz; at most {MAX_CHANNELS} "
                    f"channels and 1 kHz to 1 MHz are read"
                )
            if part.channel is not None and part.channel >= channels:
                raise RequestError(
                    f"{part.path!r} has {channels} channel(s), so no channel {part.channel}; they count from 0"
                )
            frames = _length(part, total, channels)
            if file.format != "MP3":
                samples = _by_blocks(file, part.start, frames, part.channel)
            elif (part.start + frames) * channels > part.max_values:
                raise RequestError(
                    f"{part.path!r} is an MP3, of which only the first {part.max_values // channels} samples can be "
                    "reached; cut it, or give it as FLAC or WAV"
                )
            else:
                samples = _of_channel(_from_the_beginning(file, part.start, frames), part.channel)
    except soundfile.SoundFileError as err:
        raise RequestError(f"{part.path!r} cannot be read as audio: {err}") from err
    found = samples.shape[1]
    if not found or (found < frames and part.length is not None):
        raise AudioError(
            f"{part.path!r} ends after {part.start + found} samples where its header claims {total}; "
            "the file is cut off or damaged"
        )
    if not np.isfinite(samples).all():
        raise AudioError(f"{part.path!r} holds values that are no numbers (NaN or infinite); export it anew")
    return Audio(samples, rate_hz)


def _of_channel(samples: npt.NDArray[np.float32], channel: int | None) -> npt.NDArray[np.float32]:
    return samples if channel is None else np.ascontiguousarray(samples[channel : channel + 1])


def _by_blocks(
    file: soundfile.SoundFile, start: int, frames: int, channel: int | None
) -> npt.NDArray[np.float32]:
    """Read what is there; a header may claim more, and memory is taken only for what really comes."""
    file.seek(start)
    blocks = [np.zeros((file.channels if channel is None else 1, 0), np.float32)]
    while frames:
        block = file.read(min(frames, _BLOCK_FRAMES), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(_of_channel(block.T, channel))
        frames -= len(block)
    return np.concatenate(blocks, axis=1)


def _from_the_beginning(file: soundfile.SoundFile, start: int, frames: int) -> npt.NDArray[np.float32]:
    """Read an MP3 in one go: libsndfile 1.2.2 lands beside the asked sample there, and soundfile seeks after every read."""
    samples: npt.NDArray[np.float32] = file.read(start + frames, dtype="float32", always_2d=True)[start:].T
    return np.ascontiguousarray(samples)


def _length(part: _Part, total: int, channels: int) -> int:
    if part.start >= total:
        raise RequestError(f"{part.path!r} has {total} samples; start {part.start} is not inside it")
    frames = total - part.start
    if part.length is not None:
        if part.length > frames:
            raise RequestError(
                f"{part.path!r} has {frames} samples from {part.start} on; length {part.length} is too long"
            )
        frames = part.length
    channels = channels if part.channel is None else 1
    if frames * channels > part.max_values:
        raise RequestError(
            f"{part.path!r}: {frames} samples of {channels} channels are too many; give a length of at most "
            f"{part.max_values // channels} samples"
        )
    return frames
