"""What an engine is: prompts in, raw audio out, inside a worker process.

Conventions: audio is `(channels, samples)` float32, nominally within ±1, at `sample_rate_hz`. A take's audio
depends on its own `TakeSpec` alone, never on the takes beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from dgx_music.request import GenerationRequest

__all__ = [
    "Availability",
    "CancelledByUserError",
    "Control",
    "Engine",
    "EngineInfo",
    "EngineSettings",
    "RawAudio",
    "TakeSpec",
]


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says of itself; goes into the database, the file's metadata and every answer."""

    name: str
    """`sketch`, `musicgen`, …"""
    version: str
    """Changes whenever the same seed may sound different."""
    neural: bool
    """Whether a neural model makes the audio ("AI-generated"), or rules do ("procedural")."""
    model: str
    """The model's name, or the renderer's where there is no model."""
    model_hash: str
    """SHA-256 of the weights (or sound font), empty where there are none."""
    device: str = ""
    """Where a neural engine decoded: `cpu x86_64`, `cuda NVIDIA GB10`. With precision and version it says when the same
    seed gives the same samples."""
    precision: str = ""
    """In which arithmetic: `int8`, `fp32`, `bf16`, `fp16`."""
    licence: str = ""
    """The licence of the weights, an SPDX name where there is one."""


@dataclass(frozen=True)
class Availability:
    """Whether an engine can be used now; found without loading it."""

    usable: bool
    reason: str
    """Why not and what would help; empty when usable."""
    hears_audio: bool = False
    """Whether it can continue a piece of audio or follow a melody."""


@dataclass(frozen=True)
class EngineSettings:
    """The part of the configuration that engines see."""

    soundfont: Path | None = None
    """The SoundFont that `sketch` plays through FluidSynth; the best of the usual folders if left out."""
    renderer: Literal["auto", "numpy", "fluidsynth"] = "auto"
    """How `sketch` makes sound; `auto` is FluidSynth where it and a SoundFont are found, else numpy."""


@dataclass(frozen=True)
class TakeSpec:
    """One take to make."""

    index: int
    """0 for the job's first take."""
    seed: int
    request: GenerationRequest


@dataclass(frozen=True)
class RawAudio:
    """What an engine gives back for one take, before finishing."""

    audio: npt.NDArray[np.float32]
    """`(channels, samples)` float32."""
    sample_rate_hz: int
    info: EngineInfo
    stems: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Parts by name, each shaped like `audio`; their sum is `audio`. Empty where the engine has none."""
    bpm: float | None = None
    """The tempo that the engine played in, quarter notes a minute, where it knows."""
    meter: str | None = None
    key: str | None = None
    notes: str = ""
    """A line on how it was made, for the file's metadata: genre, chords."""


class CancelledByUserError(Exception):
    """Raised by `Control.progress` inside an engine when its job was cancelled."""


class Control(Protocol):
    """How an engine speaks to whoever runs it."""

    def progress(self, take_index: int, fraction: float, step: str) -> None:
        """Say how far a take is (0 to 1) and in which step (`loading_model`, `encoding_prompt`, `generating`).

        Call it at least once per decode step or rendered part.

        Raises:
            CancelledByUserError: when the job was cancelled; let it pass through.
        """


class Engine(Protocol):
    """A maker of audio, constructed with `EngineSettings` in a worker process.

    The daemon imports the class to ask for its availability, so its module imports nothing heavy (not even
    numpy) outside of `generate`.
    """

    @classmethod
    def availability(cls, settings: EngineSettings) -> Availability:
        """Say whether the engine can be used. Runs in the daemon: no heavy imports, no model loading."""

    def generate(self, takes: Sequence[TakeSpec], control: Control) -> Iterator[tuple[int, RawAudio]]:
        """Make the takes of one job; yield `(take index, audio)` as each is ready, each exactly once.

        `RawAudio.audio` covers at least the request's length (finishing cuts to the sample).

        Raises:
            EngineError: when the request cannot be made, saying why.
        """
