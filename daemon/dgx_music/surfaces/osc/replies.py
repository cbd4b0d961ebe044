"""Sends the daemon's answers. A reply that cannot be sent is counted, never raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

from dgx_music.jobs import JobState
from dgx_music.surfaces.osc.routes import CANCELLED, DONE, FAILED, STATUS_REPLY

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.jobs import Job
    from dgx_music.surfaces.osc.counters import OscCounters
    from dgx_music.surfaces.osc.routes import Route

__all__ = ["DatagramSender", "Endpoint", "Replies", "encode"]

_MAX_TEXT = 8_000


@dataclass(frozen=True)
class Endpoint:
    """A UDP address."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint | None:
        """Read `host:port` as `str` writes it; `None` if it is something else."""
        host, _, port = text.rpartition(":")
        return cls(host, int(port)) if host and port.isdecimal() and 0 < int(port) <= 65535 else None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class DatagramSender(Protocol):
    """The part of a datagram transport that replies need."""

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        """Send one datagram."""

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""


def encode(route: Route, values: tuple[str | float | bool, ...]) -> bytes:
    """Return the message as OSC writes it, with the route's own type tags; optional arguments may be left out."""
    builder = OscMessageBuilder(route.address)
    for argument, value in zip(route.arguments[: len(values)], values, strict=True):
        if argument.types == "TF":
            builder.add_arg(bool(value), "T" if value else "F")
        elif isinstance(value, str):
            builder.add_arg(_wire_text(value), "s")
        else:
            builder.add_arg(value, argument.types[0])
    return builder.build().dgram


def _wire_text(text: str) -> str:
    # A file name may hold bytes that are not UTF-8, and a NUL would end the OSC string.
    clean = text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return clean if len(clean) <= _MAX_TEXT else clean[: _MAX_TEXT - 1] + "…"


class Replies:
    """Writes messages of the route table to senders."""

    def __init__(self, transport: DatagramSender, counters: OscCounters, library_root: Path) -> None:
        self._transport = transport
        self._counters = counters
        self._library_root = library_root

    def send(self, to: Endpoint, route: Route, *values: str | float | bool) -> None:
        """Send one message."""
        if self._transport.is_closing():
            return
        try:
            self._transport.sendto(encode(route, values), (to.host, to.port))
        except (OSError, ValueError, TypeError, OverflowError, BuildError):
            self._counters.send_failed += 1
        else:
            self._counters.sent += 1

    def send_status(self, to: Endpoint, job: Job) -> None:
        """Send how a job stands."""
        values = (job.id, job.state, job.step, job.progress, job.engine, len(job.takes))
        self.send(to, STATUS_REPLY, *values)

    def send_outcome(self, to: Endpoint, job: Job) -> None:
        """Send what became of a job: one message a take, or why there is none; nothing while it goes on."""
        if job.state is JobState.COMPLETED:
            for take in job.takes:
                path = str(self._library_root / take.files[0].final)
                self.send(to, DONE, job.id, take.index, path, take.engine, len(job.takes))
        elif job.state is JobState.FAILED:
            self.send(
                to, FAILED, job.id, job.error_code or "error", job.error_message or "no reason was recorded"
            )
        elif job.state is JobState.CANCELLED:
            self.send(to, CANCELLED, job.id)
