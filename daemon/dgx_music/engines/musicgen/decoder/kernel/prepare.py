"""The language model's weights as `decoder.c` reads them, made once for each checkpoint and then mapped into memory.

A prepared folder holds `weights.bin` alone; what stands where in it follows from the architecture (`sections`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

    Weights = Mapping[str, npt.NDArray[Any]]

__all__ = ["BLOCK", "FILE", "PREPARATION_VERSION", "TILE", "Section", "pack", "prepare", "sections"]

PREPARATION_VERSION = 2
"""Counts up with every change to what a prepared folder holds."""

FILE = "weights.bin"
TILE = 16
"""Outputs that are computed side by side."""
BLOCK = 128
"""Inputs that share a scale."""
_TILE_BLOCK_BYTES = TILE * BLOCK + 4 * TILE
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class Section:
    """One array of the file. Its name is a field of the structures in `model.h`, after its layer's number if it has one."""

    name: str
    shape: tuple[int, ...]
    """(outputs, inputs) of a matrix in tiles; that of the array otherwise."""
    tiled: bool
    """Whether it is a matrix in tiles of 8-bit weights, else an array of fp32."""
    offset: int

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        if not self.tiled:
            return 4 * int(np.prod(self.shape))
        outputs, inputs = self.shape
        return -(-outputs // TILE) * -(-inputs // BLOCK) * _TILE_BLOCK_BYTES


def sections(architecture: LmArchitecture) -> list[Section]:
    """Return what the file holds, in the order in which a step reads it, each at the start of a page."""
    placed: list[Section] = []
    offset = 0
    for name, shape, tiled in _arrays(architecture):
        section = Section(name, shape, tiled, offset)
        placed.append(section)
        offset += -(-section.bytes // _PAGE_BYTES) * _PAGE_BYTES
    return placed


def prepare(
    lm: Weights,
    architecture: LmArchitecture,
    *,
    weights_sha256: str,
    cache_dir: Path,
    progress: Callable[[float], None] = lambda _share: None,
) -> Path:
    """Make a checkpoint's prepared folder, or find it. Holds one weight in memory at a time.

    Args:
        lm: the language model's weights by canonical name (see `architecture`).
        architecture: their numbers.
        weights_sha256: of the checkpoint; names the folder.
        cache_dir: where prepared folders lie.
        progress: told the share done, 0 to 1, while the folder is made.

    Returns:
        The folder.

    Raises:
        EngineError: the disk is full or may not be written to.
    """
    placed = sections(architecture)
    size = placed[-1].offset + placed[-1].bytes

    def build(folder: Path) -> None:
        with (folder / FILE).open("wb") as file:
            for section in placed:
                file.write(b"\0" * (section.offset - file.tell()))
                value = _value(section.name, lm, architecture)
                file.write((pack(value) if section.tiled else np.ascontiguousarray(value, np.float32)).data)
                progress((section.offset + section.bytes) / size)

    key = PreparedKey("lm-kernel-int8", weights_sha256, PREPARATION_VERSION)
    return prepared_folder(cache_dir, key, build, size)


def pack(weight: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Round a matrix to 8 bits and lay it out in tiles, as `decoder.c` says.

    AVX2 multiplies unsigned activations (up to 255) and adds two neighbours' products in 16 bits, which saturate. So a
    block's scale is the smallest that keeps its weights within 127 and the sum of two neighbours of one sign within 127
    before rounding, 128 after: a quarter of a bit with weights as training leaves them.

    Args:
        weight: (outputs, inputs).

    Returns:
        (tiles, blocks, bytes of a block).
    """
    outputs, inputs = weight.shape
    tiles, blocks = -(-outputs // TILE), -(-inputs // BLOCK)
    full = np.zeros((tiles * TILE, blocks * BLOCK), np.float32)
    full[:outputs, :inputs] = weight
    full = full.reshape(tiles, TILE, blocks, BLOCK)
    pairs = full.reshape(tiles, TILE, blocks, BLOCK // 2, 2)
    # Where the signs of two differ, the one takes from the other's sum, so each is looked at by itself.
    above = np.maximum(pairs, 0).sum(axis=4).max(axis=3)  # (tiles, 16, blocks)
    below = np.minimum(pairs, 0).sum(axis=4).min(axis=3)
    scales = np.maximum(above, -below) / np.float32(127)
    full /= np.where(scales > 0, scales, np.float32(1))[..., None]
    whole = np.rint(full).astype(np.int8).reshape(tiles, TILE, blocks, BLOCK // 4, 4)
    packed = np.empty((tiles, blocks, _TILE_BLOCK_BYTES), np.uint8)
    packed[:, :, : TILE * BLOCK] = whole.transpose(0, 2, 3, 1, 4).reshape(tiles, blocks, -1).view(np.uint8)
    packed[:, :, TILE * BLOCK :] = np.ascontiguousarray(scales.transpose(0, 2, 1)).view(np.uint8)
    return packed


def _arrays(a: LmArchitecture) -> Iterator[tuple[str, tuple[int, ...], bool]]:
    """Name and shape of every array, and whether it is a matrix in tiles."""

    def matrix(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, tuple[int, ...], bool]]:
        yield name, (outputs, inputs), True
        if a.has_bias:
            yield f"{name}.bias", (outputs,), False

    def norm(name: str) -> Iterator[tuple[str, tuple[int, ...], bool]]:
        yield f"{name}.gain", (a.dim,), False
        yield f"{name}.bias", (a.dim,), False

    yield "embeddings", (a.codebooks, a.card + 1, a.dim), False
    for layer in range(a.layers):
        yield from norm(f"{layer}.before_self")
        yield from matrix(f"{layer}.self_in", 3 * a.dim, a.dim)
        yield from matrix(f"{layer}.self_out", a.dim, a.dim)
        if a.text_fuse == "cross":
            yield from norm(f"{layer}.before_cross")
            yield from matrix(f"{layer}.cross_query", a.dim, a.dim)
            yield from matrix(f"{layer}.cross_out", a.dim, a.dim)
        yield from norm(f"{layer}.before_feed")
        yield from matrix(f"{layer}.widen", a.ffn_dim, a.dim)
        yield from matrix(f"{layer}.narrow", a.dim, a.ffn_dim)
    yield from norm("last")
    yield from matrix("logits", a.codebooks * a.card, a.dim)
    if a.text_fuse == "cross":  # read once a take, so not between those that a step reads
        for layer in range(a.layers):
            yield from matrix(f"{layer}.cross_key_value", 2 * a.dim, a.dim)


_NAMES = {
    "before_self.gain": "norm1.weight",
    "before_self.bias": "norm1.bias",
    "before_cross.gain": "norm_cross.weight",
    "before_cross.bias": "norm_cross.bias",
    "before_feed.gain": "norm2.weight",
    "before_feed.bias": "norm2.bias",
    "self_in": "self_attn.in_proj.weight",
    "self_in.bias": "self_attn.in_proj.bias",
    "self_out": "self_attn.out_proj.weight",
    "self_out.bias": "self_attn.out_proj.bias",
    "cross_query": "cross_attn.in_proj.weight",
    "cross_query.bias": "cross_attn.in_proj.bias",
    "cross_key_value": "cross_attn.in_proj.weight",
    "cross_key_value.bias": "cross_attn.in_proj.bias",
    "cross_out": "cross_attn.out_proj.weight",
    "cross_out.bias": "cross_attn.out_proj.bias",
    "widen": "linear1.weight",
    "widen.bias": "linear1.bias",
    "narrow": "linear2.weight",
    "narrow.bias": "linear2.bias",
}
"""The canonical name, below its layer, of each of a layer's arrays."""


def _value(name: str, lm: Weights, a: LmArchitecture) -> npt.NDArray[Any]:
    """Return the weights that a section is made of."""
    books = range(a.codebooks)
    match name.split(".", 1):
        case ["embeddings"]:
            return np.stack([lm[f"emb.{book}.weight"] for book in books])
        case ["last", part]:
            return lm["out_norm.weight" if part == "gain" else "out_norm.bias"]
        case ["logits", *part]:
            return np.concatenate([lm[f"linears.{book}.{part[0] if part else 'weight'}"] for book in books])
        case [layer, array]:
            value = lm[f"layers.{layer}.{_NAMES[array]}"]
            if array.startswith("cross_query"):
                return value[: a.dim]
            return value[a.dim :] if array.startswith("cross_key_value") else value
    raise AssertionError(name)
