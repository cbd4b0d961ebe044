"""`decoder.c` by ctypes: its structures, and the weights that they point into."""

from __future__ import annotations

import ctypes as c
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.decoder.kernel.prepare import FILE, sections
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["BOOKS", "LANE", "Kernel"]

_ABI = 1
BOOKS = 16
"""Codebooks, at most."""

LANE = np.dtype(
    [
        ("cache", np.uint64),
        ("cross", np.uint64),
        ("vector", np.uint64),
        ("capacity", np.int32),
        ("cross_capacity", np.int32),
        ("cross_length", np.int32),
        ("position", np.int32),
        ("wanted", np.int32),
        ("tokens", np.int32, (BOOKS,)),
    ],
    align=True,
)
"""A position of a row, as `model.h` has it; arrays are given by their addresses."""


class _Matrix(c.Structure):
    _fields_ = (("tiles", c.c_void_p), ("bias", c.c_void_p), ("outputs", c.c_int32), ("inputs", c.c_int32))


class _Norm(c.Structure):
    _fields_ = (("gain", c.c_void_p), ("bias", c.c_void_p))


class _Layer(c.Structure):
    _fields_ = (
        ("before_self", _Norm),
        ("before_cross", _Norm),
        ("before_feed", _Norm),
        ("self_in", _Matrix),
        ("self_out", _Matrix),
        ("cross_query", _Matrix),
        ("cross_key_value", _Matrix),
        ("cross_out", _Matrix),
        ("widen", _Matrix),
        ("narrow", _Matrix),
    )


class _Model(c.Structure):
    _fields_ = (
        ("dim", c.c_int32),
        ("heads", c.c_int32),
        ("layers", c.c_int32),
        ("wide", c.c_int32),
        ("books", c.c_int32),
        ("card", c.c_int32),
        ("epsilon", c.c_float),
        ("embeddings", c.c_void_p),
        ("positions", c.c_void_p),
        ("layer", c.POINTER(_Layer)),
        ("last", _Norm),
        ("logits", _Matrix),
    )


class Kernel:
    """The compiled decoder with a checkpoint's weights mapped read-only, so that processes share them.

    Args:
        library: what `build` made.
        prepared: what `prepare` made.
        architecture: of the weights.
        positions: (P, d), what is added at each position.
        longest: how many positions may be attended to.
        threads: how many compute, the caller's own included.

    Raises:
        EngineError: a file cannot be read or does not fit, or there is no memory.
    """

    def __init__(
        self,
        library: Path,
        prepared: Path,
        architecture: LmArchitecture,
        *,
        positions: npt.NDArray[np.float32],
        longest: int,
        threads: int,
    ) -> None:
        self._library = _load(library)
        self._weights = _map(prepared / FILE, architecture)
        self._positions = np.ascontiguousarray(positions, np.float32)
        self._layers = (_Layer * architecture.layers)()
        self._model = self._described(architecture)
        self._handle = self._library.dgx_open(c.byref(self._model), longest, threads)
        if not self._handle:
            raise EngineError(f"there is no memory or no room for {threads} threads to decode with")

    def step(self, lanes: npt.NDArray[Any], logits: npt.NDArray[np.float32]) -> None:
        """Advance lanes (n,) of `LANE`; those whose `wanted` is not negative get that line of (…, K, C) `logits`."""
        self._library.dgx_step(self._handle, lanes.ctypes.data, len(lanes), logits.ctypes.data)

    def text(self, lanes: npt.NDArray[Any]) -> None:
        """Write the keys and values of text, a lane a position, to the lanes' caches."""
        self._library.dgx_text(self._handle, lanes.ctypes.data, len(lanes))

    def close(self) -> None:
        """End the threads and give the memory back."""
        self._library.dgx_close(self._handle)
        self._handle = None

    def _described(self, a: LmArchitecture) -> _Model:
        base = self._weights.ctypes.data
        model = _Model(
            a.dim, a.heads, a.layers, a.ffn_dim, a.codebooks, a.card, a.norm_eps,
            positions=self._positions.ctypes.data, layer=self._layers,
        )  # fmt: skip
        for section in sections(a):
            owner: c.Structure = model
            name = section.name
            if name[0].isdigit():
                layer, name = name.split(".", 1)
                owner = self._layers[int(layer)]
            name, _, part = name.partition(".")
            if section.tiled:
                matrix = getattr(owner, name)
                matrix.outputs, matrix.inputs = section.shape
                owner, part = matrix, "tiles"
            elif part:
                owner = getattr(owner, name)
            setattr(owner, part or name, base + section.offset)
        return model


def _load(library: Path) -> c.CDLL:
    try:
        loaded = c.CDLL(str(library))
        abi = loaded.dgx_abi()
    except (OSError, AttributeError) as err:
        raise EngineError(f"{library} is no compiled decoder: {err}") from err
    if abi != _ABI:
        raise EngineError(
            f"{library} was compiled from another version ({abi}, not {_ABI}); delete its folder"
        )
    loaded.dgx_open.argtypes = (c.c_void_p, c.c_int32, c.c_int32)
    loaded.dgx_open.restype = c.c_void_p
    loaded.dgx_step.argtypes = (c.c_void_p, c.c_void_p, c.c_int32, c.c_void_p)
    loaded.dgx_step.restype = None
    loaded.dgx_text.argtypes = (c.c_void_p, c.c_void_p, c.c_int32)
    loaded.dgx_text.restype = None
    loaded.dgx_close.argtypes = (c.c_void_p,)
    loaded.dgx_close.restype = None
    return loaded


def _map(path: Path, architecture: LmArchitecture) -> npt.NDArray[np.uint8]:
    last = sections(architecture)[-1]
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except (OSError, ValueError) as err:
        raise EngineError(f"the prepared weights {path} cannot be read: {err}") from err
    if len(mapped) != last.offset + last.bytes:
        raise EngineError(f"the prepared weights {path} are of another model; delete their folder")
    return np.frombuffer(mapped, np.uint8)
