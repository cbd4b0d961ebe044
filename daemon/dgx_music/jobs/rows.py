"""Turns the store's rows into jobs and takes."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dgx_music.jobs.job import Job, JobState, JobStep, Source
from dgx_music.jobs.tables import files, takes
from dgx_music.library.take import StagedFile, Take
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TAKE_COLUMNS", "file_row", "job_of", "takes_of"]

TAKE_COLUMNS = tuple(field.name for field in fields(Take) if field.name != "files")
"""The fields of a `Take` that are columns of its row; its files have rows of their own."""
_FILE_COLUMNS = tuple(field.name for field in fields(StagedFile))


def takes_of(db: sa.Connection, job_ids: Sequence[str]) -> dict[str, list[Take]]:
    """Return the recorded takes of these jobs, in order, with their files."""
    made: dict[str, list[Take]] = {}
    for start in range(0, len(job_ids), 500):  # SQLite bounds the number of bound values
        part = job_ids[start : start + 500]
        rows = db.execute(
            sa.select(takes).where(takes.c.job_id.in_(part)).order_by(takes.c.job_id, takes.c.index)
        ).all()
        by_take: dict[int, list[StagedFile]] = {}
        found = sa.select(files).join(takes, takes.c.id == files.c.take_id).where(takes.c.job_id.in_(part))
        for row in db.execute(found.order_by(files.c.id)).mappings():
            by_take.setdefault(row["take_id"], []).append(_file_of(row))
        for take_row in rows:
            data = {name: take_row._mapping[name] for name in TAKE_COLUMNS}  # noqa: SLF001 - SQLAlchemy's public name
            data["neural"] = bool(data["neural"])
            made.setdefault(take_row.job_id, []).append(
                Take(**data, files=tuple(by_take.get(take_row.id, ())))
            )
    return made


def file_row(file: StagedFile) -> dict[str, Any]:
    """Return a file's columns; the hashes of its channels are a JSON list, or empty where there are none."""
    return {**asdict(file), "pcm_sha256": json.dumps(file.pcm_sha256) if file.pcm_sha256 else ""}


def _file_of(row: sa.RowMapping) -> StagedFile:
    values = {name: row[name] for name in _FILE_COLUMNS}
    return StagedFile(**{**values, "pcm_sha256": tuple(json.loads(row["pcm_sha256"] or "[]"))})


def job_of(row: sa.Row[Any], made: tuple[Take, ...]) -> Job:
    """Return the job of a row of `jobs`, with the takes that belong to it."""
    return Job(
        id=row.id,
        request=GenerationRequest.model_validate_json(row.request),
        source=Source(row.source_surface, row.source_ref),
        state=JobState(row.state),
        step=JobStep(row.step),
        progress=row.progress,
        engine=row.engine,
        attempts=row.attempts,
        error_code=row.error_code,
        error_message=row.error_message,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        session_path=row.session_path,
        cancel_asked=bool(row.cancel_asked),
        takes=made,
    )
