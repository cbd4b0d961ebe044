"""`Take`: a finished file and everything that is known of it, as plain data that crosses processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["StagedFile", "Take"]


@dataclass(frozen=True)
class StagedFile:
    """A file written and synced under a temporary name, waiting to be published under its final one."""

    staged: str
    """Absolute path of the finished temporary file."""
    final: str
    """Path below the library's root, `2026/11/22/name.wav`."""
    sha256: str
    size_bytes: int
    stem: str | None
    """The part's name, or `None` for the take itself."""
    pcm_sha256: tuple[str, ...] = ()
    """One hash a channel of what the samples are (`library.pcm`), by which a channel is known in any other file; empty
    for files that were made before there were such."""


@dataclass(frozen=True)
class Take:
    """One finished take."""

    index: int
    seed: int
    engine: str
    engine_version: str
    neural: bool
    model: str
    model_hash: str
    files: tuple[StagedFile, ...]
    """The take's own WAV first, then its stems."""
    frames: int
    channels: int
    sample_rate_hz: int
    bit_depth: int
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    target_lufs: float | None
    level_outcome: str
    level_remark: str
    bpm: float | None
    """The tempo that the engine played in, where it knows."""
    meter: str | None
    key: str | None
    tempo_measured_bpm: float | None
    tempo_confidence: float
    key_measured: str | None
    key_confidence: float
    generation_s: float
    finishing_s: float
    device: str = ""
    """Where a neural engine decoded it: `cpu x86_64`, `cuda NVIDIA GB10`."""
    precision: str = ""
    """In which arithmetic: `int8`, `fp32`, `bf16`, `fp16`."""
    licence: str = ""
    """The licence of the weights, an SPDX name where there is one."""

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.frames / self.sample_rate_hz

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the worker's message and the receipt."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Take:
        """Rebuild a take from `to_json`'s data."""
        files = tuple(
            StagedFile(**{**item, "pcm_sha256": tuple(item.get("pcm_sha256", ()))}) for item in data["files"]
        )
        return cls(**{**data, "files": files})
