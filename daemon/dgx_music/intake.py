"""`Intake`: the door that all surfaces come through (`surfaces.door.Door`).

Requests that arrive together are stored in one transaction, each caller answered only when its job is on disk.

The estimate in the answer is: the seconds of audio that the job's engine still has to make, up to and with this job's,
times what a second cost that engine over its last 20 jobs on this machine; and the time that the job's model took to
load last time, if it is not loaded now. A job's cost is its share of its engine's time while others ran beside it
(`Shares`), so that jobs made together are not counted one after the other. When company changes, jobs now coming alone
that came eight at a time before, the estimate follows as their costs come in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.errors import EngineUnavailableError, QueueFullError, RequestError
from dgx_music.jobs import Accepted, JobState, JobUpdate, QueueStatus
from dgx_music.jobs.deliveries import session_folder
from dgx_music.jobs.store import NewJob
from dgx_music.reading.permissions import need_readable
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from dgx_music.config import Config
    from dgx_music.dispatcher import Dispatcher
    from dgx_music.engines.known import KnownEngines
    from dgx_music.jobs import Job, Source
    from dgx_music.jobs.store import Store
    from dgx_music.jobs.store_thread import StoreThread
    from dgx_music.jobs.updates import Updates

__all__ = ["Intake"]

_FIRST_GUESS_S = 1.0
"""What a second of audio is taken to cost until this machine has a history of its own."""


@dataclass(frozen=True)
class _Validated:
    job: NewJob
    model: str
    """The model that it will be made with; empty where the engine has none to load."""


@dataclass
class _Waiting:
    new: list[_Validated]
    answer: asyncio.Future[list[Accepted]]


class Intake:
    """Validates, chooses the engine, stores, answers; passes cancels and pauses on to the dispatcher."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store,
        thread: StoreThread,
        updates: Updates,
        dispatcher: Dispatcher,
        engines: KnownEngines,
        warm_models: Callable[[str], Collection[str]],
        reading_roots: Sequence[Path],
    ) -> None:
        self._config = config
        self._store = store
        self._thread = thread
        self._updates = updates
        self._dispatcher = dispatcher
        self._engines = engines
        self._warm_models = warm_models
        self._reading_roots = reading_roots
        self._defaults = {"engine": config.engine.default, **config.audio.model_dump()}
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None

    async def submit(self, fields: Mapping[str, Any], source: Source) -> Accepted:
        """Accept one request; see `Door.submit`."""
        new = self._validated(fields, source)
        await self._need_readable(new)
        return (await self._store_soon([new]))[0]

    async def submit_batch(self, batch: Sequence[Mapping[str, Any]], source: Source) -> list[Accepted]:
        """Accept several requests or none; see `Door.submit_batch`."""
        new: list[_Validated] = []
        problems: list[str] = []
        for number, fields in enumerate(batch, start=1):
            try:
                new.append(self._validated(fields, source))
                await self._need_readable(new[-1])
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

    async def unfinished_in(self, session_path: str, limit: int) -> list[Job]:
        """Return what is to land in a session yet; see `Door.unfinished_in`."""
        paths = [session_path, await asyncio.to_thread(session_folder, session_path)]
        return await self._thread.call(self._store.unfinished_of_session, paths, limit)

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

    def _validated(self, fields: Mapping[str, Any], source: Source) -> _Validated:
        request = GenerationRequest.from_fields(fields, self._defaults)
        engine, availability = self._engines.choose(request.engine)
        if not availability.hears_audio:
            for name in ("continue_from", "melody"):
                if getattr(request, name) is not None:
                    raise RequestError(f"{name}: engine {engine!r} cannot hear audio; MusicGen can")
        model = availability.model if request.model == "auto" else request.model
        return _Validated(NewJob(request, source, engine), model)

    async def _need_readable(self, new: _Validated) -> None:
        request = new.job.request
        if request.continue_from is not None or request.melody is not None:
            # In a thread, because the folders may lie on a disk that does not answer.
            await asyncio.to_thread(need_readable, request, self._reading_roots)

    async def _store_soon(self, new: list[_Validated]) -> list[Accepted]:
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
        fitting: list[_Validated] = []
        spans: list[slice] = []
        for waiting in group:
            if len(waiting.new) > room and self._store.unknown([item.job for item in waiting.new]) > room:
                answers.append(
                    QueueFullError(f"{limit} jobs wait already (queue.max_pending); try again later")
                )
                continue
            room = max(0, room - len(waiting.new))
            spans.append(slice(len(fitting), len(fitting) + len(waiting.new)))
            fitting += waiting.new
            answers.append([])
        stored = self._store.add([item.job for item in fitting]) if fitting else []
        costs = {engine: self._cost(engine) for engine in {item.job.engine for item in fitting}}
        loading = {
            pair: self._loading_s(*pair) for pair in {(item.job.engine, item.model) for item in fitting}
        }
        accepted = [
            self._accepted(
                item.job, job_id, costs[item.job.engine], loading[item.job.engine, item.model], known=known
            )
            for item, (job_id, known) in zip(fitting, stored, strict=True)
        ]
        for place, span in zip(
            (i for i, answer in enumerate(answers) if isinstance(answer, list)), spans, strict=True
        ):
            answers[place] = accepted[span]
        return answers

    def _cost(self, engine: str) -> float:
        cost = self._store.seconds_per_audio_second(engine)
        return _FIRST_GUESS_S if cost is None else cost

    def _loading_s(self, engine: str, model: str) -> float:
        """Return how long the model took to load last time; 0 where it is loaded, or was never loaded here."""
        return 0.0 if model in self._warm_models(engine) else self._store.loading_s(engine, model)

    def _accepted(self, item: NewJob, job_id: str, cost: float, loading_s: float, *, known: bool) -> Accepted:
        place, audio_s = self._store.ahead(job_id)
        return Accepted(
            job_id=job_id,
            request_id=item.request.request_id or job_id,
            place=place,
            eta_s=round(audio_s * cost + loading_s, 1),
            engine=item.engine,
            duplicate=known,
        )
