"""Writes a WAV file with all its metadata before the audio, in one pass.

Formats: RIFF/WAVE, and RF64 (EBU Tech 3306) where a file passes 4 GiB; bext version 2 (EBU Tech 3285) with the
loudness fields; iXML; LIST INFO.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dgx_music.finishing.master import FileAudio

__all__ = ["Chunk", "header", "write_wav"]

_FRAMES_AT_ONCE = 1 << 16
_RIFF_LIMIT = 0xFFFF_FFFF
_PCM, _IEEE_FLOAT = 1, 3


@dataclass(frozen=True)
class Chunk:
    """One RIFF chunk."""

    id: bytes
    """Four ASCII characters."""
    data: bytes

    def encoded(self) -> bytes:
        """Return id, size and data, padded to an even length."""
        return self.id + struct.pack("<I", len(self.data)) + self.data + b"\0" * (len(self.data) % 2)


def header(
    *, frames: int, channels: int, sample_rate_hz: int, bit_depth: int, metadata: Sequence[Chunk]
) -> bytes:
    """Return everything that stands before the first sample; RF64 where RIFF's 32-bit sizes do not suffice."""
    frame_bytes = channels * bit_depth // 8
    is_float = bit_depth == 32
    fmt = struct.pack(
        "<HHIIHH",
        _IEEE_FLOAT if is_float else _PCM,
        channels,
        sample_rate_hz,
        sample_rate_hz * frame_bytes,
        frame_bytes,
        bit_depth,
    )
    chunks = [Chunk(b"fmt ", fmt + struct.pack("<H", 0) if is_float else fmt)]
    if is_float:
        chunks.append(Chunk(b"fact", struct.pack("<I", min(frames, _RIFF_LIMIT))))
    body = b"".join(chunk.encoded() for chunk in [*chunks, *metadata])
    data_bytes = frames * frame_bytes
    riff_bytes = 4 + len(body) + 8 + data_bytes + data_bytes % 2
    if riff_bytes <= _RIFF_LIMIT:
        return (
            b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + body + b"data" + struct.pack("<I", data_bytes)
        )
    ds64 = struct.pack("<QQQI", riff_bytes + 36, data_bytes, frames, 0)
    return (
        b"RF64"
        + struct.pack("<I", _RIFF_LIMIT)
        + b"WAVE"
        + Chunk(b"ds64", ds64).encoded()
        + body
        + b"data"
        + struct.pack("<I", _RIFF_LIMIT)
    )


def write_wav(
    path: Path, audio: FileAudio, *, sample_rate_hz: int, bit_depth: int, metadata: Sequence[Chunk]
) -> tuple[str, int]:
    """Write a new file, synced to disk; return its SHA-256 (hex) and its size in bytes.

    Args:
        path: must not exist yet.
        audio: `(channels, samples)` in the type that goes with the bit depth.
        sample_rate_hz: the audio's sample rate.
        bit_depth: 16, 24 or 32 (float).
        metadata: the chunks between the format and the audio.

    Raises:
        FileExistsError: when there is a file already.
        OSError: when it cannot be written; nothing is left behind.
    """
    channels, frames = audio.shape
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        try:
            head = header(
                frames=frames,
                channels=channels,
                sample_rate_hz=sample_rate_hz,
                bit_depth=bit_depth,
                metadata=metadata,
            )
            for piece in (head, *_pieces(audio, bit_depth)):
                digest.update(piece)
                size += file.write(piece)
            if size % 2:
                digest.update(b"\0")
                size += file.write(b"\0")
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise
    return digest.hexdigest(), size


def _pieces(audio: FileAudio, bit_depth: int) -> Iterator[bytes]:
    for start in range(0, audio.shape[1], _FRAMES_AT_ONCE):
        frames = np.ascontiguousarray(audio[:, start : start + _FRAMES_AT_ONCE].T)
        if bit_depth == 24:
            yield frames.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        else:
            yield frames.astype("<i2" if bit_depth == 16 else "<f4").tobytes()
