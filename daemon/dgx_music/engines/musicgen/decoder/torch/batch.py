"""Who is in the batch, and where: takes, their rows of the cache and of its text, always without gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Batch", "Entry", "Moves"]


@dataclass
class Entry:
    """A take in the batch."""

    handle: int
    rows: list[int]
    """Rows of the cache, one a condition."""
    texts: list[int]
    """Rows of the cache's text, one for each condition that has text."""
    text_conditions: list[int]
    """Which conditions these are."""
    start: int
    """Position of step 0, after the prefix."""
    steps: int
    queued: int
    """Steps that were given to the device, or that the prompt made needless."""
    returned: int
    """The same for those whose tokens were handed out."""

    @property
    def positions(self) -> int:
        """Positions of the cache that are filled, with that of the step to come."""
        return self.start + min(self.queued + 1, self.steps)

    @property
    def final_positions(self) -> int:
        """Positions of the cache that it will have filled in the end."""
        return self.start + self.steps

    @property
    def last_queued(self) -> bool:
        """Whether its last step was given to the device."""
        return self.queued >= self.steps


@dataclass
class Moves:
    """What has to be copied, each from one number over another, to close the gaps that a take has left."""

    lines: list[tuple[int, int]] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    """With the number of positions."""
    texts: list[tuple[int, int]] = field(default_factory=list)


class Batch:
    """Takes in their order; the number of a take is its line."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def rows(self) -> int:
        """How many rows are taken: those from 0 on."""
        return sum(len(entry.rows) for entry in self._entries)

    @property
    def texts(self) -> int:
        """How many rows of text are taken: those from 0 on."""
        return sum(len(entry.texts) for entry in self._entries)

    @property
    def row_of_text(self) -> list[int]:
        """The row that each row of text belongs to."""
        owners = {
            text: entry.rows[condition]
            for entry in self._entries
            for text, condition in zip(entry.texts, entry.text_conditions, strict=True)
        }
        return [owners[text] for text in range(self.texts)]

    def line(self, handle: int) -> int:
        """Return the take's line."""
        return next(line for line, entry in enumerate(self._entries) if entry.handle == handle)

    def __getitem__(self, handle: int) -> Entry:
        return self._entries[self.line(handle)]

    def join(
        self, handle: int, conditions: int, text_conditions: list[int], start: int, steps: int, first: int
    ) -> Entry:
        """Put a take behind all others."""
        entry = Entry(
            handle=handle,
            rows=[self.rows + number for number in range(conditions)],
            texts=[self.texts + number for number in range(len(text_conditions))],
            text_conditions=text_conditions,
            start=start,
            steps=steps,
            queued=first,
            returned=first,
        )
        self._entries.append(entry)
        return entry

    def leave(self, handle: int) -> Moves:
        """Take a take out; the last ones move to where it was."""
        moves = Moves()
        line = self.line(handle)
        left = self._entries.pop(line)
        if line < len(self._entries):
            moves.lines.append((len(self._entries), line))
            self._entries.insert(line, self._entries.pop())
        free_rows = [row for row in left.rows if row < self.rows]
        free_texts = [text for text in left.texts if text < self.texts]
        for entry in self._entries:
            for number, row in enumerate(entry.rows):
                if row >= self.rows:
                    entry.rows[number] = free_rows.pop()
                    moves.rows.append((row, entry.rows[number], entry.positions))
            for number, text in enumerate(entry.texts):
                if text >= self.texts:
                    entry.texts[number] = free_texts.pop()
                    moves.texts.append((text, entry.texts[number]))
        return moves
