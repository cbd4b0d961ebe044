"""What the daemon and its worker say to each other: one JSON object a line.

To the worker: `Run`, `Cancel`. From it: `Ready`, `Progress`, `TakeMade`, `Done`, `Failed`, `Cancelled`.
Audio never passes through: takes are files in the job's staging folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = [
    "Cancel",
    "Cancelled",
    "Done",
    "Failed",
    "Message",
    "Progress",
    "Ready",
    "Run",
    "TakeMade",
    "decode",
    "encode",
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
    soundfont: str | None
    renderer: Literal["auto", "numpy", "fluidsynth"]


@dataclass(frozen=True)
class Cancel:
    """Stop a job at its next step."""

    job_id: str


@dataclass(frozen=True)
class Ready:
    """The worker is up and waits for a job."""

    pid: int


@dataclass(frozen=True)
class Progress:
    """How far a job is, over all its takes."""

    job_id: str
    fraction: float
    step: str


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


Message = Run | Cancel | Ready | Progress | TakeMade | Done | Failed | Cancelled
_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Run, Cancel, Ready, Progress, TakeMade, Done, Failed, Cancelled)
}


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
