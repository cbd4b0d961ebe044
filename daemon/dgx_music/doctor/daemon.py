"""The running daemon, its port, and the worker process that engines run in."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from dgx_music.doctor.check import Check, info, ok, problem
from dgx_music.errors import ConfigError, DgxMusicError
from dgx_music.host.messages import Ready, decode
from dgx_music.instance import find_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.config import OscConfig
    from dgx_music.doctor.check import Surroundings

__all__ = ["daemon", "worker"]

_PATIENCE_S = 60.0


def daemon(surroundings: Surroundings) -> Iterator[Check]:
    """The daemon answers; or, where none runs, its port is free."""
    holder = find_running(surroundings.paths)
    if holder is None:
        yield info("daemon", "not running", "systemctl --user start dgx-music, or dgx-music daemon")
        yield _port(surroundings.config.osc)
    elif holder.role != "daemon" or not holder.osc_port:
        yield info("daemon", f"not running; 'dgx-music {holder.role}' works in place (pid {holder.pid})")
    else:
        yield _answer(str(holder.osc_host), holder.osc_port, holder.pid)


def worker(_: Surroundings) -> Iterator[Check]:
    """A worker process comes up, which shows that the engines' package can be run at all."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "dgx_music.host.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
        )
        try:
            line = _first_line(process)
        finally:
            process.kill()
            process.communicate()
        words.seek(0)
        last = words.read().decode(errors="replace").strip().splitlines()[-1:]
    ready = False
    with contextlib.suppress(ValueError, TypeError):
        ready = isinstance(decode(line), Ready)
    if ready:
        yield ok("worker", "starts and reports ready")
    else:
        what = last[0] if last else f"it said nothing within {_PATIENCE_S:.0f} s"
        yield problem("worker", f"the worker process does not come up: {what}", "run ./install.sh again")


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdout is None or not select.select([process.stdout], [], [], _PATIENCE_S)[0]:
        return b""
    return process.stdout.readline()


def _answer(host: str, port: int, pid: int) -> Check:
    from dgx_music.surfaces.osc.client import OscClient  # noqa: PLC0415 - only where a daemon runs

    try:
        with OscClient(host, port) as client:
            version = client.ping().values["version"]
    except DgxMusicError as err:
        return problem(
            "daemon",
            f"pid {pid} runs, but does not answer on OSC {host}:{port}: {err}",
            "systemctl --user restart dgx-music (no job is lost)",
        )
    return ok("daemon", f"version {version}, pid {pid}, answers on OSC {host}:{port}")


def _port(config: OscConfig) -> Check:
    from dgx_music.surfaces.osc.listening import bind  # noqa: PLC0415 - only where no daemon runs

    try:
        with bind(config) as bound:
            address = bound.getsockname()
    except ConfigError as err:
        return problem("OSC port", str(err), "stop the other program, or change osc.host and osc.port")
    return ok("OSC port", f"{config.host}:{address[1] if config.port else 'any'} is free")
