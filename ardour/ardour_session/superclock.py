"""Ardour's time units, in whole numbers only.

Since version 7 Ardour counts time in superclocks, 282 240 000 a second: every usual sample rate divides that number,
so that a position in samples is a whole number of superclocks. Musical time is counted in quarter notes of 1920 ticks.
Nothing in this module is a float: a position that goes through a float can come back one sample off.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor

SUPERCLOCKS_PER_SECOND = 282_240_000
TICKS_PER_QUARTER = 1920


def round_half_up(value: Fraction) -> int:
    """The nearest whole number; a half goes up, at zero and below as well as above."""
    return floor(value + Fraction(1, 2))


def samples_to_superclocks(
    samples: int, sample_rate_hz: int, superclocks_per_second: int = SUPERCLOCKS_PER_SECOND
) -> int:
    """The superclock of a sample, exact at every rate that divides a second of superclocks, else the nearest."""
    return round_half_up(Fraction(samples * superclocks_per_second, sample_rate_hz))


def superclocks_to_samples(
    superclocks: int | Fraction, sample_rate_hz: int, superclocks_per_second: int = SUPERCLOCKS_PER_SECOND
) -> int:
    """The sample that Ardour plays at a superclock: rounded down, as it does everywhere."""
    return floor(Fraction(superclocks) * sample_rate_hz / superclocks_per_second)


def superclocks_per_note(notes_per_minute: Fraction) -> int:
    """The length of one note at a tempo, rounded to whole superclocks as Ardour does when it loads a tempo."""
    return round_half_up(60 * SUPERCLOCKS_PER_SECOND / notes_per_minute)


def simplest_tempo(notes_per_minute: Fraction | float) -> Fraction:
    """The tempo with the smallest denominator that is the same tempo to Ardour.

    Ardour keeps a tempo as a whole number of superclocks per note, so 93 comes back from a saved session as
    92.999999785820577. Both are the same number of superclocks; this gives 93 for both. The simplest fraction in the
    interval of tempos with that number is found by its continued fraction (Stern-Brocot tree).

    Raises:
        ValueError: the tempo is not a finite number above zero.
    """
    try:
        exact = Fraction(notes_per_minute)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"a tempo must be a finite number, not {notes_per_minute}") from error
    if exact <= 0:
        raise ValueError(f"a tempo must be above 0, not {notes_per_minute}")
    length = superclocks_per_note(exact)
    if length < 1:
        raise ValueError(f"a tempo of {notes_per_minute} is faster than Ardour's clock")
    # A length of n superclocks is written for every length in [n - 1/2, n + 1/2).
    shortest, longest = Fraction(2 * length - 1, 2), Fraction(2 * length + 1, 2)
    minute = 60 * SUPERCLOCKS_PER_SECOND
    return _simplest_between(minute / longest, minute / shortest)


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator with low < fraction < high, for 0 <= low < high."""
    whole = floor(low)
    if whole + 1 < high:
        return Fraction(whole + 1)
    # No whole number lies between: descend into the fractional part, which turns the bounds around.
    above = high - whole
    below = low - whole
    if below == 0:
        return whole + Fraction(1, floor(1 / above) + 1)
    return whole + 1 / _simplest_between(1 / above, 1 / below)


def natural_log(value: Fraction) -> Fraction:
    """The natural logarithm to fifty digits: far below a superclock on any timeline."""
    with localcontext() as context:
        context.prec = 50
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).ln())
