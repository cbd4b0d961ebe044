"""`Store`: the verbs of the job queue, each one transaction.

A job goes pending → processing → completed, failed or cancelled; a processing job whose worker or daemon died
goes back to pending, or, where all its takes were recorded already, on to completed. Every change of state or
step leaves an event row. Blocking calls: the daemon makes them in one thread of their own.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dgx_music.errors import JobNotFoundError, JobStateError
from dgx_music.jobs.database import Database, now
from dgx_music.jobs.deliveries import begin_delivery
from dgx_music.jobs.job import JobState, JobStep
from dgx_music.jobs.rows import TAKE_COLUMNS, file_row, job_of, takes_of
from dgx_music.jobs.tables import events, files, flags, jobs, takes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from dgx_music.jobs.job import Job, Source
    from dgx_music.library.take import Take
    from dgx_music.request import GenerationRequest

__all__ = ["NewJob", "Store"]


@dataclass(frozen=True)
class NewJob:
    """A validated request on its way in."""

    request: GenerationRequest
    source: Source
    engine: str
    """The engine that was chosen for it."""


class Store:
    """The queue in SQLite. Safe to use from several processes; claims never hand out a job twice."""

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, making it where there is none.

        Raises:
            StoreError: see `schema.connect`.
        """
        self.path = path
        self.database = Database(path)
        """For the records that have verbs of their own, such as `Deliveries`."""

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    # -- what changes the queue ------------------------------------------------------------------------------

    def add(self, new: Sequence[NewJob]) -> list[tuple[str, bool]]:
        """Store jobs in one transaction; return `(job id, known already)` for each.

        A request whose `request_id` is known, also from earlier in `new`, adds nothing.
        """
        answers: list[tuple[str, bool]] = []
        with self.database.write() as db:
            for item in new:
                request_id = item.request.request_id
                if request_id is not None:
                    known = db.scalar(sa.select(jobs.c.id).where(jobs.c.request_id == request_id))
                    if known is not None:
                        answers.append((known, True))
                        continue
                job_id = f"gen_{secrets.token_hex(6)}"
                db.execute(
                    sa.insert(jobs).values(
                        id=job_id,
                        request_id=request_id,
                        source_surface=item.source.surface,
                        source_ref=item.source.ref,
                        state=JobState.PENDING,
                        step=JobStep.QUEUED,
                        progress=0.0,
                        priority=item.request.priority,
                        engine=item.engine,
                        audio_s=float(item.request.length_exact_s) * item.request.takes,
                        request=item.request.model_dump_json(),
                        attempts=0,
                        cancel_asked=0,
                        created_at=now(),
                    )
                )
                _event(
                    db, job_id, "accepted", JobState.PENDING, JobStep.QUEUED, 0, surface=item.source.surface
                )
                answers.append((job_id, False))
        return answers

    def claim(self, only: str | None = None, full: Collection[str] = ()) -> Job | None:
        """Take the next pending job (highest priority, then oldest) into processing, or return `None`.

        Args:
            only: take this job or none.
            full: engines that have no room, or must not start any; their jobs are passed over.
        """
        queue = jobs.alias("queue")
        wanted = sa.select(queue.c.seq).where(queue.c.state == JobState.PENDING)
        if only is not None:
            wanted = wanted.where(queue.c.id == only)
        if full:
            wanted = wanted.where(queue.c.engine.not_in(full))
        wanted = wanted.order_by(queue.c.priority.desc(), queue.c.seq).limit(1)
        with self.database.write(synced=False) as db:  # a power cut would only make it pending again
            row = db.execute(
                sa.update(jobs)
                .where(jobs.c.seq == wanted.scalar_subquery())
                .values(
                    state=JobState.PROCESSING,
                    step=JobStep.QUEUED,
                    progress=0.0,
                    attempts=jobs.c.attempts + 1,
                    started_at=now(),
                )
                .returning(jobs.c.id, jobs.c.attempts)
            ).one_or_none()
            if row is None:
                return None
            _event(db, row.id, "claimed", JobState.PROCESSING, JobStep.QUEUED, row.attempts)
            return self._get(db, row.id)

    def set_step(self, job_id: str, step: JobStep, progress: float) -> None:
        """Note that a processing job has come to another step."""
        with self.database.write(synced=False) as db:
            row = db.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == JobState.PROCESSING)
                .values(step=step, progress=progress)
                .returning(jobs.c.attempts)
            ).one_or_none()
            if row is not None:
                _event(db, job_id, "step", JobState.PROCESSING, step, row.attempts)

    def record_takes(self, job_id: str, made: Sequence[Take]) -> bool:
        """Write down all takes of a processing job before their files are published; False if it was cancelled.

        From here on the job completes, whatever dies: its files lie finished in staging, and their final
        names are known.
        """
        with self.database.write() as db:
            row = db.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
            if row.state != JobState.PROCESSING or row.cancel_asked:
                return False
            _forget_takes(db, job_id)
            for take in made:
                data = {name: getattr(take, name) for name in TAKE_COLUMNS}
                take_id = db.scalar(sa.insert(takes).values(job_id=job_id, **data).returning(takes.c.id))
                for file in take.files:
                    db.execute(sa.insert(files).values(take_id=take_id, **file_row(file)))
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(step=JobStep.SAVING, progress=1.0))
            _event(
                db,
                job_id,
                "takes_recorded",
                JobState.PROCESSING,
                JobStep.SAVING,
                row.attempts,
                takes=len(made),
            )
            return True

    def complete(self, job_id: str, session_path: str | None, processing_s: float | None) -> Job:
        """End a processing job whose takes are published; where it has a session to land in, its delivery begins.

        Args:
            job_id: the job.
            session_path: the session that was written with them.
            processing_s: what it cost its engine: the time that it took, divided at each moment by the number of jobs
                that the engine worked on; without loading models. `None` where it is not known.
        """
        return self._end(
            job_id, JobState.COMPLETED, JobStep.COMPLETED, progress=1.0, session_path=session_path,
            processing_s=processing_s,
        )  # fmt: skip

    def fail(self, job_id: str, code: str, message: str) -> Job:
        """End a processing job with the reason why it could not be done."""
        return self._end(job_id, JobState.FAILED, JobStep.FAILED, error_code=code, error_message=message)

    def cancelled(self, job_id: str) -> Job:
        """End a processing job that was asked to stop and has stopped."""
        return self._end(job_id, JobState.CANCELLED, JobStep.CANCELLED)

    def requeue(self, job_id: str, reason: str) -> Job:
        """Put a processing job whose takes are not recorded back into its place in the queue.

        One that was asked to stop is cancelled instead. One in any other state, or with its takes recorded,
        is left as it is.
        """
        with self.database.write() as db:
            job = self._get(db, job_id)
            if job.state is not JobState.PROCESSING or job.takes:
                return job
            state, step = JobState.PENDING, JobStep.QUEUED
            values: dict[str, Any] = {"started_at": None}
            if job.cancel_asked:
                state, step = JobState.CANCELLED, JobStep.CANCELLED
                values = {"finished_at": now()}
            where = jobs.c.id == job_id
            db.execute(sa.update(jobs).where(where).values(state=state, step=step, progress=0.0, **values))
            kind = "cancelled" if job.cancel_asked else "requeued"
            _event(db, job_id, kind, state, step, job.attempts, reason=reason)
            return self._get(db, job_id)

    def forget_takes(self, job_id: str) -> None:
        """Drop the recorded takes of a processing job whose files are gone, so that it can be requeued."""
        with self.database.write() as db:
            _forget_takes(db, job_id)

    def ask_cancel(self, job_id: str) -> Job:
        """Cancel a pending job at once, or mark a processing one to be stopped.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: the job has ended, or is past the point where it can be stopped.
        """
        with self.database.write() as db:
            job = self._get(db, job_id)
            if job.state is JobState.CANCELLED:
                return job  # asked twice, as a resent datagram does
            if job.state is JobState.PENDING:
                values = {"state": JobState.CANCELLED, "step": JobStep.CANCELLED, "finished_at": now()}
                db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**values))
                _event(db, job_id, "cancelled", JobState.CANCELLED, JobStep.CANCELLED, job.attempts)
            elif job.state is JobState.PROCESSING and job.step is not JobStep.SAVING:
                db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(cancel_asked=1))
                _event(db, job_id, "cancel_asked", job.state, job.step, job.attempts)
            else:
                state = "being saved" if job.state is JobState.PROCESSING else job.state
                raise JobStateError(f"{job_id} is {state}; only pending and running jobs can be cancelled")
            return self._get(db, job_id)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the database, so that it doesn't grow for months."""
        self.database.checkpoint()

    def set_flag(self, name: str, value: str) -> None:
        """Remember a switch of the queue, such as `paused`, across restarts."""
        with self.database.write() as db:
            db.execute(sa.delete(flags).where(flags.c.name == name))
            db.execute(sa.insert(flags).values(name=name, value=value))

    def note_loading(self, engine: str, model: str, seconds: float) -> None:
        """Remember how long a model took to load."""
        self.set_flag(_loading_flag(engine, model), f"{seconds:.3f}")

    # -- what only looks -------------------------------------------------------------------------------------

    def flag(self, name: str) -> str | None:
        """Return a switch's value, or `None` where it was never set."""
        with self.database.read() as db:
            value: str | None = db.scalar(sa.select(flags.c.value).where(flags.c.name == name))
            return value

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobNotFoundError: there is none of that id.
        """
        with self.database.read() as db:
            return self._get(db, job_id)

    def jobs_of(self, source: Source) -> list[Job]:
        """Return the jobs that came from one source, oldest first."""
        where = (jobs.c.source_surface == source.surface, jobs.c.source_ref == source.ref)
        with self.database.read() as db:
            return self._jobs(db, sa.select(jobs).where(*where).order_by(jobs.c.seq))

    def processing(self) -> list[Job]:
        """Return the jobs that are in processing, with takes where those were recorded already."""
        with self.database.read() as db:
            wanted = sa.select(jobs).where(jobs.c.state == JobState.PROCESSING).order_by(jobs.c.seq)
            return self._jobs(db, wanted, recorded=True)

    def unfinished_of_session(self, paths: Sequence[str], limit: int) -> list[Job]:
        """Return the jobs that are to land in a session and have not ended, in the order of the queue.

        Args:
            paths: the names of the session's folder; slashes at their ends do not count.
            limit: at most so many.
        """
        path = sa.func.rtrim(sa.func.json_extract(jobs.c.request, "$.session.path"), "/")
        wanted = sa.select(jobs).where(
            jobs.c.state.in_((JobState.PROCESSING, JobState.PENDING)),
            path.in_([name.rstrip("/") for name in paths]),
        )
        order = (jobs.c.state == JobState.PENDING, jobs.c.priority.desc(), jobs.c.seq)
        with self.database.read() as db:
            return self._jobs(db, wanted.order_by(*order).limit(limit))

    def recent(self, limit: int, state: JobState | None = None) -> list[Job]:
        """Return the newest jobs first."""
        wanted = sa.select(jobs).order_by(jobs.c.seq.desc()).limit(limit)
        if state is not None:
            wanted = wanted.where(jobs.c.state == state)
        with self.database.read() as db:
            return self._jobs(db, wanted)

    def pending(self, limit: int) -> list[Job]:
        """Return the jobs that wait, in the order in which they will run."""
        wanted = sa.select(jobs).where(jobs.c.state == JobState.PENDING)
        with self.database.read() as db:
            return self._jobs(db, wanted.order_by(jobs.c.priority.desc(), jobs.c.seq).limit(limit))

    def unknown(self, new: Sequence[NewJob]) -> int:
        """Return how many of these requests `add` would make a new job of."""
        ids = [item.request.request_id for item in new]
        named = {request_id for request_id in ids if request_id is not None}
        with self.database.read() as db:
            known = sum(
                db.scalar(sa.select(sa.func.count()).where(jobs.c.request_id == request_id)) or 0
                for request_id in named
            )
        return ids.count(None) + len(named) - known

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        with self.database.read() as db:
            found = db.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)).all()
            counted = {JobState(state): number for state, number in found}
        return {state: counted.get(state, 0) for state in JobState}

    def ahead(self, job_id: str) -> tuple[int, float]:
        """Return how many jobs go before this one, and how much audio its engine makes until it is done.

        That is the audio of all takes of the jobs before it that its engine makes, and its own, in seconds.
        """
        with self.database.read() as db:
            own = db.execute(
                sa.select(jobs.c.seq, jobs.c.priority, jobs.c.engine).where(jobs.c.id == job_id)
            ).one_or_none()
            if own is None:
                return 0, 0.0
            of_engine = sa.case((jobs.c.engine == own.engine, jobs.c.audio_s), else_=0.0)
            audio = sa.func.coalesce(sa.func.sum(of_engine), 0.0)
            before = sa.or_(
                jobs.c.state == JobState.PROCESSING,
                sa.and_(
                    jobs.c.state == JobState.PENDING,
                    sa.or_(
                        jobs.c.priority > own.priority,
                        sa.and_(jobs.c.priority == own.priority, jobs.c.seq <= own.seq),
                    ),
                ),
            )
            row = db.execute(sa.select(sa.func.count(), audio).where(before)).one()
            return max(0, row[0] - 1), float(row[1])

    def loading_s(self, engine: str, model: str) -> float:
        """Return how long a model took to load last time, in seconds; 0 where it never was."""
        return float(self.flag(_loading_flag(engine, model)) or 0.0)

    def seconds_per_audio_second(self, engine: str) -> float | None:
        """Return what a second of audio has cost on this machine, over the engine's last 20 jobs.

        A job's cost is what `complete` was told: its share of the time in which its engine worked.
        """
        last = (
            sa.select(jobs.c.processing_s, jobs.c.audio_s)
            .where(
                jobs.c.state == JobState.COMPLETED, jobs.c.engine == engine, jobs.c.processing_s.is_not(None)
            )
            .order_by(jobs.c.seq.desc())
            .limit(20)
            .subquery()
        )
        with self.database.read() as db:
            row = db.execute(sa.select(sa.func.sum(last.c.processing_s), sa.func.sum(last.c.audio_s))).one()
        return float(row[0] / row[1]) if row[1] else None

    def events_of(self, job_id: str) -> list[dict[str, Any]]:
        """Return a job's events, oldest first, as plain data."""
        with self.database.read() as db:
            rows = db.execute(
                sa.select(events).where(events.c.job_id == job_id).order_by(events.c.id)
            ).mappings()
            return [{**row, "detail": json.loads(row["detail"])} for row in rows]

    # -- the inside ------------------------------------------------------------------------------------------

    def _end(self, job_id: str, state: JobState, step: JobStep, **values: object) -> Job:
        with self.database.write() as db:
            row = db.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == JobState.PROCESSING)
                .values(state=state, step=step, finished_at=now(), **values)
                .returning(jobs.c.attempts)
            ).one_or_none()
            if row is None:
                raise JobStateError(f"{job_id} is not being processed, so it cannot become {state}")
            if state is not JobState.COMPLETED:
                _forget_takes(db, job_id)
            detail = {name: value for name, value in values.items() if name.startswith("error")}
            _event(db, job_id, state.value, state, step, row.attempts, **detail)
            job = self._get(db, job_id)
            if state is JobState.COMPLETED and job.request.session is not None:
                begin_delivery(db, job_id, job.request.session.path)
            return job

    def _get(self, db: sa.Connection, job_id: str) -> Job:
        found = self._jobs(db, sa.select(jobs).where(jobs.c.id == job_id), recorded=True)
        if not found:
            raise JobNotFoundError(f"there is no job {job_id!r}; 'dgx-music history' lists the jobs")
        return found[0]

    def _jobs(self, db: sa.Connection, wanted: sa.Select[Any], *, recorded: bool = False) -> list[Job]:
        rows = db.execute(wanted).all()
        with_takes = [row.id for row in rows if recorded or row.state == JobState.COMPLETED]
        made = takes_of(db, with_takes)
        return [job_of(row, tuple(made.get(row.id, ()))) for row in rows]


def _loading_flag(engine: str, model: str) -> str:
    return f"loading_s of {engine} {model}"


def _event(
    db: sa.Connection, job_id: str, kind: str, state: JobState, step: JobStep, attempt: int, **detail: object
) -> None:
    db.execute(
        sa.insert(events).values(
            job_id=job_id,
            at=now(),
            kind=kind,
            state=state,
            step=step,
            attempt=attempt,
            detail=json.dumps(detail),
        )
    )


def _forget_takes(db: sa.Connection, job_id: str) -> None:
    db.execute(sa.delete(takes).where(takes.c.job_id == job_id))
