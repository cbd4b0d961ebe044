"""`Desk`: carries out what Ardour's scripts ask and answers in their session's spool.

Nothing that is asked may hold the OSC listener up, so each ask has a task of its own; one that is sent again while it
is carried out is carried out once. Whatever goes wrong becomes the answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any, Protocol

from dgx_music.delivery.ardour.answers import refusal
from dgx_music.delivery.ardour.layout import is_safe_id
from dgx_music.errors import DgxMusicError, RequestError
from dgx_music.jobs import JobState, Source
from dgx_music.surfaces.ardour.asks import Again, Cancel, WhoMade, read_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from dgx_music.delivery.ardour.answers import Answers
    from dgx_music.delivery.ardour.courier import Courier
    from dgx_music.jobs import Accepted, Job, JobUpdate
    from dgx_music.surfaces.door import Door

__all__ = ["Desk", "Identify"]

_log = logging.getLogger(__name__)
_MAX_PATH = 4096
_MAX_ASKS = 200
_MAX_SHOWN_JOBS = 50
_MAX_SHOWN_DELIVERIES = 10
_IDENTIFYING_AT_ONCE = 2
"""Each one has a child process that reads audio."""


class Identify(Protocol):
    """Finds out which take the sources of a region are; `dgx_music.library.who_made.who_made` is the real one."""

    async def __call__(self, sources: object, session_path: str) -> Mapping[str, Any]:
        """Return `{"found": False}`, or `found`, `job_id` and what else is known.

        Raises:
            DgxMusicError: the sources may not be read, or cannot be.
        """


class Desk:
    """Answers scripts, one session's as well as another's."""

    def __init__(
        self, door: Door, courier: Courier, answers: Answers, *, identify: Identify, version: str
    ) -> None:
        self._door = door
        self._courier = courier
        self._answers = answers
        self._identify = identify
        self._version = version
        self._identifying = asyncio.Semaphore(_IDENTIFYING_AT_ONCE)
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._steps: dict[str, JobUpdate] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Hear how running jobs go on, for those who ask."""
        self._unsubscribe = self._door.subscribe(self._on_update)

    async def stop(self) -> None:
        """Answer nothing more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def settled(self) -> None:
        """Wait until everything that was asked is answered."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    # -- what comes in ---------------------------------------------------------------------------------------

    def ask(self, ask_id: str, session_path: str, command: str, arguments: str) -> None:
        """Carry out a command; the answer comes as a file, whatever it is.

        Raises:
            RequestError: there is nowhere to answer: the id or the session's path is none.
        """
        if not is_safe_id(ask_id):
            raise RequestError("ask_id: an id is 1 to 64 letters, digits, - or _")
        _check_path(session_path)
        self._begin(session_path, ask_id, self._answer(ask_id, session_path, command, arguments))

    def look(self, session_path: str) -> None:
        """See to a session's reports and deliveries.

        Raises:
            RequestError: that is no path.
        """
        _check_path(session_path)
        self._courier.look(session_path)

    def accepted(self, fields: Mapping[str, Any], accepted: Accepted) -> None:
        """Tell the script that asked for music, if it was one, what became of that."""
        session_path, ask_id = _asker(fields)
        if session_path is not None and ask_id is not None:
            self._begin(session_path, ask_id, self._tell_accepted(session_path, ask_id, accepted))

    def refused(self, fields: Mapping[str, Any], error: Exception) -> None:
        """Tell the script that asked for music, if it was one, why there will be none."""
        session_path, ask_id = _asker(fields)
        if session_path is not None and ask_id is not None:
            give = self._answers.give(session_path, ask_id, refusal(error))
            self._begin(session_path, ask_id, give)

    def _begin(self, session_path: str, ask_id: str, work: Coroutine[Any, Any, None]) -> None:
        key = (session_path, ask_id)
        if key in self._running or len(self._running) >= _MAX_ASKS:
            work.close()
            if key not in self._running:
                _log.warning("%d asks of Ardour are under way; one more is left out", len(self._running))
            return
        task = asyncio.create_task(work, name=f"ask {ask_id}")
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _answer(self, ask_id: str, session_path: str, command: str, arguments: str) -> None:
        try:
            said = await self._carry_out(ask_id, session_path, command, arguments)
        except DgxMusicError as err:
            said = refusal(err)
        except Exception as err:  # noqa: BLE001 - whoever asked waits for an answer
            _log.exception("Ardour's command %.100r failed", command)
            said = refusal(err)
        await self._answers.give(session_path, ask_id, said)

    # -- the commands ----------------------------------------------------------------------------------------

    async def _carry_out(
        self, ask_id: str, session_path: str, command: str, arguments: str
    ) -> dict[str, object]:
        asked = read_arguments(command, arguments)
        if isinstance(asked, Cancel):
            return await self._cancel(asked)
        if isinstance(asked, Again):
            return await self._again(ask_id, session_path, asked)
        if isinstance(asked, WhoMade):
            return {"ok": True, **await self._made(asked, session_path)}
        if command == "status":
            return await self._status(session_path)
        if command == "fetch":
            return {"ok": True, "offered_again": await self._courier.fetch(session_path)}
        return {"ok": True, "daemon": self._version, "pid": os.getpid()}

    async def _status(self, session_path: str) -> dict[str, object]:
        queue = await self._door.queue()
        jobs = await self._door.unfinished_in(session_path, _MAX_SHOWN_JOBS)
        deliveries = await self._courier.recent(session_path, _MAX_SHOWN_DELIVERIES)
        return {
            "ok": True,
            "daemon": self._version,
            "paused": queue.paused,
            "pending": queue.pending,
            "processing": queue.processing,
            "jobs": [self._shown(job) for job in jobs],
            "deliveries": [
                {
                    "delivery": delivery.id,
                    "job_id": delivery.job_id,
                    "prompt": prompt,
                    "state": delivery.state.value,
                    "problem": delivery.message or None,
                }
                for delivery, prompt in deliveries
            ],
        }

    def _shown(self, job: Job) -> dict[str, object]:
        update = self._steps.get(job.id)
        live = job if update is None or job.state is not JobState.PROCESSING else update.job
        return {
            "job_id": job.id,
            "prompt": job.request.prompt,
            "state": job.state.value,
            "step": live.step.value,
            "progress": live.progress,
            "takes": job.request.takes,
        }

    async def _cancel(self, asked: Cancel) -> dict[str, object]:
        job = await self._door.cancel(asked.job_id)
        return {"ok": True, "job_id": job.id, "state": job.state.value}

    async def _made(self, asked: WhoMade, session_path: str) -> Mapping[str, Any]:
        async with self._identifying:
            return await self._identify(asked.sources, session_path)

    async def _again(self, ask_id: str, session_path: str, asked: Again) -> dict[str, object]:
        made = await self._made(asked, session_path)
        if not made.get("found"):
            raise RequestError("this audio was not made here, so nobody knows how to make it again")
        job = await self._door.job(str(made["job_id"]))
        session = {**asked.session}
        if asked.replace is not None:
            session["replace"] = asked.replace
        fields = job.request.model_dump(
            exclude_none=True, exclude={"seed", "session", "make_session", "request_id", "priority"}
        )
        # Sent twice it is done once, since the ask's id is the request's.
        fields |= {"takes": 1, "session": session, "request_id": ask_id, "engine": job.engine}
        accepted = await self._door.submit(fields, Source("ardour", session_path))
        return _acceptance(accepted, 1)

    async def _tell_accepted(self, session_path: str, ask_id: str, accepted: Accepted) -> None:
        try:
            takes = (await self._door.job(accepted.job_id)).request.takes
            said = _acceptance(accepted, takes)
        except DgxMusicError as err:
            said = refusal(err)
        await self._answers.give(session_path, ask_id, said)

    def _on_update(self, update: JobUpdate) -> None:
        if update.job.state.final:
            self._steps.pop(update.job.id, None)
        elif update.kind == "progress":
            self._steps[update.job.id] = update


def _acceptance(accepted: Accepted, takes: int) -> dict[str, object]:
    return {
        "ok": True,
        "job_id": accepted.job_id,
        "place": accepted.place,
        "eta_s": accepted.eta_s,
        "engine": accepted.engine,
        "takes": takes,
        "duplicate": accepted.duplicate,
    }


def _asker(fields: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the session and the id under which a request's sender waits for an answer, where it can be a script."""
    session, ask_id = fields.get("session"), fields.get("request_id")
    path = session.get("path") if isinstance(session, dict) else None
    if (
        not isinstance(path, str)
        or not path.startswith("/")
        or len(path) > _MAX_PATH
        or not is_safe_id(ask_id)
    ):
        return None, None
    return path, str(ask_id)


def _check_path(path: str) -> None:
    if not path.startswith("/") or len(path) > _MAX_PATH:
        raise RequestError(
            f"session_path: {path[:100]!r} is no absolute path; write what Session:path() gives, "
            "such as /home/you/songs/one"
        )
