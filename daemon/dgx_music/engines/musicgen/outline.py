"""What is left of a checkpoint once its large parts are prepared: its numbers and its small weights.

With it a worker loads a model without opening the checkpoint, and so without torch, whatever the checkpoint's format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from dgx_music.engines.musicgen.architecture import ModelArchitecture
from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.checkpoint import Checkpoint

__all__ = ["NotPreparedError", "Outline", "SmallWeights", "read_outline", "write_outline"]

_VERSION = 1
_ARCHITECTURE = "architecture.json"
_WEIGHTS = "weights.npz"
_SMALL = ("text_proj.", "chroma_proj.", "style.", "codebooks.")


class NotPreparedError(Exception):
    """Raised when a weight is asked for that only the checkpoint has: it has to be prepared first."""


class SmallWeights(Mapping[str, "npt.NDArray[Any]"]):
    """The weights of an outline; any other is `NotPreparedError`."""

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._weights = weights

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a weight."""
        if name not in self._weights:
            raise NotPreparedError(name)
        return self._weights[name]

    def __contains__(self, name: object) -> bool:
        """Whether the outline has it."""
        return name in self._weights

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names that the outline has."""
        return iter(self._weights)

    def __len__(self) -> int:
        """Return how many weights the outline has."""
        return len(self._weights)


@dataclass(frozen=True)
class Outline:
    """A checkpoint's numbers and small weights."""

    architecture: ModelArchitecture
    weights: SmallWeights


def write_outline(checkpoint: Checkpoint, cache_dir: Path) -> Path:
    """Put a checkpoint's outline into the cache, unless it is there."""

    def build(folder: Path) -> None:
        data = TypeAdapter(ModelArchitecture).dump_json(checkpoint.architecture, indent=1)
        (folder / _ARCHITECTURE).write_bytes(data)
        small = {
            name: np.asarray(weights[name])
            for weights in (checkpoint.lm, checkpoint.codec)
            for name in weights
            if name.startswith(_SMALL)
        }
        with (folder / _WEIGHTS).open("wb") as file:
            np.savez(file, **small)  # type: ignore[arg-type]  # numpy's types take no names from a mapping

    return _folder(checkpoint.weights_sha256, cache_dir, build)


def read_outline(weights_sha256: str, cache_dir: Path) -> Outline:
    """Return a checkpoint's outline.

    Raises:
        NotPreparedError: it is not in the cache.
        EngineError: the cache cannot be read.
    """

    def build(_folder: Path) -> None:
        raise NotPreparedError("outline")

    folder = _folder(weights_sha256, cache_dir, build)
    try:
        architecture = TypeAdapter(ModelArchitecture).validate_json((folder / _ARCHITECTURE).read_bytes())
        with np.load(folder / _WEIGHTS) as file:
            weights = {name: file[name] for name in file.files}
    except (OSError, ValueError, ValidationError, json.JSONDecodeError) as err:
        raise EngineError(f"{folder}: cannot be read ({err}); delete it, and it is made again") from err
    return Outline(architecture, SmallWeights(weights))


def _folder(weights_sha256: str, cache_dir: Path, build: Callable[[Path], None]) -> Path:
    return prepared_folder(cache_dir, PreparedKey("outline", weights_sha256, _VERSION), build)
