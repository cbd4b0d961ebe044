"""`Blame`: which job a worker's death is held against."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dgx_music.host.process import DiedInCompanyError, EndedForAnotherError

if TYPE_CHECKING:
    from dgx_music.errors import WorkerDiedError

__all__ = ["Blame"]


class Blame:
    """Counts the deaths that are a job's own: those of a worker in which nothing else ran.

    When a worker dies on several jobs, any of them may have done it. None of them gets a strike; all become suspects,
    and while there are suspects the dispatcher runs one job at a time. The guilty one then dies alone, and only it is
    given up; the others end, and with the last suspect's end jobs run together again. Jobs that can only not be made
    together are thereby made one by one. A job that times out among others is a suspect, too; they are not, and they
    lose nothing but the time.
    """

    def __init__(self) -> None:
        self._strikes: Counter[str] = Counter()
        self._suspects: set[str] = set()

    @property
    def one_at_a_time(self) -> bool:
        """Whether no two jobs may run together now."""
        return bool(self._suspects)

    def died(self, job_id: str, err: WorkerDiedError) -> int:
        """Note a death; return how many of its own the job has now."""
        if isinstance(err, EndedForAnotherError):
            return self._strikes[job_id]
        self.suspect(job_id)
        if not isinstance(err, DiedInCompanyError):
            self._strikes[job_id] += 1
        return self._strikes[job_id]

    def suspect(self, job_id: str) -> None:
        """Let the job run alone until it has ended: what happened to it may be its own fault or another's."""
        self._suspects.add(job_id)

    def ended(self, job_id: str) -> None:
        """The job is over, however it ended."""
        self._suspects.discard(job_id)
        self._strikes.pop(job_id, None)

    def nothing_waits(self) -> None:
        """The queue is empty and nothing runs, so nobody is left to suspect."""
        self._suspects.clear()
        self._strikes.clear()
