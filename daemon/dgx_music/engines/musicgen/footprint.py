"""How much memory a model takes, worked out from its architecture before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.architecture import LmArchitecture, ModelArchitecture

__all__ = [
    "Room",
    "cache_bytes",
    "lm_parameters",
    "parameters_read",
    "prefix_positions",
    "room_for",
    "rows_a_take",
    "weight_bytes",
    "weights_bytes",
]

_BYTES = {"int8": 1.0625, "fp16": 2.0, "bf16": 2.0, "fp32": 4.0}
"""A parameter's size; int8 has one fp32 scale for some tens of weights beside it."""
_CACHE_BYTES = {"int8": 4, "fp16": 2, "bf16": 2, "fp32": 4}
_BESIDE_BYTES = 450_000_000
"""Codec, text encoder, runtime."""
_PIECE = 256
_TEXT_POSITIONS = 64


def lm_parameters(lm: LmArchitecture) -> int:
    """Return how many parameters the language model has, but for norms and projections of conditions."""
    cross = 2 * lm.layers * lm.dim * lm.dim if lm.text_fuse == "cross" else 0
    return parameters_read(lm) + cross + lm.codebooks * (lm.card + 1) * lm.dim


def parameters_read(lm: LmArchitecture) -> int:
    """Return how many parameters a step reads: keys and values of the text are made once, embeddings looked up."""
    attention = 4 * lm.dim * lm.dim + (2 * lm.dim * lm.dim if lm.text_fuse == "cross" else 0)
    return lm.layers * (attention + 2 * lm.dim * lm.ffn_dim) + lm.codebooks * lm.card * lm.dim


def weight_bytes(precision: str) -> float:
    """Return what a parameter takes in a precision, in bytes, its share of the scales included."""
    return _BYTES[precision]


def weights_bytes(architecture: ModelArchitecture, precision: str) -> int:
    """Return what a loaded model holds without its caches, in bytes."""
    return round(lm_parameters(architecture.lm) * weight_bytes(precision)) + _BESIDE_BYTES


def prefix_positions(architecture: ModelArchitecture) -> int:
    """Return how many positions may stand before the tokens: melody or style, and a long prompt's text."""
    lm = architecture.lm
    if lm.text_fuse == "cross":
        return 0
    return (lm.chroma.frames if lm.chroma else 0) + 600


def cache_bytes(lm: LmArchitecture, precision: str, rows: int, positions: int) -> int:
    """Return what keys and values of so many rows and positions take, in bytes."""
    return 2 * lm.layers * lm.dim * _CACHE_BYTES[precision] * rows * positions


def rows_a_take(lm: LmArchitecture) -> int:
    """Return how many rows a take has at most: with its conditions and without, and with its style alone."""
    return 3 if lm.style else 2


@dataclass(frozen=True)
class Room:
    """The memory that a model may take, and what fits into it."""

    max_rows: int
    max_positions: int
    decoding_bytes: int
    """For the decoder's caches and buffers."""
    total_bytes: int
    """Everything."""


def room_for(architecture: ModelArchitecture, precision: str, max_takes: int, budget_bytes: int) -> Room:
    """Work out how many rows fit: as many as `max_takes` need, fewer where the budget ends before, one take's at least."""
    lm = architecture.lm
    positions = prefix_positions(architecture) + architecture.window_frames + lm.max_delay
    resident = weights_bytes(architecture, precision)
    # The PyTorch decoder's cache comes in pieces of 256 positions and 64 of text, all of it from the start on a GPU.
    text = _TEXT_POSITIONS if lm.text_fuse == "cross" else 0
    row = round(1.1 * cache_bytes(lm, precision, 1, -(-positions // _PIECE) * _PIECE + text))
    each = rows_a_take(lm)
    fitting = max(each, min(each * max_takes, max(0, budget_bytes - resident) // row))
    decoding = fitting * row
    return Room(fitting, positions, decoding, resident + decoding)
