"""The models that are loaded now: within a memory budget, the least recently used go first, and all go when idle."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Loadable", "WarmSet"]

_LOOK_S = 0.1
"""How often a caller who waits for room is asked whether it still wants the model."""


class Loadable(Protocol):
    """What the warm set keeps: a loaded model."""

    @property
    def broken(self) -> bool:
        """Whether the model can no longer be used and has to be loaded anew."""

    def close(self) -> None:
        """Give everything back."""


M = TypeVar("M", bound=Loadable)


@dataclass
class _Entry(Generic[M]):
    model: M
    bytes: int
    users: int = 0
    idle_since_s: float = 0.0


class WarmSet(Generic[M]):
    """Keeps loaded models by name. Thread-safe; loads one model at a time."""

    def __init__(self, budget_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget_bytes = budget_bytes
        self._clock = clock
        self._entries: dict[str, _Entry[M]] = {}
        self._changed = threading.Condition()
        self._loading = threading.Lock()
        self._short_of_room = False
        """Whether somebody waits for models in use to become free. Others then queue behind: one after the other, they
        could keep a model in use for ever."""

    @property
    def names(self) -> tuple[str, ...]:
        """The loaded models."""
        with self._changed:
            return tuple(self._entries)

    @contextmanager
    def use(
        self, name: str, prepare: Callable[[], tuple[int, Callable[[], M]]], still_wanted: Callable[[], None]
    ) -> Iterator[M]:
        """Hold a model for as long as the block runs, loading it first where it is not there.

        Args:
            name: what tells models apart.
            prepare: asked only where the model is not there: how much of the device's memory it will hold, in bytes, and
                what loads it. Both may raise.
            still_wanted: called while waiting for a turn or for room; raises where the caller has given up.

        Raises:
            EngineError: the model alone is larger than the budget.
        """
        entry = self._take(name)
        if entry is None:
            with self._turn(still_wanted):
                entry = self._take(name)
                if entry is None:
                    needs_bytes, load = prepare()
                    self._make_room(name, needs_bytes, still_wanted)
                    entry = _Entry(load(), needs_bytes, users=1)
                    with self._changed:
                        self._entries[name] = entry
        try:
            yield entry.model
        finally:
            with self._changed:
                entry.users -= 1
                entry.idle_since_s = self._clock()
                useless = entry.model.broken and not entry.users and self._entries.get(name) is entry
                if useless:
                    del self._entries[name]
                self._changed.notify_all()
            if useless:
                entry.model.close()

    def rest(self, idle_s: float) -> tuple[str, ...]:
        """Unload what nobody has used for so long; return the names."""
        now_s = self._clock()
        with self._changed:
            names = [
                name
                for name, entry in self._entries.items()
                if entry.users == 0 and now_s - entry.idle_since_s >= idle_s
            ]
            entries = [self._entries.pop(name) for name in names]
        for entry in entries:
            entry.model.close()
        return tuple(names)

    def close(self) -> None:
        """Unload all models, used or not."""
        with self._changed:
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            entry.model.close()

    @contextmanager
    def _turn(self, still_wanted: Callable[[], None]) -> Iterator[None]:
        """Hold the right to load, of which there is one; whoever has given up no longer waits for it."""
        while not self._loading.acquire(timeout=_LOOK_S):
            still_wanted()
        try:
            yield
        finally:
            with self._changed:
                self._short_of_room = False
            self._loading.release()

    def _take(self, name: str) -> _Entry[M] | None:
        with self._changed:
            entry = self._entries.get(name)
            if entry is None or entry.model.broken or self._short_of_room:
                return None
            entry.users += 1
            return entry

    def _make_room(self, name: str, needs_bytes: int, still_wanted: Callable[[], None]) -> None:
        if needs_bytes > self._budget_bytes:
            raise EngineError(
                f"{name} needs {needs_bytes / 1e9:.1f} GB and may use {self._budget_bytes / 1e9:.1f} GB of memory; "
                "choose a smaller model, or raise musicgen.memory_mb"
            )
        while True:
            leaving: list[_Entry[M]] = []
            with self._changed:
                # A broken model's users are all on their way out: it answers every one of them with its error.
                idle = sorted(
                    (entry.idle_since_s, other)
                    for other, entry in self._entries.items()
                    if entry.users == 0 or entry.model.broken
                )
                for _, other in idle:
                    if self._entries[other].model.broken or self._held() + needs_bytes > self._budget_bytes:
                        leaving.append(self._entries.pop(other))
                fits = self._held() + needs_bytes <= self._budget_bytes
                self._short_of_room = not fits and not leaving
                if self._short_of_room:
                    self._changed.wait(_LOOK_S)
            for entry in leaving:
                entry.model.close()
            if fits:
                return
            still_wanted()

    def _held(self) -> int:
        return sum(entry.bytes for entry in self._entries.values())
