"""What a user may set about MusicGen (`[musicgen]` in the configuration), as the engine sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - pydantic reads the types, when the settings travel to the worker
from typing import Literal

__all__ = ["DEFAULT_MODEL", "MusicGenSettings", "Precision"]

DEFAULT_MODEL = "musicgen-small"
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]


@dataclass(frozen=True)
class MusicGenSettings:
    """All of it; every value has the default that the configuration documents."""

    model: str = DEFAULT_MODEL
    """The model of requests that say `auto`: a name of the catalogue, or a folder."""
    models_dir: Path | None = None
    """Where downloaded weights lie; the hub's own cache (`HF_HOME`) where left out."""
    cache_dir: Path | None = None
    """Where weights are kept in the form that the decoder maps into memory; may be deleted at any time."""
    download: bool = True
    """Whether a model that a request names, and that is not here yet, is downloaded."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`."""
    precision: Precision = "auto"
    """`auto`: int8 on a CPU, fp16 or bf16 on a GPU."""
    kernel: bool = True
    """Whether int8 may use the decoder in C, where it can be compiled; ONNX Runtime's otherwise."""
    threads: int = 0
    """CPU threads for decoding; 0 for one a physical core."""
    max_takes: int = 8
    """How many takes are decoded together."""
    memory_mb: int = 0
    """What models and their caches may take of the device's memory; 0 for three quarters of what is free at start."""
    idle_unload_s: float = 600.0
    """After how long without work a model is unloaded."""
