"""The job store: every request, every change of state, every finished take, in SQLite."""

from __future__ import annotations

from dgx_music.jobs.job import Accepted, Job, JobState, JobStep, JobUpdate, QueueStatus, Source, TakePreview

__all__ = ["Accepted", "Job", "JobState", "JobStep", "JobUpdate", "QueueStatus", "Source", "TakePreview"]
