"""The memory of one row: its keys and values in half precision."""

from __future__ import annotations

import contextlib
import mmap
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.musicgen.decoder.base import OutOfRoomError

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["RowMemory", "row_bytes"]


def row_bytes(a: LmArchitecture, positions: int) -> int:
    """Return what keys and values of so many positions take, in bytes: `decoder.c` says how they lie."""
    return 2 * a.layers * a.heads * _up_to_eight(positions) * _up_to_eight(a.head_dim) * 2


class RowMemory:
    """Keys and values of up to so many positions."""

    def __init__(self, architecture: LmArchitecture, positions: int) -> None:
        self.positions = positions
        self.capacity = _up_to_eight(positions)
        size = row_bytes(architecture, positions)
        try:
            self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as err:
            raise OutOfRoomError(
                f"there are no {size / 1e6:.0f} MB for a row of {positions} positions"
            ) from err
        # A row is as long as its take, so that nothing of a huge page is wasted, and with few of them the processor finds
        # its way through hundreds of megabytes. Kernels without them say so, and nothing is lost.
        with contextlib.suppress(OSError):
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self._view = np.frombuffer(self._memory, np.uint8)
        self.address = self._view.ctypes.data

    def close(self) -> None:
        """Give the memory back now; nobody may use its address any more."""
        del self._view
        self._memory.close()


def _up_to_eight(count: int) -> int:
    return -(-count // 8) * 8
