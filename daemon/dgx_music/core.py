"""`Core`: queue, worker and the door to them, which the daemon and a command without a daemon have in common."""

from __future__ import annotations

import contextlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music.dispatcher import Dispatcher
from dgx_music.engines.known import KnownEngines
from dgx_music.host.local import EngineHost
from dgx_music.intake import Intake
from dgx_music.jobs.store import Store
from dgx_music.jobs.store_thread import StoreThread
from dgx_music.jobs.updates import Updates
from dgx_music.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dgx_music.config import Config
    from dgx_music.paths import Paths

__all__ = ["Core", "open_core"]


@dataclass(frozen=True)
class Core:
    """The parts that make jobs, wired together."""

    intake: Intake
    dispatcher: Dispatcher
    host: EngineHost
    store: Store
    thread: StoreThread
    transport: Transport

    async def checkpoint(self) -> None:
        """Fold the database's write-ahead log into it."""
        await self.thread.call(self.store.checkpoint)


@contextlib.asynccontextmanager
async def open_core(config: Config, paths: Paths) -> AsyncIterator[Core]:
    """Open the store and the worker host. The caller holds the `InstanceLock`."""
    async with AsyncExitStack() as ladder:
        thread = StoreThread()
        ladder.callback(thread.close)
        store = await thread.call(Store, paths.database)
        ladder.callback(store.close)
        updates = Updates()
        settings = config.for_engines(paths)
        engines = KnownEngines(settings)
        host = EngineHost(config.engine, settings, paths.cache_dir)
        ladder.push_async_callback(host.stop)
        transport = Transport()
        ladder.callback(transport.close)
        dispatcher = Dispatcher(
            config,
            paths,
            store=store,
            thread=thread,
            updates=updates,
            host=host,
            engines=engines,
            transport=transport,
        )
        intake = Intake(
            config,
            store=store,
            thread=thread,
            updates=updates,
            dispatcher=dispatcher,
            engines=engines,
            warm_models=host.warm,
            reading_roots=settings.reading_roots,
        )
        yield Core(intake, dispatcher, host, store, thread, transport)
