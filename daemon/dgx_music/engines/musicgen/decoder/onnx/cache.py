"""Keys and values of rows, in memory that is reserved for the longest take and spent as it is written.

Pages of an anonymous mapping cost nothing until they are touched, so a short take in a long cache stays small, no cache
is ever copied to make it longer, and what a row held can be given back while the others stay where they are.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["RowCache"]

_NO_RESERVE = 0x4000
"""MAP_NORESERVE of Linux, which Python's mmap does not name: no swap is set aside for what is never touched."""


class RowCache:
    """Keys and values of up to `rows` rows.

    Attributes:
        rows: how many fit.
        positions: how long each may be.
        arrays: by `k` or `v` and layer, (rows, H, positions, e) float32.
    """

    def __init__(self, rows: int, layers: int, heads: int, positions: int, width: int) -> None:
        self.rows = rows
        self.positions = positions
        shape = (rows, heads, positions, width)
        each = -(-int(np.prod(shape)) * 4 // mmap.PAGESIZE) * mmap.PAGESIZE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
        try:
            self._memory = mmap.mmap(-1, each * 2 * layers, flags=flags)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"{each * 2 * layers / 1e9:.1f} GB of address space for {rows} rows of {positions} positions cannot "
                f"be reserved ({error}). Lower max_takes in [musicgen]."
            ) from error
        # A huge page would be spent whole by its first position.
        self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        self._each = each
        self._row_bytes = int(np.prod(shape[1:])) * 4
        self.arrays: dict[tuple[str, int], npt.NDArray[np.float32]] = {}
        for place, key in enumerate((kind, layer) for layer in range(layers) for kind in ("k", "v")):
            flat = np.frombuffer(self._memory, np.float32, int(np.prod(shape)), place * each)
            self.arrays[key] = flat.reshape(shape)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row's first `length` positions over another row's."""
        for array in self.arrays.values():
            array[target, :, :length] = array[source, :, :length]

    def drop(self, row: int) -> None:
        """Give a row's memory back."""
        page = mmap.PAGESIZE
        for place in range(len(self.arrays)):
            start = place * self._each + row * self._row_bytes
            first, last = -(-start // page) * page, (start + self._row_bytes) // page * page
            if last > first:
                self._memory.madvise(mmap.MADV_DONTNEED, first, last - first)
