"""A real `Door` that keeps its jobs in memory: validates as the daemon does, finishes jobs when told to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dgx_music.errors import JobNotFoundError, JobStateError, RequestError, StoreError
from dgx_music.jobs import (
    Accepted,
    Job,
    JobState,
    JobStep,
    JobUpdate,
    QueueStatus,
    Source,
    TakePreview,
)
from dgx_music.library.take import StagedFile, Take
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NOW = "2026-11-22T12:00:00Z"


def make_take(index: int, seed: int, *, final: str = "", engine: str = "sketch") -> Take:
    path = final or f"2026/11/22/take_{index}.wav"
    return Take(
        index=index,
        seed=seed,
        engine=engine,
        engine_version="1",
        neural=False,
        model="",
        model_hash="",
        files=(StagedFile(f"/staging/{index}", path, "0" * 64, 1_000, None),),
        frames=96_000,
        channels=2,
        sample_rate_hz=48_000,
        bit_depth=24,
        loudness_lufs=-16.0,
        true_peak_dbtp=-1.5,
        sample_peak_dbfs=-1.7,
        target_lufs=-16.0,
        level_outcome="on_target",
        level_remark="",
        bpm=93.5,
        meter="4/4",
        key="A minor",
        tempo_measured_bpm=93.4,
        tempo_confidence=0.9,
        key_measured="A minor",
        key_confidence=0.8,
        generation_s=1.0,
        finishing_s=0.5,
    )


class MemoryDoor:
    """Stores jobs in a dict. `broken` makes submissions fail as a full disk would."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.paused = False
        self.broken = False
        self.submit_calls = 0
        self.batch_calls: list[int] = []
        self._by_request_id: dict[str, str] = {}
        self._by_source: dict[Source, list[str]] = {}
        self._listeners: list[Callable[[JobUpdate], None]] = []

    async def submit(self, fields: Mapping[str, Any], source: Source) -> Accepted:
        self.submit_calls += 1
        return self._store(GenerationRequest.from_fields(fields), source)

    async def submit_batch(self, batch: Sequence[Mapping[str, Any]], source: Source) -> list[Accepted]:
        self.batch_calls.append(len(batch))
        requests = []
        for number, fields in enumerate(batch, start=1):
            try:
                requests.append(GenerationRequest.from_fields(fields))
            except RequestError as err:
                raise RequestError([f"request {number}: {problem}" for problem in err.problems]) from err
        return [self._store(request, source) for request in requests]

    def _store(self, request: GenerationRequest, source: Source) -> Accepted:
        if self.broken:
            raise StoreError("the disk is full")
        known = self._by_request_id.get(request.request_id or "")
        if known:
            return Accepted(known, request.request_id or "", 0, 0.0, "sketch", duplicate=True)
        job_id = f"gen_{len(self.jobs):012x}"
        self._by_request_id[request.request_id or job_id] = job_id
        self._by_source.setdefault(source, []).append(job_id)
        self.jobs[job_id] = Job(
            id=job_id,
            request=request,
            source=source,
            state=JobState.PENDING,
            step=JobStep.QUEUED,
            progress=0.0,
            engine="sketch",
            attempts=0,
            error_code=None,
            error_message=None,
            created_at=_NOW,
            started_at=None,
            finished_at=None,
            session_path=None,
            takes=(),
            cancel_asked=False,
        )
        return Accepted(
            job_id, request.request_id or job_id, len(self.jobs) - 1, 1.5, "sketch", duplicate=False
        )

    async def job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise JobNotFoundError(f"no job has the id {job_id!r}")
        return self.jobs[job_id]

    async def jobs_of(self, source: Source) -> list[Job]:
        return [self.jobs[job_id] for job_id in self._by_source.get(source, ())]

    async def unfinished_in(self, session_path: str, limit: int) -> list[Job]:
        wanted = [
            job
            for job in self.jobs.values()
            if not job.state.final and job.request.session and job.request.session.path == session_path
        ]
        return wanted[:limit]

    async def queue(self) -> QueueStatus:
        states = [job.state for job in self.jobs.values()]
        running = tuple(job for job in self.jobs.values() if job.state is JobState.PROCESSING)
        return QueueStatus(
            paused=self.paused,
            pending=states.count(JobState.PENDING),
            processing=len(running),
            completed=states.count(JobState.COMPLETED),
            failed=states.count(JobState.FAILED),
            cancelled=states.count(JobState.CANCELLED),
            running=running,
        )

    async def cancel(self, job_id: str) -> Job:
        job = await self.job(job_id)
        if job.state.final:
            raise JobStateError(f"{job_id} is {job.state} already")
        return self._update(job_id, "cancelled", state=JobState.CANCELLED, step=JobStep.CANCELLED)

    async def pause(self) -> None:
        self.paused = True

    async def resume(self) -> None:
        self.paused = False

    def subscribe(self, listener: Callable[[JobUpdate], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def progress(self, job_id: str, fraction: float) -> None:
        self._update(
            job_id, "progress", state=JobState.PROCESSING, step=JobStep.GENERATING, progress=fraction
        )

    def preview(self, job_id: str, preview: TakePreview) -> None:
        job = self.jobs[job_id] = replace(self.jobs[job_id], state=JobState.PROCESSING)
        for listener in list(self._listeners):
            listener(JobUpdate(job, "preview", preview))

    def complete(self, job_id: str, *, final: str = "") -> None:
        request = self.jobs[job_id].request
        takes = tuple(
            make_take(index, request.seed + index, final=final and f"{final}_{index}.wav")
            for index in range(request.takes)
        )
        self._update(
            job_id, "completed", state=JobState.COMPLETED, step=JobStep.COMPLETED, progress=1.0, takes=takes
        )

    def fail(self, job_id: str, code: str = "engine", message: str = "the model ran out of memory") -> None:
        self._update(
            job_id,
            "failed",
            state=JobState.FAILED,
            step=JobStep.FAILED,
            error_code=code,
            error_message=message,
        )

    def _update(self, job_id: str, kind: str, **changes: Any) -> Job:
        job = self.jobs[job_id] = replace(self.jobs[job_id], **changes)
        for listener in list(self._listeners):
            listener(JobUpdate(job, kind))
        return job
