"""`KnownEngines`: what the daemon knows of the installed engines, without asking them each time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dgx_music.engines.registry import choose_engine, engine_class

if TYPE_CHECKING:
    from dgx_music.engines.base import Availability, EngineSettings

__all__ = ["KnownEngines"]

_KEPT_S = 10.0
"""For how long an engine's availability is believed before it is asked again."""


class KnownEngines:
    """Asks engines for their availability, and believes the answer for a while."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._kept: dict[str, tuple[float, str, Availability]] = {}
        self._jobs_at_once: dict[str, int] = {}

    def choose(self, wanted: str) -> tuple[str, Availability]:
        """Turn the name in a request into the engine that will make it; see `choose_engine`.

        Raises:
            EngineUnavailableError: the engine asked for is not installed or cannot be used, and why.
        """
        now_s = time.monotonic()
        kept = self._kept.get(wanted)
        if kept is None or kept[0] < now_s:
            kept = (now_s + _KEPT_S, *choose_engine(wanted, self._settings))
            self._kept[wanted] = kept
            self._jobs_at_once[kept[1]] = kept[2].jobs_at_once
        return kept[1], kept[2]

    def jobs_at_once(self, engine: str) -> int:
        """Return how many of an engine's jobs may run together; 1 where that cannot be found out."""
        if engine not in self._jobs_at_once:
            try:
                found = engine_class(engine).availability(self._settings).jobs_at_once
            except Exception:  # noqa: BLE001 - a job may be older than its engine's last change; the worker will say what is wrong
                found = 1
            self._jobs_at_once[engine] = found
        return self._jobs_at_once[engine]
