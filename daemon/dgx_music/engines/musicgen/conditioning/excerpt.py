"""Reads the stretch of an audio file that a request names, and nothing outside the folders that may be read.

The file is somebody else's: its path may lead anywhere and its header may claim anything.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from dgx_music.errors import AudioError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from dgx_music.request.model import AudioExcerpt

__all__ = ["MAX_VALUES", "Audio", "convert", "read_excerpt"]

MAX_VALUES = 2**26
"""Samples times channels that are read at most: 256 MB as float32, ten minutes of 48 kHz stereo and a bit."""
_MAX_CHANNELS = 64
_BLOCK_FRAMES = 65_536
_RATES_HZ = range(1_000, 1_000_001)


@dataclass(frozen=True)
class Audio:
    """Sound as it stands in its file."""

    samples: npt.NDArray[np.float32]
    """(channels, samples), finite."""
    sample_rate_hz: int


def read_excerpt(excerpt: AudioExcerpt, roots: Sequence[Path], *, max_values: int = MAX_VALUES) -> Audio:
    """Read an excerpt; the file is opened for reading only and never changed.

    Args:
        excerpt: what to read; start and length in samples of the file.
        roots: folders that may be read, with all that lies below them (`reading.roots`).
        max_values: samples times channels that may be read.

    Raises:
        RequestError: the path may not be read, is no audio file, or the excerpt is not inside the file.
        AudioError: the file holds less than its header claims, or values that are not finite.
    """
    descriptor = _open(excerpt.path, roots)
    try:
        return _read(descriptor, excerpt, max_values)
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


def _open(text: str, roots: Sequence[Path]) -> int:
    """Return a descriptor of a regular file below one of the roots, wherever links and races may point."""
    if not roots:
        raise RequestError(
            "no folder may be read from; name the folders that hold your audio in reading.roots"
        )
    allowed = f"only what lies in {', '.join(str(root) for root in roots)} may be read (reading.roots)"
    lexical = Path(os.path.normpath(text))
    if "\0" in text or not lexical.is_absolute():
        raise RequestError(
            f"{text!r} is not a whole path; give one that starts with /, inside a folder of reading.roots"
        )
    real_roots = [_real(root) for root in roots]
    # Nothing is looked up that does not at least read as if it were inside: not even whether it exists.
    if not any(lexical.is_relative_to(root) for root in (*roots, *real_roots)):
        raise RequestError(f"{text!r} lies outside: {allowed}")
    try:
        real = Path(text).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as err:
        raise RequestError(f"{text!r} cannot be opened: {_reason(err)}") from err
    if not any(real.is_relative_to(root) for root in real_roots):
        raise RequestError(f"{text!r} leads outside through a link: {allowed}")
    try:
        # Asked before opening too, because opening a device may already do something.
        _need_regular(text, real.lstat().st_mode)
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as err:
        raise RequestError(f"{text!r} cannot be opened: {_reason(err)}") from err
    try:
        _need_regular(text, os.fstat(descriptor).st_mode)
        _need_inside(text, Path(f"/proc/self/fd/{descriptor}").readlink(), real_roots)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _need_inside(text: str, opened: Path, real_roots: Sequence[Path]) -> None:
    if not any(opened.is_relative_to(root) for root in real_roots):
        raise RequestError(f"{text!r} was moved while it was opened; try again")


def _need_regular(text: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise RequestError(f"{text!r} is a folder; name an audio file in it")
    if not stat.S_ISREG(mode):
        raise RequestError(f"{text!r} is no ordinary file, but a device, pipe or socket; name an audio file")


def _real(root: Path) -> Path:
    return Path(os.path.realpath(root))


def _reason(err: Exception) -> str:
    return err.strerror if isinstance(err, OSError) and err.strerror else str(err)


def _read(descriptor: int, excerpt: AudioExcerpt, max_values: int) -> Audio:
    try:
        with soundfile.SoundFile(descriptor, closefd=False) as file:
            channels, rate_hz, total = file.channels, file.samplerate, file.frames
            if not 1 <= channels <= _MAX_CHANNELS or rate_hz not in _RATES_HZ:
                raise RequestError(
                    f"{excerpt.path!r} claims {channels} channels at {rate_hz} Hz; at most {_MAX_CHANNELS} "
                    f"channels and 1 kHz to 1 MHz are read"
                )
            frames = _length(excerpt, total, channels, max_values)
            if file.format != "MP3":
                samples = _by_blocks(file, excerpt.start, frames)
            elif (excerpt.start + frames) * channels > max_values:
                raise RequestError(
                    f"{excerpt.path!r} is an MP3, of which only the first {max_values // channels} samples can be "
                    "reached; cut it, or give it as FLAC or WAV"
                )
            else:
                samples = _from_the_beginning(file, excerpt.start, frames)
    except soundfile.SoundFileError as err:
        raise RequestError(f"{excerpt.path!r} cannot be read as audio: {err}") from err
    found = samples.shape[1]
    if not found or (found < frames and excerpt.length is not None):
        raise AudioError(
            f"{excerpt.path!r} ends after {excerpt.start + found} samples where its header claims {total}; "
            "the file is cut off or damaged"
        )
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{excerpt.path!r} holds values that are no numbers (NaN or infinite); export it anew"
        )
    return Audio(samples, rate_hz)


def _by_blocks(file: soundfile.SoundFile, start: int, frames: int) -> npt.NDArray[np.float32]:
    """Read what is there; a header may claim more, and memory is taken only for what really comes."""
    file.seek(start)
    blocks = [np.zeros((file.channels, 0), np.float32)]
    while frames:
        block = file.read(min(frames, _BLOCK_FRAMES), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block.T)
        frames -= len(block)
    return np.concatenate(blocks, axis=1)


def _from_the_beginning(file: soundfile.SoundFile, start: int, frames: int) -> npt.NDArray[np.float32]:
    """Read an MP3 in one go: libsndfile 1.2.2 lands beside the asked sample there, and soundfile seeks after every read."""
    samples: npt.NDArray[np.float32] = file.read(start + frames, dtype="float32", always_2d=True)[start:].T
    return np.ascontiguousarray(samples)


def _length(excerpt: AudioExcerpt, total: int, channels: int, max_values: int) -> int:
    if excerpt.start >= total:
        raise RequestError(f"{excerpt.path!r} has {total} samples; start {excerpt.start} is not inside it")
    frames = total - excerpt.start
    if excerpt.length is not None:
        if excerpt.length > frames:
            raise RequestError(
                f"{excerpt.path!r} has {frames} samples from {excerpt.start} on; length {excerpt.length} is too long"
            )
        frames = excerpt.length
    if frames * channels > max_values:
        raise RequestError(
            f"{excerpt.path!r}: {frames} samples of {channels} channels are too many; give a length of at most "
            f"{max_values // channels} samples"
        )
    return frames
