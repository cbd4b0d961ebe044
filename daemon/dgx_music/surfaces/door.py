"""`Door`: what a surface may ask of the daemon. Surfaces see this, never the store's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dgx_music.jobs import Accepted, Job, JobUpdate, QueueStatus, Source

__all__ = ["Door"]


class Door(Protocol):
    """The way in for every surface; `dgx_music.intake.Intake` is the real one."""

    async def submit(self, fields: Mapping[str, Any], source: Source) -> Accepted:
        """Validate, store durably, and answer. A known `request_id` answers with the first job.

        Raises:
            RequestError: a field is unknown or out of bounds.
            EngineUnavailableError: the engine asked for is not installed.
            StoreError: the job could not be stored; it was not accepted.
        """

    async def submit_batch(self, batch: Sequence[Mapping[str, Any]], source: Source) -> list[Accepted]:
        """Submit several requests in one transaction: all are accepted, or none.

        Raises:
            RequestError: its problems name the request's number, from 1.
        """

    async def job(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobNotFoundError: there is none of that id.
        """

    async def jobs_of(self, source: Source) -> list[Job]:
        """Return the jobs that came from this source (surface and ref), oldest first."""

    async def unfinished_in(self, session_path: str, limit: int) -> list[Job]:
        """Return the jobs that are to land in an Ardour session and have not ended, in the order of the queue."""

    async def queue(self) -> QueueStatus:
        """Return the queue's counts and what runs."""

    async def cancel(self, job_id: str) -> Job:
        """Cancel a pending or running job; the running one stops at its next step.

        Raises:
            JobNotFoundError: there is none of that id.
            JobStateError: it has ended already.
        """

    async def pause(self) -> None:
        """Start no more jobs until `resume`; the running one goes on."""

    async def resume(self) -> None:
        """Start jobs again."""

    def subscribe(self, listener: Callable[[JobUpdate], None]) -> Callable[[], None]:
        """Call `listener` in the event loop for every update; returns the way to stop that."""
