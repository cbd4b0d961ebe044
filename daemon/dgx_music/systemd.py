"""Speaks systemd's notification protocol (sd_notify(3)): ready, still alive, stopping, what is going on."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Notifier"]


class Notifier:
    """Sends datagrams to `NOTIFY_SOCKET`; does nothing where systemd did not start us."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog_us = environ.get("WATCHDOG_USEC", "")
        timeout_s = int(watchdog_us) / 1e6 if watchdog_us.isdigit() else 0.0
        ours = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.watchdog_interval_s = timeout_s / 2 if timeout_s and ours else None
        """How often to call `alive`: half of what systemd waits for; `None` where no watchdog is set."""

    def ready(self, status: str) -> None:
        """Say that every socket is bound and the store is open."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        # Worth nothing in comparison with the event loop, which must not wait for a reader that is behind.
        self._send(f"STATUS={text}", patience_s=0.0)

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def _send(self, text: str, patience_s: float = 1.0) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(patience_s)
            try:
                sock.sendto(text.encode(), address)
            except OSError:
                return  # systemd is not listening (any more), or does not read; there is nobody to tell
