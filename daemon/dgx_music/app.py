"""The running daemon: one ladder to start, the same ladder backwards to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from dgx_music import __version__
from dgx_music.ardour import open_desk
from dgx_music.core import open_core
from dgx_music.instance import InstanceLock
from dgx_music.surfaces.dropfolder import DropFolder
from dgx_music.surfaces.osc import OscSurface
from dgx_music.systemd import Notifier
from dgx_music.upkeep.scheduler import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dgx_music.config import Config
    from dgx_music.jobs import JobUpdate
    from dgx_music.paths import Paths

__all__ = ["run_daemon"]

_log = logging.getLogger(__name__)
_CHECKPOINT_INTERVAL_S = 3600.0


async def run_daemon(config: Config, paths: Paths, on_ready: Callable[[], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        InstanceRunningError: another process works on the same state.
        StoreError: the database cannot be used.
        DgxMusicError: a socket or folder cannot be had; the message names the setting.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    notifier = Notifier(os.environ)
    async with AsyncExitStack() as ladder:
        lock = ladder.enter_context(InstanceLock(paths, "daemon"))
        core = await ladder.enter_async_context(open_core(config, paths))
        await core.dispatcher.recover()
        dispatching = asyncio.create_task(core.dispatcher.run(), name="dispatcher")
        dispatching.add_done_callback(lambda task: stopping.set() if not task.cancelled() else None)
        ladder.push_async_callback(_end, dispatching)

        library = config.library.path or paths.library
        upkeep = Upkeep()
        upkeep.every(_CHECKPOINT_INTERVAL_S, "checkpoint", core.checkpoint)
        desk = None
        if config.ardour.enabled:
            desk = await ladder.enter_async_context(open_desk(config, paths, core, upkeep))
        osc = OscSurface(config.osc, core.intake, __version__, library, transport=core.transport, desk=desk)
        await osc.start()
        ladder.push_async_callback(osc.stop)
        osc_host, osc_port = osc.address
        if config.inbox.enabled:
            inbox = DropFolder(config.inbox, config.inbox.path or paths.inbox, library, core.intake)
            await inbox.start()
            ladder.push_async_callback(inbox.stop)

        lock.record(osc_host=osc_host, osc_port=osc_port, version=__version__)
        ladder.callback(core.intake.subscribe(lambda update: _show(notifier, update)))
        feeding = asyncio.create_task(_feed_watchdog(notifier), name="watchdog")
        ladder.push_async_callback(_end, feeding)
        notifier.ready(f"listening on osc.udp://{osc_host}:{osc_port}")
        _log.info("ready: OSC on %s:%d, state in %s", osc_host, osc_port, paths.state_dir)
        if on_ready is not None:
            on_ready()
        upkeep.start()
        ladder.callback(upkeep.stop)

        await stopping.wait()
        notifier.stopping()
        _log.info("stopping")
        if dispatching.done():
            dispatching.result()  # the dispatcher never ends by itself: this raises what ended it


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _feed_watchdog(notifier: Notifier) -> None:
    # Fed from the event loop itself, so that a frozen loop is really noticed.
    while notifier.watchdog_interval_s is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_interval_s)


def _show(notifier: Notifier, update: JobUpdate) -> None:
    if update.kind == "preview":
        return
    if update.kind == "progress":
        notifier.status(f"{update.job.id}: {update.job.step} {update.job.progress:.0%}")
    else:
        notifier.status(f"{update.job.id}: {update.kind}")
