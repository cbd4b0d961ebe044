"""Weights under their canonical names, each read only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[np.float32] | npt.NDArray[np.float16]

__all__ = ["Arrays", "Folded", "Stacked", "Stored"]


class Stored(Protocol):
    """A tensor in a file, its shape known before it is read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""

    @property
    def floating(self) -> bool:
        """Whether it holds floating point numbers; nothing else can be read."""

    def read(self) -> Array:
        """Return its values, float16 and float32 mapped into memory as they are, other floats as float32."""


@dataclass(frozen=True)
class Stacked:
    """Tensors one below the other: query, key and value, which the hub keeps apart."""

    parts: Sequence[Stored]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows added up; the rest as in the first."""
        first = self.parts[0].shape
        if any(part.shape[1:] != first[1:] for part in self.parts):
            return (-1, *first[1:])
        return (sum(part.shape[0] for part in self.parts), *first[1:])

    @property
    def floating(self) -> bool:
        """Whether all parts are."""
        return all(part.floating for part in self.parts)

    def read(self) -> Array:
        """Return a copy."""
        return np.concatenate([part.read() for part in self.parts])


@dataclass(frozen=True)
class Folded:
    """A weight given as length and direction (Salimans & Kingma 2016): w = g · v / ‖v‖ for each first index."""

    gain: Stored
    direction: Stored

    @property
    def shape(self) -> tuple[int, ...]:
        """As the direction's, where the gain has one number for each first index."""
        rows = self.direction.shape[0] if self.direction.shape else 0
        fits = self.gain.shape == (rows, *(1 for _ in self.direction.shape[1:]))
        return self.direction.shape if fits else (-1, *self.direction.shape[1:])

    @property
    def floating(self) -> bool:
        """Whether both are."""
        return self.gain.floating and self.direction.floating

    def read(self) -> Array:
        """Return the product, as float32."""
        direction: npt.NDArray[Any] = self.direction.read().astype(np.float64)
        norm = np.sqrt((direction**2).sum(axis=tuple(range(1, direction.ndim)), keepdims=True))
        folded: npt.NDArray[np.float32] = (direction * (self.gain.read() / norm)).astype(np.float32)
        return folded


class Arrays(Mapping[str, "Array"]):
    """Arrays by canonical name. Nothing is kept: who needs an array twice holds on to it."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._stored = dict(stored)

    def __getitem__(self, name: str) -> Array:
        return self._stored[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        return self._stored[name].shape

    def close(self) -> None:
        """Let go of the files; arrays that were handed out stay valid."""
        self._stored.clear()
