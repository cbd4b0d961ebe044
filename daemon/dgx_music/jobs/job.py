"""A job as everybody outside the store sees it: immutable, with plain fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgx_music.library.take import Take
    from dgx_music.request import GenerationRequest

__all__ = ["Accepted", "Job", "JobState", "JobStep", "JobUpdate", "QueueStatus", "Source", "TakePreview"]


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class JobStep(StrEnum):
    """What is being done with the job."""

    QUEUED = "queued"
    LOADING_MODEL = "loading_model"
    ENCODING_PROMPT = "encoding_prompt"
    GENERATING = "generating"
    FINISHING = "finishing"
    SAVING = "saving"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Source:
    """Who asked, and how to answer."""

    surface: str
    """`osc`, `ardour`, `drop`, `cli`, `http` or `schedule`."""
    ref: str = ""
    """OSC: `host:port` that replies go to. Ardour: the session's folder. Drop folder: the claim's id. Else empty."""


@dataclass(frozen=True)
class Job:
    """One accepted request and what became of it. Times are ISO 8601 in UTC."""

    id: str
    """`gen_` and 12 hex digits."""
    request: GenerationRequest
    source: Source
    state: JobState
    step: JobStep
    progress: float
    """0 to 1 over all takes."""
    engine: str
    """The engine that was chosen when the job was accepted, never `auto`."""
    attempts: int
    error_code: str | None
    error_message: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    session_path: str | None
    """The Ardour session that was written with the takes, where one was asked for; absolute."""
    cancel_asked: bool
    """Whether somebody wants the running job to stop."""
    takes: tuple[Take, ...]
    """The finished takes, in order; empty until the job is completed."""


@dataclass(frozen=True)
class Accepted:
    """The answer to a submitted request."""

    job_id: str
    request_id: str
    """The sender's id, or the job's own where none was given."""
    place: int
    """How many jobs go before it, running ones included."""
    eta_s: float
    """When it should be done, in seconds from now."""
    engine: str
    """The engine that will make it."""
    duplicate: bool
    """Whether the request_id was known already, so that nothing new was queued."""


@dataclass(frozen=True)
class TakePreview:
    """What can be heard of a take before it is finished: raw audio, in a file that goes when the job ends."""

    take: int
    """0 for the job's first take."""
    path: str
    """Absolute."""
    seconds: float
    """How much the file holds now; it grows."""


@dataclass(frozen=True)
class JobUpdate:
    """Something happened to a job; sent to all subscribers."""

    job: Job
    kind: str
    """`progress`, `preview`, `completed`, `failed` or `cancelled`."""
    preview: TakePreview | None = None
    """What can be heard, where the kind is `preview`."""


@dataclass(frozen=True)
class QueueStatus:
    """The queue at a glance."""

    paused: bool
    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int
    running: tuple[Job, ...]
