"""Reads the few facts of a WAV header that a session depends on: rate, channels, frames.

WAV (RIFF), RF64 and BW64 (ITU-R BS.2088 / EBU Tech 3306). Only chunk headers are read, never the audio.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from .errors import SessionError

if TYPE_CHECKING:
    from pathlib import Path

_SIZE_IN_DS64 = 0xFFFFFFFF


@dataclass(frozen=True)
class WavHeader:
    """What the header says; `frames` counts sample frames (one sample of every channel), never more than the file has."""

    sample_rate_hz: int
    channel_count: int
    frames: int


def read_wav_header(path: Path) -> WavHeader:
    """Read the header of a WAV, RF64 or BW64 file.

    Raises:
        FileNotFoundError: there is no such file.
        SessionError: the file is not a WAV file, or is cut off before its audio.
    """
    file_size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            return _read(stream, file_size, path)
    except struct.error:
        raise SessionError("the WAV file ends inside its header", path=path) from None


def _read(stream: BinaryIO, file_size: int, path: Path) -> WavHeader:
    riff, _, wave = struct.unpack("<4sI4s", stream.read(12))
    if riff not in {b"RIFF", b"RF64", b"BW64"} or wave != b"WAVE":
        raise SessionError("not a WAV file: it does not begin with RIFF....WAVE", path=path)
    layout: tuple[int, int, int] | None = None
    data_size_64: int | None = None
    while header := stream.read(8):
        chunk, size = struct.unpack("<4sI", header)
        start = stream.tell()
        if chunk == b"ds64":
            _, data_size_64 = struct.unpack("<QQ", stream.read(16))
        elif chunk == b"fmt ":
            _, channel_count, rate, _, block_align, _ = struct.unpack("<HHIIHH", stream.read(16))
            layout = channel_count, rate, block_align
        elif chunk == b"data":
            if layout is None:
                raise SessionError("the WAV file has no 'fmt ' chunk before its 'data' chunk", path=path)
            channel_count, rate, block_align = layout
            if min(layout) < 1:
                raise SessionError(f"the WAV file claims {channel_count} channels at {rate} Hz", path=path)
            if size == _SIZE_IN_DS64 and data_size_64 is not None:
                size = data_size_64
            return WavHeader(rate, channel_count, min(size, file_size - start) // block_align)
        stream.seek(start + size + size % 2)
    raise SessionError("the WAV file has no 'data' chunk", path=path)
