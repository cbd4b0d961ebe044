"""What serves running Ardours, wired together: the courier that delivers, and the desk that answers."""

from __future__ import annotations

import contextlib
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from dgx_music import __version__
from dgx_music.delivery.ardour.answers import Answers
from dgx_music.delivery.ardour.bell import Bell
from dgx_music.delivery.ardour.courier import Courier
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.library.who_made import who_made
from dgx_music.surfaces.ardour import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dgx_music.config import Config
    from dgx_music.core import Core
    from dgx_music.paths import Paths
    from dgx_music.upkeep.scheduler import Upkeep

__all__ = ["open_desk"]

_TIDY_INTERVAL_S = 600.0


@contextlib.asynccontextmanager
async def open_desk(config: Config, paths: Paths, core: Core, upkeep: Upkeep) -> AsyncIterator[Desk]:
    """Begin to deliver, and open the desk; its tidying is left to `upkeep`."""
    spool = Spool(paths.ardour_spool.absolute())
    library = (config.library.path or paths.library).absolute()
    bell = Bell(config.ardour, _fetch_now_slot)
    courier = Courier(spool, library, store=core.store, thread=core.thread, on_offer=bell.ring)
    identify = partial(
        who_made,
        database=paths.database,
        library=library,
        reading_roots=config.for_engines(paths).reading_roots,
    )
    desk = Desk(core.intake, courier, Answers(spool), identify=identify, version=__version__)
    async with AsyncExitStack() as ladder:
        ladder.push_async_callback(bell.settled)
        ladder.callback(core.intake.subscribe(courier.on_update))
        await courier.start()
        ladder.push_async_callback(courier.stop)
        upkeep.every(_TIDY_INTERVAL_S, "tidy the spool", courier.tidy)
        desk.start()
        ladder.push_async_callback(desk.stop)
        yield desk


def _fetch_now_slot() -> int | None:
    from dgx_music.assets import registered_slot  # noqa: PLC0415 - only where Ardour's OSC surface is used

    return registered_slot("dgx_fetch_now")
