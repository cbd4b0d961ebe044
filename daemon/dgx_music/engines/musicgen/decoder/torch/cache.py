"""Keys and values of all rows, in tensors that stay where they are while steps run.

R rows, H heads, P positions, S positions of text, D width of a head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["POSITION_BUCKET", "TEXT_BUCKET", "Cache", "cache_bytes", "round_up"]

POSITION_BUCKET = 256
"""By how many positions the cache grows."""
TEXT_BUCKET = 64
"""By how many positions of text."""


def round_up(number: int, step: int) -> int:
    """Return the least multiple of `step` that is not below `number`."""
    return -(-number // step) * step


def cache_bytes(
    architecture: LmArchitecture, dtype: torch.dtype, rows: int, positions: int, text: int = TEXT_BUCKET
) -> int:
    """Return what a cache takes, in bytes, without making one."""
    if architecture.text_fuse != "cross":
        text = 0
    values = 2 * architecture.layers * rows * architecture.dim * (positions + text)
    return values * dtype.itemsize + rows * text  # the mask of the text is a byte a position


class Cache:
    """The tensors. They only ever grow; growing moves them, so graphs that were captured over them are void then."""

    def __init__(self, architecture: LmArchitecture, device: torch.device, dtype: torch.dtype) -> None:
        self._architecture = architecture
        self._device = device
        self._dtype = dtype
        self._cross_layers = architecture.layers if architecture.text_fuse == "cross" else 0
        self.rows = self.positions = self.text = 0
        heads, width = architecture.heads, architecture.head_dim

        def empty(layers: int) -> list[torch.Tensor]:
            return [torch.zeros(0, heads, 0, width, device=device, dtype=dtype) for _ in range(layers)]

        self.keys, self.values = empty(architecture.layers), empty(architecture.layers)
        """(R, H, P, D) a layer"""
        self.cross_keys, self.cross_values = empty(self._cross_layers), empty(self._cross_layers)
        """(R, H, S, D) a layer"""
        self.cross_mask = torch.zeros(0, 0, device=device, dtype=torch.bool)
        """(R, S), where there is text."""

    @property
    def nbytes(self) -> int:
        """What the tensors take, in bytes."""
        return sum(tensor.nbytes for tensor in self._tensors())

    def grow(self, rows: int, positions: int, text: int) -> bool:
        """Make room for so many; return whether anything moved."""
        rows, positions = max(rows, self.rows), max(positions, self.positions)
        text = max(text, self.text) if self._cross_layers else 0
        moved = False
        if (rows, positions) != (self.rows, self.positions):
            moved = True
            for tensors in (self.keys, self.values):  # one at a time: only one is there twice at any moment
                for layer, tensor in enumerate(tensors):
                    tensors[layer] = self._grown(tensor, rows, positions)
        if (rows, text) != (self.rows, self.text):
            moved = True
            # All or nothing: where memory ends here, those who run are to go on with what there was.
            keys = [self._grown(tensor, rows, text) for tensor in self.cross_keys]
            values = [self._grown(tensor, rows, text) for tensor in self.cross_values]
            mask = torch.zeros(rows, text, device=self._device, dtype=torch.bool)
            mask[: self.rows, : self.text] = self.cross_mask
            self.cross_keys, self.cross_values, self.cross_mask = keys, values, mask
        self.rows, self.positions, self.text = rows, positions, text
        return moved

    def move_row(self, source: int, target: int, positions: int) -> None:
        """Copy a row's first positions over another's."""
        for tensor in (*self.keys, *self.values):
            tensor[target, :, :positions].copy_(tensor[source, :, :positions])

    def move_text(self, source: int, target: int) -> None:
        """Copy a row of text over another."""
        for tensor in (*self.cross_keys, *self.cross_values, self.cross_mask):
            tensor[target].copy_(tensor[source])

    def _grown(self, old: torch.Tensor, rows: int, positions: int) -> torch.Tensor:
        # Zeros, since what is masked is still multiplied by 0, and memory as it comes may hold NaN.
        new = torch.zeros(rows, old.shape[1], positions, old.shape[3], device=self._device, dtype=self._dtype)
        new[: old.shape[0], :, : old.shape[2]] = old
        return new

    def _tensors(self) -> Iterator[torch.Tensor]:
        yield from (*self.keys, *self.values, *self.cross_keys, *self.cross_values, self.cross_mask)
