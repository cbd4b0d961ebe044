from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.request import Key, Meter, exact_fraction


@given(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_a_meter_reads_what_it_writes(beats, note_value):
    meter = Meter(beats, note_value)
    assert Meter.parse(str(meter)) == meter
    assert meter.quarters_per_bar == Fraction(4 * beats, note_value)


@given(st.sampled_from("ABCDEFG"), st.sampled_from(["", "#", "b"]), st.sampled_from(["major", "minor"]))
def test_a_key_reads_what_it_writes(letter, accidental, mode):
    key = Key(letter + accidental, mode)
    assert Key.parse(str(key)) == key


@pytest.mark.parametrize(
    ("text", "pitch_class"),
    [("C", 0), ("B", 11), ("Bb", 10), ("B#", 0), ("Cb", 11), ("F# minor", 6), ("ebm", 3)],
)
def test_pitch_classes(text, pitch_class):
    assert Key.parse(text).pitch_class == pitch_class


def test_a_tempo_is_the_decimal_that_was_written():
    assert exact_fraction(93.1) == Fraction(931, 10)
