"""What the daemon and its worker say to each other: one JSON object a line.

To the worker: `Run`, `Cancel`. From it, about itself: `Ready`, `Warm`; about a job: `Progress`, `Preview`, `Loaded`,
`TakeMade`, and as the last word on it `Done`, `Failed` or `Cancelled`. Several jobs may be under way at once.
Audio never passes through: takes are files in the job's staging folder, previews in its preview folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, get_args

from pydantic import TypeAdapter

from dgx_music.engines.base import EngineSettings

__all__ = [
    "Cancel",
    "Cancelled",
    "Done",
    "Ending",
    "Failed",
    "JobMessage",
    "Loaded",
    "Message",
    "Preview",
    "Progress",
    "Ready",
    "Run",
    "TakeMade",
    "Warm",
    "decode",
    "encode",
    "settings_from_json",
    "settings_to_json",
]


@dataclass(frozen=True)
class Run:
    """Make a job's takes."""

    job_id: str
    engine: str
    request: dict[str, Any]
    created_at: str
    staging: str
    library: str
    previews: str
    """The folder that the job's previews go to; made when the first one comes."""
    settings: dict[str, Any]
    """`settings_to_json`."""


@dataclass(frozen=True)
class Cancel:
    """Stop a job at its next step."""

    job_id: str


@dataclass(frozen=True)
class Ready:
    """The worker is up and waits for a job."""

    pid: int


@dataclass(frozen=True)
class Warm:
    """Which models an engine keeps loaded from now on."""

    engine: str
    models: list[str]


@dataclass(frozen=True)
class Progress:
    """How far a job is, over all its takes."""

    job_id: str
    fraction: float
    step: str


@dataclass(frozen=True)
class Preview:
    """A take's preview has grown."""

    job_id: str
    take: int
    """0 for the job's first take."""
    path: str
    seconds: float
    """How much can be heard by now."""


@dataclass(frozen=True)
class Loaded:
    """A model was loaded for a job."""

    job_id: str
    model: str
    seconds: float


@dataclass(frozen=True)
class TakeMade:
    """A take lies finished in the staging folder."""

    job_id: str
    take: dict[str, Any]
    """`Take.to_json`."""


@dataclass(frozen=True)
class Done:
    """All takes are made."""

    job_id: str


@dataclass(frozen=True)
class Failed:
    """The job cannot be done; nothing of it is left."""

    job_id: str
    code: str
    message: str


@dataclass(frozen=True)
class Cancelled:
    """The job has stopped, as it was asked to."""

    job_id: str


Ending = Done | Failed | Cancelled
JobMessage = Progress | Preview | Loaded | TakeMade | Ending
Message = Run | Cancel | Ready | Warm | JobMessage
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """Return the message as a line."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Rebuild a message from its line.

    Raises:
        ValueError: the line is none of ours.
    """
    data = json.loads(line)
    if not isinstance(data, dict) or data.get("kind") not in _KINDS:
        raise ValueError(f"not a message between daemon and worker: {line[:80]!r}")
    return _KINDS[data.pop("kind")](**data)


def settings_to_json(settings: EngineSettings) -> dict[str, Any]:
    """Return the settings as plain data, for `Run`."""
    data: dict[str, Any] = _settings_adapter().dump_python(settings, mode="json")
    return data


def settings_from_json(data: dict[str, Any]) -> EngineSettings:
    """Rebuild settings from plain data."""
    return _settings_adapter().validate_python(data)


def _settings_adapter() -> TypeAdapter[EngineSettings]:
    # `rebuild` looks here for the types that the module of `EngineSettings` names without importing them.
    from dgx_music.engines.musicgen.settings import MusicGenSettings  # noqa: F401, PLC0415

    adapter = TypeAdapter(EngineSettings)
    adapter.rebuild()
    return adapter
