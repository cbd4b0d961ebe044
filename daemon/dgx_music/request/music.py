"""Meter and key, as musicians write them, in one canonical form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Key", "Meter", "canonical_meter", "exact_fraction"]

_METER = re.compile(r"^\s*(\d{1,2})\s*/\s*(\d{1,2})\s*$")
_KEY = re.compile(
    r"^\s*([A-Ga-g])\s*(#|♯|sharp|b|♭|flat)?\s*[- ]?\s*(major|maj|minor|min|m|M)?\s*$",
)
_PITCH_CLASS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def exact_fraction(value: float) -> Fraction:
    """Return the decimal that a float was written as: 93.1 gives 931/10, not its binary neighbour."""
    return Fraction(repr(float(value)))


@dataclass(frozen=True)
class Meter:
    """A time signature. Tempo counts quarter notes, as Ardour's does, whatever the meter's note value."""

    beats: int
    """Divisions per bar, 1 to 32."""
    note_value: int
    """What note a division is: 1, 2, 4, 8, 16 or 32."""

    @classmethod
    def parse(cls, text: str) -> Meter:
        """Read `n/d`.

        Raises:
            ValueError: with a sentence that says what would be right.
        """
        match = _METER.match(text)
        if match:
            beats, note_value = int(match[1]), int(match[2])
            if 1 <= beats <= 32 and note_value in (1, 2, 4, 8, 16, 32):
                return cls(beats, note_value)
        raise ValueError(f"{text!r} is not a meter; write beats/note value, such as 4/4, 7/8 or 12/8")

    def __str__(self) -> str:
        return f"{self.beats}/{self.note_value}"

    @property
    def quarters_per_bar(self) -> Fraction:
        """The bar's length in quarter notes: 4 for 4/4, 7/2 for 7/8."""
        return Fraction(self.beats * 4, self.note_value)


def canonical_meter(value: object) -> object:
    """Return a meter's text in its one form; what is no text is left to whoever checks it next.

    Raises:
        ValueError: the text is no meter.
    """
    return str(Meter.parse(value)) if isinstance(value, str) else value


@dataclass(frozen=True)
class Key:
    """A tonic and a mode."""

    tonic: str
    """`C`, `C#`, `Db` … as written."""
    mode: str
    """`major` or `minor`."""

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read `C# minor`, `Bb`, `f#m`, `Eb maj`: a bare tonic means major.

        Raises:
            ValueError: with a sentence that says what would be right.
        """
        match = _KEY.match(text)
        if not match:
            raise ValueError(
                f"{text!r} is not a key; write a tonic and a mode, such as 'C# minor' or 'Bb major'"
            )
        accidental = {"": "", "#": "#", "♯": "#", "sharp": "#", "b": "b", "♭": "b", "flat": "b"}[
            match[2] or ""
        ]
        mode = "minor" if (match[3] or "") in ("minor", "min", "m") else "major"
        return cls(match[1].upper() + accidental, mode)

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    @property
    def pitch_class(self) -> int:
        """The tonic's pitch class, 0 for C to 11 for B."""
        shift = self.tonic.count("#") - self.tonic[1:].count("b")
        return (_PITCH_CLASS[self.tonic[0]] + shift) % 12
