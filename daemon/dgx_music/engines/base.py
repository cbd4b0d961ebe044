"""What an engine is: prompts in, raw audio out, inside a worker process.

Conventions: audio is `(channels, samples)` float32, nominally within ±1, at `sample_rate_hz`. A take's audio
depends on its own `TakeSpec` alone, never on the takes beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - pydantic reads the types of `EngineSettings`, which travel to the worker
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.settings import MusicGenSettings
    from dgx_music.request import GenerationRequest

__all__ = [
    "Availability",
    "CancelledByUserError",
    "Control",
    "Engine",
    "EngineInfo",
    "EngineSettings",
    "KeepsModels",
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
    automatic: bool = True
    """Whether `auto` may choose it; an engine that is there for comparison says no."""
    jobs_at_once: int = 1
    """How many jobs may be inside `Engine.generate` at the same time, each in a thread of its own."""
    model: str = ""
    """The model that it takes for requests that name none, by the name that `KeepsModels.warm` and `Control.loaded`
    use; empty where there is none to load."""


def _musicgen_defaults() -> MusicGenSettings:
    from dgx_music.engines.musicgen.settings import MusicGenSettings  # noqa: PLC0415 - that package imports this module

    return MusicGenSettings()


@dataclass(frozen=True)
class EngineSettings:
    """The part of the configuration that engines see."""

    soundfont: Path | None = None
    """The SoundFont that `sketch` plays through FluidSynth; the best of the usual folders if left out."""
    renderer: Literal["auto", "numpy", "fluidsynth"] = "auto"
    """How `sketch` makes sound; `auto` is FluidSynth where it and a SoundFont are found, else numpy."""
    musicgen: MusicGenSettings = field(default_factory=_musicgen_defaults)
    reading_roots: tuple[Path, ...] = ()
    """The folders that audio may be read from (`continue_from`, `melody`), absolute."""


@dataclass(frozen=True)
class TakeSpec:
    """One take to make."""

    index: int
    """0 for the job's first take."""
    seed: int
    request: GenerationRequest
    reading_roots: tuple[Path, ...] = ()
    """The folders that audio may be read from for this job, besides those of the settings."""


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
    """How an engine speaks to whoever runs it, about one job. Its methods may be called from any thread."""

    def progress(self, take_index: int, fraction: float, step: str) -> None:
        """Say how far a take is (0 to 1) and in which step (`loading_model`, `encoding_prompt`, `generating`).

        Call it at least once per decode step or rendered part.

        Raises:
            CancelledByUserError: when the job was cancelled; let it pass through.
        """

    def preview(self, take_index: int, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> None:
        """Let the next stretch of a take be heard before the take is finished.

        Stretches are appended to each other, unmastered; what passes full scale is clipped. Trouble with a preview
        never troubles the job.

        Args:
            take_index: which take.
            audio: `(channels, samples)`, at least one sample; a take's stretches have the same number of channels.
            sample_rate_hz: the same for all stretches of a take.
        """

    def loaded(self, model: str, seconds: float) -> None:
        """Say that a model was loaded for this job, and how long that took; see `Availability.model` for its name."""


class Engine(Protocol):
    """A maker of audio, constructed with `EngineSettings` in a worker process, once.

    The daemon imports the class to ask for its availability, so its module imports nothing heavy (not even
    numpy) outside of `generate`. Where `Availability.jobs_at_once` is more than 1, several threads call `generate` of
    the one object at the same time, each for a job of its own; otherwise one after the other, in any thread.
    """

    @classmethod
    def availability(cls, settings: EngineSettings) -> Availability:
        """Say whether the engine can be used. Runs in the daemon: no heavy imports, no model loading."""

    def generate(self, takes: Sequence[TakeSpec], control: Control) -> Iterator[tuple[int, RawAudio]]:
        """Make the takes of one job; yield `(take index, audio)` as each is ready, each exactly once.

        `RawAudio.audio` covers at least the request's length (finishing cuts to the sample). Where the iterator is a
        generator it is closed when the job ends early: what the job holds is given back in its `finally`.

        Raises:
            EngineError: when the request cannot be made, saying why.
            MemoryError: (or torch's `OutOfMemoryError`) when the machine or its GPU has too little memory for it.
        """


@runtime_checkable
class KeepsModels(Protocol):
    """What an engine offers besides where it keeps models loaded from one job to the next."""

    def warm(self) -> Sequence[str]:
        """Return the models that are loaded now. Called from any thread, and often: quick, and never waiting."""

    def rest(self, idle_s: float) -> None:
        """Give back what is not worth keeping: called every few seconds while no job runs, for so long already."""
