"""`Line`: the worker's end of the line to the daemon."""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, BinaryIO

from dgx_music.host.messages import Cancel, Run, decode, encode

if TYPE_CHECKING:
    from dgx_music.host.messages import Message

__all__ = ["Line"]


class Line:
    """Sends messages from any thread, collects jobs, remembers which were cancelled."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self.jobs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()

    def listen(self) -> None:
        """Read until the daemon closes the line, then end the process at once."""
        for line in self._incoming:
            message = decode(line)
            if isinstance(message, Run):
                self.jobs.put(message)
            elif isinstance(message, Cancel):
                self._cancelled.add(message.job_id)
        os._exit(0)

    def send(self, message: Message) -> None:
        """Send a message, whole."""
        with self._sending:
            self._outgoing.write(encode(message))
            self._outgoing.flush()

    def cancelled(self, job_id: str) -> bool:
        """Whether the job was asked to stop."""
        return job_id in self._cancelled

    def forget(self, job_id: str) -> None:
        """The job has ended: forget whether it was asked to stop."""
        self._cancelled.discard(job_id)
