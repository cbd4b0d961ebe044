"""`PreviewFile`: a WAV file that can be opened and played while it grows.

Its header always tells a length that is there: samples are appended first, then the sizes are raised to cover them. A
player that opens the file plays what there was at that moment; one that follows it opens it again for more.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["PreviewFile"]

_HEADER_BYTES = 44
_SAMPLE_BYTES = 2
_FULL_SCALE = 32767


class PreviewFile:
    """16-bit PCM, without dither: it is for a first impression. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames = 0
        self._format: tuple[int, int] | None = None

    def append(self, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> float:
        """Append a stretch, clipped to full scale; return how many seconds the file tells now.

        Args:
            audio: `(channels, samples)`, with as many channels as the stretches before.
            sample_rate_hz: the rate of the stretches before.

        Raises:
            ValueError: shape or rate are not those of the stretches before.
            OSError: when the file cannot be written.
        """
        if audio.ndim != 2 or audio.size == 0:
            raise ValueError(f"a preview is of shape (channels, samples), not {audio.shape}")
        channels = audio.shape[0]
        if self._format is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.open("wb") as file:
                file.write(_header(channels, sample_rate_hz, 0))
            self._format = (channels, sample_rate_hz)
        elif self._format != (channels, sample_rate_hz):
            raise ValueError(f"a preview began as {self._format} (channels, Hz) and cannot go on otherwise")
        held = np.clip(np.nan_to_num(audio.T, posinf=1, neginf=-1), -1, 1)
        samples = np.rint(held * _FULL_SCALE).astype("<i2")
        frame_bytes = channels * _SAMPLE_BYTES
        with self.path.open("r+b", buffering=0) as file:
            file.seek(_HEADER_BYTES + self._frames * frame_bytes)
            left = memoryview(samples.tobytes())
            while left:
                left = left[file.write(left) :]
            self._frames += samples.shape[0]
            file.seek(0)
            file.write(_header(channels, sample_rate_hz, self._frames * frame_bytes))
        return self._frames / sample_rate_hz


def _header(channels: int, sample_rate_hz: int, data_bytes: int) -> bytes:
    frame_bytes = channels * _SAMPLE_BYTES
    return (
        struct.pack("<4sI4s", b"RIFF", _HEADER_BYTES - 8 + data_bytes, b"WAVE")
        + struct.pack(
            "<4sIHHIIHH",
            b"fmt ",
            16,
            1,
            channels,
            sample_rate_hz,
            sample_rate_hz * frame_bytes,
            frame_bytes,
            8 * _SAMPLE_BYTES,
        )
        + struct.pack("<4sI", b"data", data_bytes)
    )
