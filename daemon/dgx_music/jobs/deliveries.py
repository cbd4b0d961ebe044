"""`Deliveries`: what became of a finished job's way into a running Ardour.

A delivery waits, is offered in the session's spool, and then landed (its regions lie in the session), saved (in a
session file on disk) or removed again; or it failed, with the reason. It begins in the transaction that completes its
job, so that no finished take is ever forgotten on the way. Each verb here may be carried out twice, for the one who
calls it may die before it has noted that it was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from dgx_music.errors import JobNotFoundError, JobStateError
from dgx_music.jobs.database import now
from dgx_music.jobs.job import JobState
from dgx_music.jobs.tables import deliveries, jobs
from dgx_music.request import SessionTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.jobs.database import Database

__all__ = ["OPEN", "Deliveries", "Delivery", "DeliveryState", "begin_delivery", "session_folder"]


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    """It is to be offered."""
    OFFERED = "offered"
    """It lies in the spool, or Ardour has taken it and not yet said how it went."""
    LANDED = "landed"
    """Its regions lie in the session, which has not been saved since."""
    SAVED = "saved"
    REMOVED = "removed"
    FAILED = "failed"


OPEN = (DeliveryState.WAITING, DeliveryState.OFFERED)
"""Nothing is known yet of how these went."""


@dataclass(frozen=True)
class Delivery:
    """One way of a job's takes into a session. Times are ISO 8601 in UTC."""

    id: str
    """The job's id, a hyphen, and a number from 1."""
    job_id: str
    session_path: str
    """The session's folder, as `session_folder` gives it."""
    target: SessionTarget | None
    """Where it is to land, where that is not what the job's request says."""
    state: DeliveryState
    offers: int
    """How often it was offered; the newest offer has this number."""
    code: str
    """A word for what went wrong, empty where nothing did."""
    message: str
    """What went wrong or is to be known, in words."""
    snapshot: str
    """The name under which the session was saved, where that is known."""
    created_at: str
    updated_at: str


_COLUMNS = [deliveries.c[field.name] for field in fields(Delivery)]


def session_folder(path: str) -> str:
    """Return the one name of a session's folder: without links, and without slashes at its end.

    Ardour calls a session by this name, except one that it has just made, which keeps the name as it was typed until
    it is opened again.
    """
    try:
        return os.path.realpath(path) if path.startswith("/") else path.rstrip("/")
    except ValueError:  # a name that no file can have
        return path.rstrip("/")


def begin_delivery(
    db: sa.Connection, job_id: str, session_path: str, target: SessionTarget | None = None
) -> str:
    """Add a delivery that waits, inside the caller's transaction; return its id."""
    numbers = sa.select(sa.func.count()).where(deliveries.c.job_id == job_id)
    delivery = f"{job_id}-{(db.scalar(numbers) or 0) + 1}"
    at = now()
    db.execute(
        sa.insert(deliveries).values(
            id=delivery,
            job_id=job_id,
            session_path=session_folder(session_path),
            target="" if target is None else target.model_dump_json(),
            state=DeliveryState.WAITING,
            offers=0,
            code="",
            message="",
            snapshot="",
            created_at=at,
            updated_at=at,
        )
    )
    return delivery


class Deliveries:
    """The verbs of deliveries, each one transaction. Blocking, as the store's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- what changes them -----------------------------------------------------------------------------------

    def add(
        self, job_id: str, session_path: str | None = None, *, target: SessionTarget | None = None
    ) -> Delivery:
        """Have a completed job delivered once more, as a delivery of its own.

        Args:
            job_id: the job.
            session_path: another session than the one that its request names.
            target: another place than the one that its request names, in whatever session.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: the job is not completed, or names no session while none is given.
        """
        with self._database.write() as db:
            asked = sa.func.json_extract(jobs.c.request, "$.session.path")
            row = db.execute(sa.select(jobs.c.state, asked).where(jobs.c.id == job_id)).one_or_none()
            if row is None:
                raise JobNotFoundError(f"there is no job {job_id!r}; 'dgx-music history' lists the jobs")
            if row[0] != JobState.COMPLETED:
                raise JobStateError(f"{job_id} is {row[0]}; only a completed job can be delivered")
            path = session_path or (target.path if target else row[1])
            if not path:
                raise JobStateError(f"{job_id} names no Ardour session; name the session's folder")
            return _one(db, begin_delivery(db, job_id, path, target))

    def offered(self, delivery: str, offer: int) -> None:
        """Note that a delivery is put up; called before it is."""
        self._change(delivery, OPEN, state=DeliveryState.OFFERED, offers=offer, code="", message="")

    def offer_again(self, delivery: str, offer: int, code: str, message: str) -> bool:
        """Let a delivery whose offer went wrong wait for another; False where that is known, or outdated."""
        where = (deliveries.c.offers == offer,)
        return self._change(
            delivery, (DeliveryState.OFFERED,), *where,
            state=DeliveryState.WAITING, code=code, message=message,
        )  # fmt: skip

    def landed(self, delivery: str, snapshot: str = "", message: str = "") -> bool:
        """Note that a delivery's regions lie in the session, whatever was believed before; False if known."""
        before = (*OPEN, DeliveryState.FAILED)
        values: dict[str, object] = {"snapshot": snapshot} if snapshot else {}
        return self._change(delivery, before, state=DeliveryState.LANDED, code="", message=message, **values)

    def saved(self, session_path: str, delivery: str | None = None, snapshot: str = "") -> int:
        """Note that the session was saved with a delivery in it, or with all that landed; return how many.

        One that is named was found in the session's file, so that it is saved also where it is fetched meanwhile.
        """
        where = [deliveries.c.session_path == session_path, deliveries.c.state == DeliveryState.LANDED]
        if delivery is not None:
            before = (*OPEN, DeliveryState.LANDED)
            where[1:] = [deliveries.c.id == delivery, deliveries.c.state.in_(before)]
        with self._database.write() as db:
            done = db.execute(
                sa.update(deliveries)
                .where(*where)
                .values(state=DeliveryState.SAVED, snapshot=snapshot, updated_at=now())
                .returning(deliveries.c.id)
            )
            return len(done.all())

    def removed(self, delivery: str, message: str = "") -> bool:
        """Note that the user had a delivery's regions taken away again; False if known."""
        before = tuple(state for state in DeliveryState if state is not DeliveryState.REMOVED)
        return self._change(delivery, before, state=DeliveryState.REMOVED, code="", message=message)

    def failed(self, delivery: str, code: str, message: str) -> bool:
        """Note that a delivery cannot be made, and why; False where it has landed or failed already."""
        return self._change(delivery, OPEN, state=DeliveryState.FAILED, code=code, message=message)

    def remark(self, delivery: str, code: str, message: str) -> bool:
        """Write down what is in a delivery's way, without changing where it stands; False if it is known."""
        news = sa.or_(deliveries.c.code != code, deliveries.c.message != message)
        return self._change(delivery, tuple(DeliveryState), news, code=code, message=message)

    def fetch(self, session_path: str) -> int:
        """Let wait again, since the user wants it, what landed in a session and was never saved; return how many.

        Likewise what failed only because Ardour came to its end meanwhile, or because its import was cancelled.
        """
        lost = sa.or_(
            deliveries.c.state == DeliveryState.LANDED,
            sa.and_(deliveries.c.state == DeliveryState.FAILED, deliveries.c.code.in_(("crashed", "import"))),
        )
        with self._database.write() as db:
            done = db.execute(
                sa.update(deliveries)
                .where(deliveries.c.session_path == session_path, lost)
                .values(state=DeliveryState.WAITING, code="", message="", updated_at=now())
                .returning(deliveries.c.id)
            )
            return len(done.all())

    def session_moved(self, before: str, now_at: str) -> None:
        """Call a session by another path from now on, as where its folder was moved and a link left in its place."""
        where = deliveries.c.session_path == before.rstrip("/")
        with self._database.read() as db:
            if db.scalar(sa.select(deliveries.c.seq).where(where).limit(1)) is None:
                return
        with self._database.write() as db:
            db.execute(sa.update(deliveries).where(where).values(session_path=now_at))

    # -- what only looks -------------------------------------------------------------------------------------

    def get(self, delivery: str) -> Delivery | None:
        """Return a delivery, or `None` where there is none of that id."""
        with self._database.read() as db:
            return next(iter(_all(db, _select().where(deliveries.c.id == delivery))), None)

    def due(self, session_path: str) -> list[Delivery]:
        """Return a session's deliveries that wait or are offered, oldest first."""
        wanted = _select().where(deliveries.c.session_path == session_path, deliveries.c.state.in_(OPEN))
        with self._database.read() as db:
            return _all(db, wanted.order_by(deliveries.c.seq))

    def has_unsaved(self, session_path: str) -> bool:
        """Return whether anything has landed in a session and was not yet seen saved."""
        state = deliveries.c.state == DeliveryState.LANDED
        wanted = sa.select(deliveries.c.seq).where(deliveries.c.session_path == session_path, state).limit(1)
        with self._database.read() as db:
            return db.scalar(wanted) is not None

    def sessions(self, states: Sequence[DeliveryState]) -> list[str]:
        """Return the sessions that have deliveries in one of these states."""
        wanted = sa.select(deliveries.c.session_path).where(deliveries.c.state.in_(states)).distinct()
        with self._database.read() as db:
            return list(db.scalars(wanted))

    def recent(self, limit: int, session_path: str | None = None) -> list[Delivery]:
        """Return the newest deliveries first, of all sessions or of one."""
        wanted = _select().order_by(deliveries.c.seq.desc()).limit(limit)
        if session_path is not None:
            wanted = wanted.where(deliveries.c.session_path == session_folder(session_path))
        with self._database.read() as db:
            return _all(db, wanted)

    def troubled(self, limit: int) -> list[Delivery]:
        """Return the deliveries that failed or have something in their way, newest first."""
        trouble = sa.or_(deliveries.c.state == DeliveryState.FAILED, deliveries.c.code != "")
        wanted = _select().where(trouble).order_by(deliveries.c.seq.desc()).limit(limit)
        with self._database.read() as db:
            return _all(db, wanted)

    # -- the inside ------------------------------------------------------------------------------------------

    def _change(
        self,
        delivery: str,
        before: Sequence[DeliveryState],
        *where: sa.ColumnElement[bool],
        **values: object,
    ) -> bool:
        with self._database.write() as db:
            done = db.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == delivery, deliveries.c.state.in_(before), *where)
                .values(**values, updated_at=now())
                .returning(deliveries.c.id)
            )
            return done.one_or_none() is not None


def _select() -> sa.Select[Any]:
    return sa.select(*_COLUMNS)


def _one(db: sa.Connection, delivery: str) -> Delivery:
    return _all(db, _select().where(deliveries.c.id == delivery))[0]


def _all(db: sa.Connection, wanted: sa.Select[Any]) -> list[Delivery]:
    return [_delivery(row) for row in db.execute(wanted).mappings()]


def _delivery(row: sa.RowMapping) -> Delivery:
    target = SessionTarget.model_validate_json(row["target"]) if row["target"] else None
    return Delivery(**{**row, "state": DeliveryState(row["state"]), "target": target})
