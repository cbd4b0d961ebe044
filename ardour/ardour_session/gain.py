"""Decibels and the factors that a session file holds."""

from __future__ import annotations

from math import inf, log10

MAX_FADER_DB = 6.0
"""Where Ardour's faders end by default."""


def gain_factor(gain_db: float) -> float:
    """The factor for a gain; minus infinity is silence."""
    return 0.0 if gain_db == -inf else 10.0 ** (gain_db / 20.0)


def gain_db(factor: float) -> float:
    """The gain of a factor, in decibels. The sign, an inverted phase, is dropped."""
    return -inf if factor == 0 else 20.0 * log10(abs(factor))
