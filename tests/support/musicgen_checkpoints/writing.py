"""Writing safetensors files tensor by tensor, so that a large model needs little memory."""

from __future__ import annotations

import json
import math
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.musicgen_checkpoints.weights import Weights


Drawn = tuple[str, tuple[int, ...], "Callable[[], np.ndarray]"]
_DTYPES = {"float32": ("F32", 4), "float16": ("F16", 2), "bfloat16": ("BF16", 2)}


def _as_bytes(values: np.ndarray, dtype: str) -> bytes:
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
    return np.ascontiguousarray(values, dtype).tobytes()


def write_safetensors(path: Path, tensors: list[Drawn], dtype: str) -> None:
    """Write a safetensors file tensor by tensor, so that a large model needs little memory."""
    code, width = _DTYPES[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape, _ in tensors:
        size = width * math.prod(shape)
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, draw in tensors:
            file.write(_as_bytes(draw(), dtype))


def drawn(prefix: str, made: Weights, seed: int) -> list[Drawn]:
    return [(prefix + name, weight.shape, partial(weight.draw, name, seed)) for name, weight in made.items()]


def write_sharded(folder: Path, tensors: list[Drawn], dtype: str, shards: int) -> None:
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, dtype)
        return
    total = sum(math.prod(dims) for _, dims, _ in tensors)
    groups: list[list[Drawn]] = [[] for _ in range(shards)]
    done = 0
    for tensor in tensors:
        groups[min(shards - 1, done * shards // total)].append(tensor)
        done += math.prod(tensor[1])
    index: dict[str, str] = {}
    for number, group in enumerate(groups, 1):
        name = f"model-{number:05}-of-{shards:05}.safetensors"
        write_safetensors(folder / name, group, dtype)
        index |= dict.fromkeys((each for each, _, _ in group), name)
    size = total * _DTYPES[dtype][1]
    write_json(
        folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": index}
    )


def write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")
