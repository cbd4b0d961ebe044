"""`StoreThread`: runs the store's blocking verbs in one thread, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StoreThread"]

P = ParamSpec("P")
R = TypeVar("R")


class StoreThread:
    """One thread; calls run in the order in which they were made."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def call(self, verb: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `verb` in the thread and return what it returns, or raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(verb, *args, **kwargs))

    def close(self) -> None:
        """Wait for what is under way, then end the thread."""
        self._pool.shutdown(wait=True)
