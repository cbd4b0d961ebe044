from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ardour_session.superclock import (
    SUPERCLOCKS_PER_SECOND,
    natural_log,
    samples_to_superclocks,
    simplest_tempo,
    superclocks_per_note,
    superclocks_to_samples,
)

USUAL_RATES_HZ = (22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)


@given(st.integers(0, 2**50), st.sampled_from(USUAL_RATES_HZ))
def test_a_position_survives_the_way_to_superclocks_and_back_far_beyond_what_a_float_holds(samples, rate_hz):
    superclocks = samples_to_superclocks(samples, rate_hz)
    assert superclocks * rate_hz == samples * SUPERCLOCKS_PER_SECOND
    assert superclocks_to_samples(superclocks, rate_hz) == samples


def test_a_superclock_inside_a_sample_belongs_to_that_sample_as_in_ardour():
    assert superclocks_to_samples(5879, 48_000) == 0
    assert superclocks_to_samples(5880, 48_000) == 1
    assert superclocks_to_samples(-1, 48_000) == -1


@given(st.fractions(Fraction(20), Fraction(400), max_denominator=20))
def test_a_tempo_that_a_person_writes_is_kept_exactly(bpm):
    assert simplest_tempo(bpm) == bpm


def test_a_tempo_on_the_edge_between_two_lengths_moves_off_it_so_that_its_decimal_text_keeps_the_length():
    edge = Fraction(8192, 45)  # 93 023 437.5 superclocks a note
    tempo = simplest_tempo(edge)
    assert 0 < abs(tempo - edge) < Fraction(1, 10**5)
    assert superclocks_per_note(Fraction(repr(float(tempo)))) == superclocks_per_note(edge)


def test_the_tempo_that_ardour_saves_for_93_is_93():
    assert simplest_tempo(Fraction("92.999999785820577")) == 93
    assert simplest_tempo(120.1) == Fraction(1201, 10)


@given(st.floats(1, 2000))
def test_the_simplest_tempo_is_the_same_tempo_to_ardour_and_stays_itself(bpm):
    tempo = simplest_tempo(bpm)
    assert superclocks_per_note(tempo) == superclocks_per_note(Fraction(bpm))
    assert simplest_tempo(tempo) == tempo
    assert simplest_tempo(float(tempo)) == tempo


@pytest.mark.parametrize("bpm", [0, -120, float("nan"), float("inf"), 1e20])
def test_a_tempo_that_cannot_be_is_refused(bpm):
    with pytest.raises(ValueError, match="tempo"):
        simplest_tempo(bpm)


def test_the_logarithm_carries_more_digits_than_a_float():
    # e from its series, to forty digits
    e, term = Fraction(0), Fraction(1)
    for n in range(1, 40):
        e, term = e + term, term / n
    assert abs(natural_log(e) - 1) < Fraction(1, 10**40)
