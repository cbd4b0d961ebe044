"""How a bar is felt: pulses with roles, for any meter, and swing inside a pulse.

A pulse is what a foot taps: a quarter in 4/4, a dotted quarter in 12/8, groups of two and three eighths in 7/8.
Rhythms are written per role in sixteenths of a pulse, so one pattern plays in every meter.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dgx_music.request import Meter

__all__ = ["STRAIGHT", "Cells", "Pulse", "Role", "Swing", "pulses_of", "read_cells"]

Role = Literal["one", "strong", "back", "weak"]


@dataclass(frozen=True)
class Pulse:
    """One tap of the foot; times in quarter notes from the bar line."""

    onset: Fraction
    length: Fraction
    step: Fraction
    """The grid inside the pulse, a sixteenth note or, in n/32, half of one."""
    role: Role
    """`one` starts the bar, `strong` starts a later group, `back` is the backbeat, `weak` the rest."""

    @property
    def steps(self) -> int:
        """How many grid steps the pulse has."""
        return int(self.length / self.step)


@dataclass(frozen=True)
class Cells:
    """A one-bar rhythm: for each role a string of four steps; `a|b` takes turns within the bar.

    Pulses longer than four steps are padded with rests, or repeat the cell where `rolling`.
    """

    one: str = "...."
    strong: str = "...."
    back: str = "...."
    weak: str = "...."
    rolling: bool = False

    @classmethod
    def every(cls, cell: str, *, rolling: bool = False) -> Cells:
        """Return the rhythm with the same cell in every pulse."""
        return cls(cell, cell, cell, cell, rolling)


@dataclass(frozen=True)
class Swing:
    """Where the offbeat falls: `ratio` of a pair of `unit`s, in quarter notes; 1/2 is straight."""

    unit: Fraction = Fraction(1, 2)
    ratio: Fraction = Fraction(1, 2)

    def warp(self, pulse: Pulse, position: Fraction) -> Fraction:
        """Move a straight position inside a pulse (0 to its length) to its swung place.

        Pairs are counted from the pulse's start; a unit left over at its end (7/8, 12/8) stays straight.
        """
        pair = 2 * self.unit
        index = position // pair
        start = index * pair
        if start + pair > pulse.length or position >= pulse.length:
            return position
        inside = position - start
        if inside < self.unit:
            return start + inside * 2 * self.ratio
        return start + pair * self.ratio + (inside - self.unit) * 2 * (1 - self.ratio)


STRAIGHT = Swing()
"""No swing."""


def pulses_of(meter: Meter) -> tuple[Pulse, ...]:
    """Return the pulses of a bar, 1/1 to 32/32."""
    note = Fraction(4, meter.note_value)
    step = min(Fraction(1, 4), note)
    if meter.note_value <= 4:
        lengths = [Fraction(1)] * int(meter.quarters_per_bar)
    else:
        lengths = [note * count for count in _group_sizes(meter.beats, meter.note_value)]
    pulses = []
    onset = Fraction(0)
    for length, role in zip(lengths, _roles(len(lengths)), strict=True):
        pulses.append(Pulse(onset, length, step, role))
        onset += length
    return tuple(pulses)


def read_cells(cells: Cells, pulses: tuple[Pulse, ...]) -> list[tuple[Pulse, Fraction, str]]:
    """Return `(pulse, straight position inside it, character)` for every step that is not a rest.

    A meter without a `strong` pulse plays that role's cell on its backbeat, where the backbeat has nothing.
    """
    by_role: dict[Role, list[str]] = {
        "one": cells.one.split("|"),
        "strong": cells.strong.split("|"),
        "back": cells.back.split("|"),
        "weak": cells.weak.split("|"),
    }
    if not any(pulse.role == "strong" for pulse in pulses) and not cells.back.strip("."):
        by_role["back"] = by_role["strong"]
    seen: dict[Role, int] = {}
    found = []
    for pulse in pulses:
        options = by_role[pulse.role]
        turn = seen.get(pulse.role, 0)
        seen[pulse.role] = turn + 1
        cell = options[turn % len(options)]
        for index in range(pulse.steps):
            if index >= len(cell) and not cells.rolling:
                break
            mark = cell[index % len(cell)]
            if mark != ".":
                found.append((pulse, index * pulse.step, mark))
    return found


def _group_sizes(beats: int, note_value: int) -> list[int]:
    """Group eighths or shorter into pulses: 7/8 gives 2+2+3, 12/8 four threes, 15/16 4+4+4+3."""
    if beats % 3 == 0 and (note_value == 8 or beats in (3, 6, 9, 12)):
        return [3] * (beats // 3)
    if note_value == 8:
        return _twos_and_threes(beats)
    fours, rest = divmod(beats, 4)
    if rest == 0:
        return [4] * fours
    if rest == 3:
        return [4] * fours + [3]
    if rest == 2:
        return [4] * fours + [2]
    return [4] * (fours - 1) + [3, 2] if fours else [1]


def _twos_and_threes(beats: int) -> list[int]:
    if beats == 1:
        return [1]
    if beats % 2 == 0 and beats <= 4:
        return [2] * (beats // 2)
    if beats == 7:
        return [2, 2, 3]
    threes = (beats - 1) // 3 if beats % 3 == 1 else beats // 3
    while (beats - 3 * threes) % 2:
        threes -= 1
    return [3] * threes + [2] * ((beats - 3 * threes) // 2)


def _roles(count: int) -> list[Role]:
    """Pulses in pairs, an odd number with a group of three: at the start of five, else at the end."""
    if count == 1:
        return ["one"]
    pair: list[Role] = ["strong", "back"]
    three: list[Role] = ["strong", "weak", "back"]
    if count in (3, 6, 9):
        roles = three * (count // 3)
    elif count == 5:
        roles = three + pair
    elif count % 2:
        roles = pair * ((count - 3) // 2) + three
    else:
        roles = pair * (count // 2)
    return ["one", *roles[1:]]
