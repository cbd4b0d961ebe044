"""`Intake`: the door that all surfaces come through (`surfaces.door.Door`).

Requests that arrive together are stored in one transaction, each caller answered only when its job is on disk.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.engines.base import EngineSettings
from dgx_music.engines.registry import choose_engine
from dgx_music.errors import EngineUnavailableError, QueueFullError, RequestError
from dgx_music.jobs import Accepted, JobState, JobUpdate, QueueStatus
from dgx_music.jobs.store import NewJob
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dgx_music.config import Config
    from dgx_music.dispatcher import Dispatcher
    from dgx_music.engines.base import Availability
    from dgx_music.jobs import Job, Source
    from dgx_music.jobs.store import Store
    from dgx_music.jobs.store_thread import StoreThread
    from dgx_music.jobs.updates import Updates

__all__ = ["Intake"]

_FIRST_GUESS_S = 1.0
"""What a second of audio is taken to cost until this machine has a history of its own."""
_ENGINES_KEPT_S = 10.0
"""For how long an engine's availability is believed before it is asked again."""


@dataclass
class _Waiting:
    new: list[NewJob]
    answer: asyncio.Future[list[Accepted]]


class Intake:
    """Validates, chooses the engine, stores, answers; passes cancels and pauses on to the dispatcher."""

    def __init__(
        self, config: Config, store: Store, thread: StoreThread, updates: Updates, dispatcher: Dispatcher
    ) -> None:
        self._config = config
        self._store = store
        self._thread = thread
        self._updates = updates
        self._dispatcher = dispatcher
        self._settings = EngineSettings(config.engine.soundfont, config.engine.renderer)
        self._defaults = {"engine": config.engine.default, **config.audio.model_dump()}
        self._engines: dict[str, tuple[float, str, Availability]] = {}
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None

    async def submit(self, fields: Mapping[str, Any], source: Source) -> Accepted:
        """Accept one request; see `Door.submit`."""
        return (await self._store_soon([self._validated(fields, source)]))[0]

    async def submit_batch(self, batch: Sequence[Mapping[str, Any]], source: Source) -> list[Accepted]:
        """Accept several requests or none; see `Door.submit_batch`."""
        new: list[NewJob] = []
        problems: list[str] = []
        for number, fields in enumerate(batch, start=1):
            try:
                new.append(self._validated(fields, source))
            except RequestError as err:
                problems += [f"request {number}: {problem}" for problem in err.problems]
            except EngineUnavailableError as err:
                problems.append(f"request {number}: {err}")
            if number % 100 == 0:
                await asyncio.sleep(0)  # let the sockets be read between the rows of a long file
        if problems:
            raise RequestError(problems)
        return await self._store_soon(new) if new else []

    async def job(self, job_id: str) -> Job:
        """Return a job; see `Door.job`."""
        return await self._thread.call(self._store.get, job_id)

    async def jobs_of(self, source: Source) -> list[Job]:
        """Return a source's jobs; see `Door.jobs_of`."""
        return await self._thread.call(self._store.jobs_of, source)

    async def queue(self) -> QueueStatus:
        """Return the queue at a glance."""
        counts = await self._thread.call(self._store.counts)
        running = await self._thread.call(self._store.processing)
        return QueueStatus(
            paused=self._dispatcher.paused,
            pending=counts[JobState.PENDING],
            processing=counts[JobState.PROCESSING],
            completed=counts[JobState.COMPLETED],
            failed=counts[JobState.FAILED],
            cancelled=counts[JobState.CANCELLED],
            running=tuple(running),
        )

    async def cancel(self, job_id: str) -> Job:
        """Cancel a pending or running job; see `Door.cancel`."""
        job = await self._thread.call(self._store.ask_cancel, job_id)
        if job.state is JobState.CANCELLED:
            self._updates.publish(JobUpdate(job, "cancelled"))
        else:
            self._dispatcher.cancel_running(job_id)
        return job

    async def pause(self) -> None:
        """Start no more jobs; remembered across restarts."""
        await self._thread.call(self._store.set_flag, "paused", "1")
        self._dispatcher.pause()

    async def resume(self) -> None:
        """Start jobs again."""
        await self._thread.call(self._store.set_flag, "paused", "0")
        self._dispatcher.resume()

    def subscribe(self, listener: Callable[[JobUpdate], None]) -> Callable[[], None]:
        """Call `listener` for every update; see `Door.subscribe`."""
        return self._updates.subscribe(listener)

    def _validated(self, fields: Mapping[str, Any], source: Source) -> NewJob:
        request = GenerationRequest.from_fields(fields, self._defaults)
        engine, availability = self._engine_for(request.engine)
        if not availability.hears_audio:
            for name in ("continue_from", "melody"):
                if getattr(request, name) is not None:
                    raise RequestError(f"{name}: engine {engine!r} cannot hear audio; MusicGen can")
        return NewJob(request, source, engine)

    def _engine_for(self, wanted: str) -> tuple[str, Availability]:
        now_s = time.monotonic()
        kept = self._engines.get(wanted)
        if kept is None or kept[0] < now_s:
            kept = (now_s + _ENGINES_KEPT_S, *choose_engine(wanted, self._settings))
            self._engines[wanted] = kept
        return kept[1], kept[2]

    async def _store_soon(self, new: list[NewJob]) -> list[Accepted]:
        waiting = _Waiting(new, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_waiting())
        return await asyncio.shield(waiting.answer)

    async def _store_waiting(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                answers = await self._thread.call(self._add, group)
            except Exception as err:  # noqa: BLE001 - whatever it is, every caller has to hear it
                answers = [err] * len(group)
            for waiting, answer in zip(group, answers, strict=True):
                if waiting.answer.done():
                    continue
                if isinstance(answer, BaseException):
                    waiting.answer.set_exception(answer)
                else:
                    waiting.answer.set_result(answer)
            self._dispatcher.wake()

    def _add(self, group: list[_Waiting]) -> list[list[Accepted] | Exception]:
        """Store a group in one transaction; what would overfill the queue is answered with an error.

        A request that is only sent again is never refused: its job has its place already.
        """
        limit = self._config.queue.max_pending
        room = limit - self._store.counts()[JobState.PENDING]
        answers: list[list[Accepted] | Exception] = []
        fitting: list[NewJob] = []
        spans: list[slice] = []
        for waiting in group:
            if len(waiting.new) > room and self._store.unknown(waiting.new) > room:
                answers.append(
                    QueueFullError(f"{limit} jobs wait already (queue.max_pending); try again later")
                )
                continue
            room = max(0, room - len(waiting.new))
            spans.append(slice(len(fitting), len(fitting) + len(waiting.new)))
            fitting += waiting.new
            answers.append([])
        stored = self._store.add(fitting) if fitting else []
        costs = {
            name: self._store.seconds_per_audio_second(name) for name in {item.engine for item in fitting}
        }
        accepted = [
            self._accepted(item, job_id, costs[item.engine], known=known)
            for item, (job_id, known) in zip(fitting, stored, strict=True)
        ]
        for place, span in zip(
            (i for i, answer in enumerate(answers) if isinstance(answer, list)), spans, strict=True
        ):
            answers[place] = accepted[span]
        return answers

    def _accepted(self, item: NewJob, job_id: str, cost: float | None, *, known: bool) -> Accepted:
        place, audio_s = self._store.ahead(job_id)
        return Accepted(
            job_id=job_id,
            request_id=item.request.request_id or job_id,
            place=place,
            eta_s=round(audio_s * (cost if cost is not None else _FIRST_GUESS_S), 1),
            engine=item.engine,
            duplicate=known,
        )
