"""FNV-1a, 64 bits: a hash of few lines, so that Lua in Ardour can compute it, too. No protection against malice.

Fowler, Noll, Vo: http://www.isthe.com/chongo/tech/comp/fnv/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fingerprint", "fnv1a_64"]

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1
_BLOCK = 1024
_BLOCKS = 16


def fnv1a_64(data: bytes, state: int = _OFFSET) -> int:
    """Return the hash of `data`, going on from `state`."""
    for byte in data:
        state = ((state ^ byte) * _PRIME) & _MASK
    return state


def fingerprint(path: Path) -> str:
    """Return what tells a file from a truncated or exchanged one without reading it whole: 16 hex digits.

    The hash of the file's size in decimal ASCII, then of 16 blocks of 1024 bytes, spread evenly from its start to its
    end; of the start alone where the file is not longer than a block.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        state = fnv1a_64(str(size).encode())
        room = max(0, size - _BLOCK)
        for at in [room * number // (_BLOCKS - 1) for number in range(_BLOCKS)] if room else [0]:
            file.seek(at)
            state = fnv1a_64(file.read(_BLOCK), state)
    return f"{state:016x}"
