"""A place in a session as a musician writes it: `12` or `12.3` for a bar and beat, `480000` for a sample.

Whole numbers above 9999 are samples, for no session has that many bars; `5000samples` says so of smaller ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music.errors import RequestError

if TYPE_CHECKING:
    from ardour_session import Grid

__all__ = ["Place"]

_SAMPLES = re.compile(r"\s*(\d{1,14})\s*(samples?)?\s*", re.IGNORECASE)
_BAR = re.compile(r"\s*(\d{1,4})(?:[.|](\d{1,2}))?\s*")
_LAST_BAR = 9999


@dataclass(frozen=True)
class Place:
    """A bar and beat, or a sample; exactly one of the two."""

    bar: int | None = None
    """Counted from 1."""
    beat: int = 1
    samples: int | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read what stands behind `--at`.

        Raises:
            RequestError: with a sentence that says what would be right.
        """
        if (found := _SAMPLES.fullmatch(text)) and (found[2] or not 1 <= int(found[1]) <= _LAST_BAR):
            return cls(samples=int(found[1]))
        if (found := _BAR.fullmatch(text)) and int(found[1]) >= 1:
            return cls(bar=int(found[1]), beat=int(found[2] or 1))
        raise RequestError(
            f"--at {text}: is no place in a session; write a bar such as 12, a bar and beat such as 12.3 (both count"
            " from 1), or samples such as 480000, 5000samples"
        )

    def sample(self, grid: Grid) -> int:
        """Return the sample of a session at which the place lies.

        Raises:
            SessionError: the session has no such bar or beat.
        """
        if self.bar is None:
            return self.samples or 0
        return grid.sample_at(grid.quarters_at_bar(self.bar, self.beat))
