"""How the two session formats spell positions and lengths.

Format 7xxx (Ardour 7 to 9): `a123` is 123 superclocks, `b123` is 123 ticks of a quarter note, and a region's `length`
reads `a<length>@a<position>`. Format 6000 (Ardour 6): plain sample numbers, with the position in its own attribute.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from math import expm1, log1p
from typing import TYPE_CHECKING

from .errors import SessionError
from .superclock import (
    TICKS_PER_QUARTER,
    samples_to_superclocks,
    superclocks_to_samples,
)
from .xml_file import tag_of

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_TIME = re.compile(r"([ab]?)(-?\d+)")
_QUARTERS = re.compile(r"(-?\d+):(-?\d+)")


class FileFormat(IntEnum):
    """The formats that can be written: the value is the `version` of the file."""

    ARDOUR_6 = 6000
    """Opens in Ardour 6 and later; Ardour 7 and later keep a copy and say that they convert it. No tempo glides."""
    ARDOUR_7 = 7002
    """Opens in Ardour 7, 8 and 9 without a word."""


@dataclass(frozen=True)
class TimeWriter:
    """Spells positions in samples for one session."""

    file_format: FileFormat
    sample_rate_hz: int

    def position(self, samples: int) -> str:
        if self.file_format is FileFormat.ARDOUR_6:
            return str(samples)
        return f"a{samples_to_superclocks(samples, self.sample_rate_hz)}"

    def region_times(self, position_samples: int, length_samples: int, start_samples: int) -> dict[str, str]:
        """The attributes that place a region."""
        position, length = self.position(position_samples), self.position(length_samples)
        start = self.position(start_samples)
        if self.file_format is FileFormat.ARDOUR_6:
            return {
                "start": start,
                "length": length,
                "position": position,
                "positional-lock-style": "AudioTime",
            }
        return {"start": start, "length": f"{length}@{position}"}

    def location_extras(self) -> dict[str, str]:
        """What a location needs besides start and end."""
        return {"position-lock-style": "AudioTime"} if self.file_format is FileFormat.ARDOUR_6 else {}


@dataclass(frozen=True)
class TempoAnchor:
    """A tempo as a session file states it: where it stands in both kinds of time, and how long its quarters are.

    `omega` is the growth of a ramp: the tempo at t superclocks past the anchor is exp(omega * t) times that at the
    anchor, so that (exp(omega * t) - 1) / (superclocks_per_quarter * omega) quarter notes have passed.
    """

    quarters: Fraction
    superclock: int
    superclocks_per_quarter: Fraction
    omega: float

    def superclock_at(self, quarters: Fraction) -> Fraction:
        distance = quarters - self.quarters
        if self.omega == 0:
            return self.superclock + distance * self.superclocks_per_quarter
        growth = float(self.superclocks_per_quarter) * self.omega * float(distance)
        return self.superclock + Fraction(log1p(growth) / self.omega)

    def quarters_at(self, superclock: Fraction) -> Fraction:
        elapsed = superclock - self.superclock
        if self.omega == 0:
            return self.quarters + elapsed / self.superclocks_per_quarter
        growth = expm1(self.omega * float(elapsed))
        return self.quarters + Fraction(growth / (float(self.superclocks_per_quarter) * self.omega))


@dataclass(frozen=True)
class TimeReader:
    """Reads positions of one session file as samples, as Ardour would play them."""

    sample_rate_hz: int
    superclocks_per_second: int
    anchors: tuple[TempoAnchor, ...]

    def position(self, element: Element, attribute: str) -> int:
        """The sample of an attribute such as a location's `start`."""
        return self._samples(_required(element, attribute), element, attribute)

    def region_times(self, element: Element) -> tuple[int, int, int]:
        """Position, length and start in the source of a region, in samples."""
        length, at, position = _required(element, "length").partition("@")
        start_samples = self.position(element, "start") if "start" in element.attrib else 0
        if not at:
            position_samples = self.position(element, "position") if "position" in element.attrib else 0
            return position_samples, self._samples(length, element, "length"), start_samples
        position_samples = self._samples(position, element, "length")
        if not length.startswith("b"):
            return position_samples, self._samples(length, element, "length"), start_samples
        # A musical length lasts as long as the tempo at its position makes it.
        begin = self._superclocks(position, element, "length")
        ticks = self._quarters_at(begin) * TICKS_PER_QUARTER + self._parse(length, element, "length")[1]
        end = self._superclock_at(ticks / TICKS_PER_QUARTER)
        return position_samples, self._to_samples(end - begin), start_samples

    def _samples(self, text: str, element: Element, attribute: str) -> int:
        kind, count = self._parse(text, element, attribute)
        return count if not kind else self._to_samples(self._superclocks(text, element, attribute))

    def _superclocks(self, text: str, element: Element, attribute: str) -> Fraction:
        kind, count = self._parse(text, element, attribute)
        if kind == "b":
            return self._superclock_at(Fraction(count, TICKS_PER_QUARTER))
        if kind == "a":
            return Fraction(count)
        return Fraction(count * self.superclocks_per_second, self.sample_rate_hz)

    @staticmethod
    def _parse(text: str, element: Element, attribute: str) -> tuple[str, int]:
        parsed = _TIME.fullmatch(text)
        if parsed is None:
            raise SessionError(
                f"<{tag_of(element)} {attribute}={text!r}> is no time: samples, a<superclocks> or b<ticks> are",
                line=element.sourceline,
            )
        return parsed[1], int(parsed[2])

    def _to_samples(self, superclocks: Fraction) -> int:
        return superclocks_to_samples(superclocks, self.sample_rate_hz, self.superclocks_per_second)

    def _superclock_at(self, quarters: Fraction) -> Fraction:
        index = bisect_right(self.anchors, quarters, key=lambda anchor: anchor.quarters) - 1
        return self.anchors[max(index, 0)].superclock_at(quarters)

    def _quarters_at(self, superclock: Fraction) -> Fraction:
        index = bisect_right(self.anchors, superclock, key=lambda anchor: Fraction(anchor.superclock)) - 1
        return self.anchors[max(index, 0)].quarters_at(superclock)


def quarters_text(quarters: Fraction) -> str:
    """Quarter notes as Ardour spells them: `quarters:ticks`."""
    whole, ticks = divmod(int(quarters * TICKS_PER_QUARTER), TICKS_PER_QUARTER)
    return f"{whole}:{ticks}"


def read_quarters(element: Element) -> Fraction:
    text = _required(element, "quarters")
    parsed = _QUARTERS.fullmatch(text)
    if parsed is None:
        raise SessionError(
            f"<{tag_of(element)} quarters={text!r}> should read like 4:960", line=element.sourceline
        )
    return Fraction(int(parsed[1]) * TICKS_PER_QUARTER + int(parsed[2]), TICKS_PER_QUARTER)


def _required(element: Element, attribute: str) -> str:
    value = element.get(attribute)
    if value is None:
        raise SessionError(f"<{tag_of(element)}> has no {attribute!r}", line=element.sourceline)
    return value
