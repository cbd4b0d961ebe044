"""Opens the UDP socket that the daemon listens on."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING

from dgx_music.errors import ConfigError

if TYPE_CHECKING:
    from dgx_music.config import OscConfig

__all__ = ["bind"]

_log = logging.getLogger(__name__)
_SO_RCVBUFFORCE = 33
"""Linux's socket option 33 (socket(7)); Python's socket module has no name for it."""
_REASONS = {
    errno.EADDRINUSE: "another program (perhaps another dgx-music) uses the port; stop it, or set another osc.port",
    errno.EACCES: "ports below 1024 belong to the system; set osc.port to a higher one, such as 7400",
    errno.EADDRNOTAVAIL: "this machine has no such address; set osc.host to 127.0.0.1 or to one of its own",
}


def bind(config: OscConfig) -> socket.socket:
    """Return a bound, non-blocking UDP socket with a large receive buffer.

    Raises:
        ConfigError: the address cannot be used, and which setting to change.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as err:
        raise ConfigError(
            f"osc.host: {config.host!r} is not an address ({err}); 127.0.0.1 is the usual one"
        ) from err
    listener = socket.socket(family, kind, proto)
    try:
        listener.setblocking(False)
        _widen(listener, config.receive_buffer_bytes)
        listener.bind(address)
    except OSError as err:
        listener.close()
        reason = _REASONS.get(err.errno or 0, str(err))
        raise ConfigError(f"cannot listen for OSC on {config.host} udp port {config.port}: {reason}") from err
    return listener


def _widen(listener: socket.socket, size: int) -> None:
    # The kernel reports twice what was asked for, to cover its own bookkeeping.
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:  # only root may pass the system's limit
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    granted = listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted < size:
        _log.info(
            "the OSC receive buffer is %d of %d bytes; sysctl net.core.rmem_max limits it", granted, size
        )
