"""Reading safetensors files: mapped into memory, each tensor only when it is asked for, no torch.

The format (https://github.com/huggingface/safetensors, "Format"): eight bytes with the header's length, the header in
JSON (dtype, shape and place of every tensor), then the data without gaps. Everything that the header says is checked
against the file before anything is read, so a file that was cut off or changed is found at once.
"""

from __future__ import annotations

import json
import math
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.checkpoint.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.checkpoint.arrays import Array

__all__ = ["MappedTensor", "open_safetensors"]

_NO_RESERVE = 0x4000
"""Linux's MAP_NORESERVE, which Python's mmap does not name in all versions. The mapping is private and may be written
to (torch wants that), which changes memory and never the file; as nobody does, no memory need be set aside for it."""
_LONGEST_HEADER_BYTES = 100_000_000
_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_READ_AS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class MappedTensor:
    """One tensor of a mapped file."""

    data: npt.NDArray[np.uint8]
    """The whole file's bytes, mapped."""
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def floating(self) -> bool:
        """Whether it holds floating point numbers."""
        return self.dtype in _READ_AS

    def read(self) -> Array:
        """Return the values, float16 and float32 as they lie in the file, other floats as float32."""
        raw = self.data[self.start : self.stop]
        if self.start % _WIDTHS[self.dtype]:
            raw = raw.copy()
        values: Any = raw.view(_READ_AS[self.dtype]).reshape(self.shape)
        if self.dtype == "BF16":
            # bfloat16 is the upper half of a float32.
            values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        elif self.dtype == "F64":
            values = values.astype(np.float32)
        array: Array = values
        return array


def open_safetensors(path: Path) -> dict[str, MappedTensor]:
    """Map a file and return its tensors by name.

    Raises:
        ModelError: the file cannot be read, was cut off, or is not a safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER_BYTES):
                raise ModelError(f"{path}: {size} bytes are no whole safetensors file; {_AGAIN}")
            text = file.read(length)
            mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | _NO_RESERVE)
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err
    try:
        header = json.loads(text)
        places = _places(header, size - 8 - length)
    except (ValueError, TypeError, KeyError, RecursionError) as err:
        raise ModelError(f"{path}: {err or type(err).__name__}; {_AGAIN}") from err
    data = np.frombuffer(mapped, np.uint8)
    base = 8 + length
    return {
        name: MappedTensor(data, dtype, shape, base + begin, base + end)
        for name, (dtype, shape, begin, end) in places.items()
    }


_AGAIN = "it is incomplete or damaged: delete it and fetch it again"


def _places(header: Any, data_bytes: int) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Return dtype, shape and place of every tensor.

    Raises:
        ValueError, TypeError, KeyError: the header contradicts itself or the file's length.
    """
    if not isinstance(header, dict):
        raise TypeError("the header is not a JSON object")
    header.pop("__metadata__", None)
    places = {}
    for name, entry in header.items():
        dtype, dims, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if dtype not in _WIDTHS:
            raise ValueError(f"{name} is stored as {dtype}, which is not read")
        if not all(type(number) is int and number >= 0 for number in [begin, end, *dims]):
            raise ValueError(f"{name} has a shape or place that is not made of whole numbers")
        if end - begin != math.prod(dims) * _WIDTHS[dtype]:
            raise ValueError(f"{name} takes {end - begin} bytes, not what {dims} of {dtype} need")
        places[name] = (dtype, tuple(dims), begin, end)
    at = 0
    for _, _, begin, end in sorted(places.values(), key=lambda place: place[2:]):
        if begin != at:
            raise ValueError("the tensors do not follow each other without gaps")
        at = end
    if at != data_bytes:
        raise ValueError(f"the tensors need {at} bytes and the file holds {data_bytes}")
    return places
