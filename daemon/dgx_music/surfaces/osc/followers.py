"""Tells senders what becomes of their jobs: throttled progress, previews, then the outcome."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from dgx_music.surfaces.osc.replies import Endpoint, Replies
from dgx_music.surfaces.osc.routes import PREVIEW, PROGRESS

if TYPE_CHECKING:
    from dgx_music.jobs import Job, JobUpdate

__all__ = ["Followers"]

_PROGRESS_INTERVAL_S = 0.1
_MAX_FOLLOWED = 10_000


class Followers:
    """Who wants to hear of which job.

    A job's source names its own sender, which is stored with the job and so outlives a restart. Others follow
    by sending its request_id again or by cancelling it; they are kept in memory, the newest jobs first.
    """

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._others: OrderedDict[str, set[Endpoint]] = OrderedDict()
        self._sent_at: dict[str, float] = {}
        self._held_back: dict[str, tuple[Job, asyncio.TimerHandle]] = {}

    def add(self, job_id: str, endpoint: Endpoint) -> None:
        """Tell this endpoint too."""
        self._others.setdefault(job_id, set()).add(endpoint)
        while len(self._others) > _MAX_FOLLOWED:
            self._others.popitem(last=False)

    def remove(self, job_id: str, endpoint: Endpoint) -> None:
        """Tell this endpoint no more, unless it is the job's own sender."""
        endpoints = self._others.get(job_id, set())
        endpoints.discard(endpoint)
        if not endpoints:
            self._others.pop(job_id, None)

    def on_update(self, update: JobUpdate) -> None:
        """Pass an update on to everybody who follows the job."""
        job = update.job
        if update.preview is not None:
            for endpoint in self._endpoints(job):
                self._replies.send(
                    endpoint,
                    PREVIEW,
                    job.id,
                    update.preview.take,
                    update.preview.path,
                    update.preview.seconds,
                )
            return
        if not job.state.final:
            self._progress(job)
            return
        held_back = self._held_back.pop(job.id, None)
        if held_back:
            held_back[1].cancel()
            self._send_progress(held_back[0])
        for endpoint in self._endpoints(job):
            self._replies.send_outcome(endpoint, job)
        self._sent_at.pop(job.id, None)
        self._others.pop(job.id, None)

    def close(self) -> None:
        """Send nothing more."""
        for _, timer in self._held_back.values():
            timer.cancel()
        self._held_back.clear()

    def _endpoints(self, job: Job) -> set[Endpoint]:
        found = set(self._others.get(job.id, ()))
        own = Endpoint.parse(job.source.ref) if job.source.surface == "osc" else None
        if own:
            found.add(own)
        return found

    def _progress(self, job: Job) -> None:
        if not self._endpoints(job):
            return
        held_back = self._held_back.pop(job.id, None)
        if held_back:
            held_back[1].cancel()
        loop = asyncio.get_running_loop()
        wait_s = self._sent_at.get(job.id, 0.0) + _PROGRESS_INTERVAL_S - loop.time()
        if wait_s <= 0:
            self._send_progress(job)
        else:
            self._held_back[job.id] = (job, loop.call_later(wait_s, self._release, job.id))

    def _release(self, job_id: str) -> None:
        job, _ = self._held_back.pop(job_id)
        self._send_progress(job)

    def _send_progress(self, job: Job) -> None:
        self._sent_at[job.id] = asyncio.get_running_loop().time()
        for endpoint in self._endpoints(job):
            self._replies.send(endpoint, PROGRESS, job.id, job.progress, job.step)
