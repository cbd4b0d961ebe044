"""Carries out messages in the order in which they came."""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dgx_music.errors import ConfigError, DgxMusicError, JobStateError, RequestError
from dgx_music.jobs import JobState, Source
from dgx_music.surfaces.osc.arguments import Generate, read_generate
from dgx_music.surfaces.osc.patterns import is_pattern, matches
from dgx_music.surfaces.osc.replies import Endpoint
from dgx_music.surfaces.osc.routes import (
    ACCEPTED,
    ARDOUR,
    CANCEL,
    CANCELLED,
    ERROR,
    GENERATE,
    INCOMING,
    LOOK,
    OUTGOING,
    PAUSE,
    PING,
    PONG,
    QUEUE,
    QUEUE_REPLY,
    RESUME,
    STATUS,
    TRANSPORT,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from dgx_music.jobs import Accepted
    from dgx_music.surfaces.ardour import Desk
    from dgx_music.surfaces.door import Door
    from dgx_music.surfaces.osc.counters import OscCounters, RateLimitedLog
    from dgx_music.surfaces.osc.decode import OscMessage, OscValue, Unit
    from dgx_music.surfaces.osc.followers import Followers
    from dgx_music.surfaces.osc.replies import Replies
    from dgx_music.surfaces.osc.routes import Route
    from dgx_music.transport import Transport

__all__ = ["Commands"]

_log = logging.getLogger(__name__)
_PREFIX = "/dgx/"
_OUTGOING_ONLY = {route.address for route in OUTGOING} - {route.address for route in INCOMING}


@dataclass
class _Submission:
    """The /dgx/generate messages of one unit, from one sender: stored together or not at all."""

    reply_to: Endpoint
    asked: list[Generate]
    accepted: list[Accepted] = field(default_factory=list)
    error: Exception | None = None


class Commands:
    """What each incoming route does."""

    def __init__(
        self,
        door: Door,
        *,
        replies: Replies,
        followers: Followers,
        counters: OscCounters,
        events: RateLimitedLog,
        version: str,
        transport: Transport,
        desk: Desk | None,
    ) -> None:
        self._door = door
        self._replies = replies
        self._followers = followers
        self._counters = counters
        self._events = events
        self._version = version
        self._transport = transport
        self._desk = desk
        self._submissions: list[_Submission] = []
        self._actions: dict[Route, Callable[[Endpoint, Sequence[OscValue]], Awaitable[None]]] = {
            CANCEL: self._cancel,
            STATUS: self._status,
            QUEUE: self._queue,
            PAUSE: self._pause,
            RESUME: self._resume,
            PING: self._ping,
            TRANSPORT: self._tell_transport,
            ARDOUR: self._ask_desk,
            LOOK: self._look,
        }

    async def carry_out(self, sender: Endpoint, unit: Unit) -> None:
        """Do what the messages ask for; requests for music only collect until `flush`.

        All requests of one bundle are collected where the first of them stands.
        """
        generates: list[OscMessage] = []
        for message in unit.messages:
            for route in self._routes(sender, message):
                if route is GENERATE:
                    if not generates:
                        generates = [m for m in unit.messages if GENERATE in _matching(m.address)]
                        self._collect(sender, generates)
                    continue
                await self.flush()
                await self._act(sender, route, message)

    async def flush(self) -> None:
        """Submit what was collected, at the same time, and answer in the order in which it came."""
        submissions, self._submissions = self._submissions, []
        await asyncio.gather(*(self._submit(submission) for submission in submissions))
        for submission in submissions:
            await self._answer(submission)

    def refuse(self, to: Endpoint, error: Exception, about: str) -> None:
        """Answer a message that cannot be carried out."""
        self._counters.refused += 1
        if isinstance(error, DgxMusicError):
            self._events.note("message refused", f"{about[:200]!r} from {to}: {str(error)[:500]}")
            self._replies.send(to, ERROR, error.code, str(error), about)
        else:
            _log.error("OSC message %r from %s failed", about[:200], to, exc_info=error)
            self._replies.send(
                to, ERROR, "internal", f"the daemon failed at this: {type(error).__name__}", about
            )

    def _routes(self, sender: Endpoint, message: OscMessage) -> list[Route]:
        found = _matching(message.address)
        if not found:
            self._counters.unknown_address += 1
            self._events.note("unknown address", f"{message.address[:200]!r} from {sender}")
            # Only a client of ours gets an answer: a daemon's own answers and other programs' feedback that
            # end up here must not start a game of ping-pong.
            if message.address.startswith(_PREFIX) and message.address not in _OUTGOING_ONLY:
                self._replies.send(
                    sender, ERROR, "unknown_address", _unknown(message.address), message.address
                )
        return found

    def _collect(self, sender: Endpoint, messages: list[OscMessage]) -> None:
        asked: list[Generate] = []
        error: Exception | None = None
        for number, message in enumerate(messages, start=1):
            try:
                asked.append(read_generate(message.values))
            except RequestError as err:
                prefix = f"request {number} of {len(messages)}: " if len(messages) > 1 else ""
                error = error or RequestError([prefix + problem for problem in err.problems])
                asked.append(Generate({}, None))
        ports = {generate.reply_port for generate in asked if generate.reply_port is not None}
        if len(ports) > 1 and error is None:
            error = RequestError(
                f"one bundle names several reply ports ({', '.join(map(str, sorted(ports)))}); use one"
            )
        reply_to = Endpoint(sender.host, min(ports)) if len(ports) == 1 else sender
        self._submissions.append(_Submission(reply_to, asked, error=error))

    async def _submit(self, submission: _Submission) -> None:
        if submission.error:
            return
        source = Source("osc", str(submission.reply_to))
        batch = [generate.fields for generate in submission.asked]
        try:
            if len(batch) == 1:
                submission.accepted = [await self._door.submit(batch[0], source)]
            else:
                submission.accepted = await self._door.submit_batch(batch, source)
        except Exception as err:  # noqa: BLE001 (one sender's request must not end the listener)
            submission.error = err

    async def _answer(self, submission: _Submission) -> None:
        to = submission.reply_to
        if submission.error:
            for generate in submission.asked:
                self.refuse(to, submission.error, generate.request_id or GENERATE.address)
                if self._desk is not None:
                    self._desk.refused(generate.fields, submission.error)
            return
        for generate, accepted in zip(submission.asked, submission.accepted, strict=True):
            self._counters.accepted += 1
            if self._desk is not None:
                self._desk.accepted(generate.fields, accepted)
            self._replies.send(
                to,
                ACCEPTED,
                accepted.request_id,
                accepted.job_id,
                accepted.place,
                accepted.eta_s,
                accepted.engine,
            )
            if accepted.duplicate:
                try:
                    await self._follow(to, accepted.job_id)
                except Exception as err:  # noqa: BLE001 (see _submit)
                    self.refuse(to, err, accepted.request_id)

    async def _follow(self, to: Endpoint, job_id: str) -> None:
        # Followed first: a job that ends while it is looked up is then told by its update.
        self._followers.add(job_id, to)
        job = await self._door.job(job_id)
        if job.state.final:
            self._followers.remove(job_id, to)
            self._replies.send_outcome(to, job)

    async def _act(self, sender: Endpoint, route: Route, message: OscMessage) -> None:
        try:
            _check(route, message.values)
            await self._actions[route](sender, message.values)
        except Exception as err:  # noqa: BLE001 (see _submit)
            self.refuse(sender, err, message.address)

    async def _cancel(self, sender: Endpoint, values: Sequence[OscValue]) -> None:
        job_id = values[0].value
        self._followers.add(job_id, sender)
        try:
            job = await self._door.cancel(job_id)
        except JobStateError:
            self._followers.remove(job_id, sender)
            job = await self._door.job(job_id)
            if job.state is not JobState.CANCELLED:
                raise
            self._replies.send(sender, CANCELLED, job_id)
        except Exception:
            self._followers.remove(job_id, sender)
            raise
        if not job.state.final:
            self._replies.send_status(sender, job)  # it stops at its next step; /dgx/cancelled comes then

    async def _status(self, sender: Endpoint, values: Sequence[OscValue]) -> None:
        if values:
            job = await self._door.job(values[0].value)
            self._replies.send_status(sender, job)
            self._replies.send_outcome(sender, job)
            return
        queue = await self._door.queue()
        await self._queue(sender, ())
        for job in queue.running:
            self._replies.send_status(sender, job)

    async def _queue(self, sender: Endpoint, values: Sequence[OscValue]) -> None:
        if _released(values):
            return
        queue = await self._door.queue()
        self._replies.send(
            sender,
            QUEUE_REPLY,
            queue.paused,
            queue.pending,
            queue.processing,
            queue.completed,
            queue.failed,
            queue.cancelled,
            self._transport.state,
        )

    async def _pause(self, sender: Endpoint, values: Sequence[OscValue]) -> None:
        if not _released(values):
            await self._door.pause()
            await self._queue(sender, ())

    async def _resume(self, sender: Endpoint, values: Sequence[OscValue]) -> None:
        if not _released(values):
            await self._door.resume()
            await self._queue(sender, ())

    async def _ping(self, sender: Endpoint, values: Sequence[OscValue]) -> None:
        if not _released(values):
            self._replies.send(sender, PONG, self._version, os.getpid())

    async def _tell_transport(self, _sender: Endpoint, values: Sequence[OscValue]) -> None:
        self._transport.tell(values[0].value)

    async def _ask_desk(self, _sender: Endpoint, values: Sequence[OscValue]) -> None:
        ask_id, session_path, command, arguments = (value.value for value in values)
        self._open_desk().ask(ask_id, session_path, command, arguments)

    async def _look(self, _sender: Endpoint, values: Sequence[OscValue]) -> None:
        self._open_desk().look(values[0].value)

    def _open_desk(self) -> Desk:
        if self._desk is None:
            raise ConfigError("deliveries into Ardour are switched off: ardour.enabled is false")
        return self._desk


def _matching(address: str) -> list[Route]:
    if is_pattern(address):
        return [route for route in INCOMING if matches(address, route.address)]
    return [route for route in INCOMING if route.address == address]


def _unknown(address: str) -> str:
    known = [route.address for route in INCOMING]
    close = difflib.get_close_matches(address, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{address[:200]} is no address of this daemon; {hint}"


def _released(values: Sequence[OscValue]) -> bool:
    return bool(values) and not values[0].value


def _check(route: Route, values: Sequence[OscValue]) -> None:
    required = [argument for argument in route.arguments if not argument.optional]
    if not len(required) <= len(values) <= len(route.arguments):
        raise RequestError(f"{len(values)} arguments came; write {route.usage}")
    for argument, value in zip(route.arguments, values, strict=False):
        if value.tag not in argument.types:
            raise RequestError(
                f"{argument.name}: the OSC type {value.tag!r} cannot be used; write {route.usage}"
            )
        if argument.choices and value.value not in argument.choices:
            raise RequestError(
                f"{argument.name}: {value.value!r} is not one of {', '.join(argument.choices)}"
            )
