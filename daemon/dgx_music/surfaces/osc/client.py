"""A blocking OSC client for the command line: resends what is not answered, asks again when it hears nothing."""

from __future__ import annotations

import json
import socket
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dgx_music import errors
from dgx_music.errors import DaemonUnreachableError, DgxMusicError, RequestError
from dgx_music.jobs import Accepted
from dgx_music.surfaces.osc.decode import MalformedPacketError, decode_packet
from dgx_music.surfaces.osc.replies import encode
from dgx_music.surfaces.osc.routes import (
    ACCEPTED,
    CANCEL,
    CANCELLED,
    DONE,
    ERROR,
    FAILED,
    GENERATE,
    OUTGOING,
    PAUSE,
    PING,
    PONG,
    PROGRESS,
    QUEUE,
    QUEUE_REPLY,
    RESUME,
    STATUS,
    STATUS_REPLY,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from dgx_music.surfaces.osc.routes import Route

__all__ = ["OscClient", "Reply"]

_RESEND_AFTER_S = (0.25, 0.5, 1.0, 1.25)
_ASK_AFTER_SILENCE_S = 2.0
_GIVE_UP_AFTER_S = 30.0
_MAX_DATAGRAM = 65_507
_BY_ADDRESS = {route.address: route for route in OUTGOING}
_BY_CODE: dict[str, type[DgxMusicError]] = {
    getattr(errors, name).code: getattr(errors, name) for name in errors.__all__
}


@dataclass(frozen=True)
class Reply:
    """A message from the daemon; its values by the names in the route table."""

    route: Route
    values: Mapping[str, Any]


class OscClient:
    """Speaks with one daemon. Use it as a context manager, from one thread."""

    def __init__(self, host: str, port: int) -> None:
        self._address = f"{host}:{port}"
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except OSError as err:
            raise self._unreachable(f" ({err})") from err
        # Connected, so that only the daemon's own datagrams are received.
        self._socket = socket.socket(family, kind, proto)
        self._socket.connect(address)
        self._unread: list[Reply] = []
        self._refused = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(self, fields: Mapping[str, Any]) -> Accepted:
        """Ask for music; returns once the daemon has stored the job.

        Raises:
            DgxMusicError: the daemon refused, with the error's own class.
            DaemonUnreachableError: nobody answered for about three seconds.
        """
        request_id = str(fields.get("request_id") or uuid.uuid4())
        text = json.dumps({**fields, "request_id": request_id}, ensure_ascii=False)
        if len(text.encode()) > _MAX_DATAGRAM - 64:
            raise RequestError("the request does not fit into one UDP packet (65 kB); shorten it")

        def accepted(reply: Reply) -> bool:
            return reply.route is ACCEPTED and reply.values["request_id"] == request_id

        values = self._ask(encode(GENERATE, (text,)), accepted, (request_id, GENERATE.address)).values
        return Accepted(**values, duplicate=False)

    def events(self, job_id: str) -> Iterator[Reply]:
        """Yield a job's /dgx/progress, then its /dgx/done (one a take), /dgx/failed or /dgx/cancelled.

        A lost datagram does no harm: after two silent seconds the daemon is asked how the job stands.

        Raises:
            DaemonUnreachableError: the daemon is silent for half a minute.
        """
        takes: set[int] = set()
        heard_at = time.monotonic()
        while True:
            reply = self._receive(_ASK_AFTER_SILENCE_S)
            if reply is None:
                if time.monotonic() - heard_at > _GIVE_UP_AFTER_S:
                    raise self._unreachable(f"; job {job_id} goes on if it runs")
                self._send(encode(STATUS, (job_id,)))
                continue
            heard_at = time.monotonic()
            if reply.route is ERROR and reply.values["about"] == STATUS.address:
                _raise(reply)
            if reply.values.get("job_id") != job_id:
                continue
            if reply.route is STATUS_REPLY:
                names = [argument.name for argument in PROGRESS.arguments]
                yield Reply(PROGRESS, {name: reply.values[name] for name in names})
            elif reply.route in (FAILED, CANCELLED):
                yield reply
                return
            elif reply.route is PROGRESS:
                yield reply
            elif reply.route is DONE and reply.values["take"] not in takes:
                takes.add(reply.values["take"])
                yield reply
                if len(takes) == reply.values["takes"]:
                    return

    def cancel(self, job_id: str) -> Reply:
        """Cancel a job; /dgx/cancelled if it has stopped, /dgx/status if it will at its next step."""

        def about_it(reply: Reply) -> bool:
            return reply.route in (CANCELLED, STATUS_REPLY) and reply.values["job_id"] == job_id

        return self._ask(encode(CANCEL, (job_id,)), about_it, (CANCEL.address,))

    def status(self, job_id: str) -> Reply:
        """Ask how a job stands."""

        def about_it(reply: Reply) -> bool:
            return reply.route is STATUS_REPLY and reply.values["job_id"] == job_id

        return self._ask(encode(STATUS, (job_id,)), about_it, (STATUS.address,))

    def queue(self) -> Reply:
        """Ask for the queue's counts."""
        return self._ask_for(QUEUE, QUEUE_REPLY)

    def pause(self) -> Reply:
        """Let no more jobs start; returns the queue's counts."""
        return self._ask_for(PAUSE, QUEUE_REPLY)

    def resume(self) -> Reply:
        """Let jobs start again; returns the queue's counts."""
        return self._ask_for(RESUME, QUEUE_REPLY)

    def ping(self) -> Reply:
        """Ask whether the daemon is there."""
        return self._ask_for(PING, PONG)

    def _ask_for(self, route: Route, answer: Route) -> Reply:
        return self._ask(encode(route, ()), lambda reply: reply.route is answer, (route.address,))

    def _ask(self, message: bytes, wanted: Callable[[Reply], bool], about: tuple[str, ...]) -> Reply:
        self._refused = False
        for wait_s in _RESEND_AFTER_S:
            self._send(message)
            until = time.monotonic() + wait_s
            while (left_s := until - time.monotonic()) > 0:
                reply = self._receive_fresh(left_s)
                if reply is None:
                    continue
                if wanted(reply):
                    return reply
                if reply.route is ERROR and reply.values["about"] in about:
                    _raise(reply)
                self._unread.append(reply)
        if self._refused:
            raise self._unreachable("")
        raise DaemonUnreachableError(
            f"the daemon at {self._address} took the message and does not answer; it may be busy or stopped, and may "
            f"still carry this out (sent as {about[0]})"
        )

    def _send(self, message: bytes) -> None:
        try:
            self._socket.send(message)
        except ConnectionRefusedError:
            self._refused = True  # an earlier datagram found nobody: the resend decides

    def _receive(self, timeout_s: float) -> Reply | None:
        return self._unread.pop(0) if self._unread else self._receive_fresh(timeout_s)

    def _receive_fresh(self, timeout_s: float) -> Reply | None:
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(_MAX_DATAGRAM)
        except TimeoutError:
            return None
        except ConnectionRefusedError:
            self._refused = True
            time.sleep(min(timeout_s, 0.1))  # nobody listens there now; perhaps the daemon restarts
            return None
        return _reply(data)

    def _unreachable(self, detail: str) -> DaemonUnreachableError:
        return DaemonUnreachableError(
            f"no daemon answers at {self._address}{detail}; start it with `dgx-music daemon`, or look at osc.host and "
            "osc.port"
        )


def _reply(data: bytes) -> Reply | None:
    try:
        messages = [message for unit in decode_packet(data) for message in unit.messages]
    except MalformedPacketError:
        return None
    route = _BY_ADDRESS.get(messages[0].address) if messages else None
    if route is None or len(messages[0].values) != len(route.arguments):
        return None
    names = [argument.name for argument in route.arguments]
    return Reply(route, dict(zip(names, (value.value for value in messages[0].values), strict=True)))


def _raise(reply: Reply) -> None:
    code, message = reply.values["code"], reply.values["message"]
    raise _BY_CODE.get(code, DgxMusicError)(message)
