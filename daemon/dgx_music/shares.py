"""`Shares`: what each of several jobs costs that an engine makes together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Shares"]


@dataclass
class _Share:
    engine: str
    seconds: float = 0.0


class Shares:
    """Divides an engine's time among the jobs that it works on at each moment.

    A second in which four jobs run costs each of them a quarter. The shares of all jobs add up to the time in which
    the engine was busy, so that seconds of share over seconds of audio is the throughput's inverse, whatever the
    company. Alone, a job's share is the time that it took.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shares: dict[str, _Share] = {}
        self._until_s = clock()

    def begin(self, job_id: str, engine: str) -> None:
        """A job begins now."""
        self._settle()
        self._shares[job_id] = _Share(engine)

    def end(self, job_id: str) -> float:
        """A job ends now; return its share, in seconds."""
        self._settle()
        return self._shares.pop(job_id).seconds

    def _settle(self) -> None:
        now_s = self._clock()
        passed_s, self._until_s = now_s - self._until_s, now_s
        for share in self._shares.values():
            together = sum(other.engine == share.engine for other in self._shares.values())
            share.seconds += passed_s / together
