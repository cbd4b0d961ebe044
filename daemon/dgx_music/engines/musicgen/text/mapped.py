"""T5's weights in files of their own, mapped only while they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["MappedWeights", "write_weights"]


class MappedWeights(Mapping[str, "npt.NDArray[Any]"]):
    """A folder of arrays. Each look-up maps the array anew; letting go of it takes it out of the process's memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a weight, not yet read."""
        try:
            array: npt.NDArray[Any] = np.load(self._folder / f"{name}.npy", mmap_mode="r")
        except FileNotFoundError:
            raise KeyError(name) from None
        return array

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return (path.stem for path in self._folder.glob("*.npy"))

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 for _ in self)


def write_weights(folder: Path, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write weights for `MappedWeights`, in float32 (half precision would have to be widened at every look-up)."""
    for name in weights:
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, np.asarray(weights[name], np.float32))
