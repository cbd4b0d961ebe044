from __future__ import annotations

from fractions import Fraction
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ardour_session import BarBeatTick, MeterChange, TempoChange, TempoMap
from ardour_session.superclock import SUPERCLOCKS_PER_SECOND


def test_thousands_of_bars_at_an_odd_tempo_do_not_drift_by_a_sample():
    tempo_map = TempoMap.constant(93)
    # 4 quarters a bar, 60/93 s a quarter
    assert (
        tempo_map.superclock_at(Fraction(4 * 12_345))
        == Fraction(4 * 12_345 * 60, 93) * SUPERCLOCKS_PER_SECOND
    )
    assert tempo_map.sample_at_bar(12_346, 48_000) == round(Fraction(4 * 12_345 * 60 * 48_000, 93))


def test_tempo_changes_add_up_exactly():
    tempo_map = TempoMap((TempoChange(90), TempoChange(120, 8), TempoChange(Fraction(77, 2), 12)))
    seconds = 8 * Fraction(60, 90) + 4 * Fraction(60, 120) + 2 * Fraction(60 * 2, 77)
    assert tempo_map.superclock_at(Fraction(14)) == seconds * SUPERCLOCKS_PER_SECOND


def test_a_glide_takes_the_time_of_the_logarithmic_mean_tempo():
    tempo_map = TempoMap((TempoChange(100, 0, 4, 140), TempoChange(140, 8)))
    seconds = 60 * 8 * log(140 / 100) / (140 - 100)
    assert float(tempo_map.superclock_at(Fraction(8))) == pytest.approx(
        seconds * SUPERCLOCKS_PER_SECOND, abs=1
    )
    # and past it the tempo is constant
    after = tempo_map.superclock_at(Fraction(9)) - tempo_map.superclock_at(Fraction(8))
    assert after == Fraction(60, 140) * SUPERCLOCKS_PER_SECOND


@given(
    st.fractions(Fraction(30), Fraction(300), max_denominator=4), st.fractions(Fraction(30), Fraction(300))
)
def test_time_runs_forward_through_every_glide(start, end):
    tempo_map = TempoMap((TempoChange(start, 0, 4, end), TempoChange(end, 16)))
    times = [tempo_map.superclock_at(Fraction(quarter, 2)) for quarter in range(40)]
    assert times == sorted(set(times))


def test_a_tempo_in_eighths_is_half_as_many_quarters():
    assert TempoMap((TempoChange(180, 0, 8),)).superclock_at(Fraction(3)) == 2 * SUPERCLOCKS_PER_SECOND


def test_bars_of_changing_meters_are_counted_by_their_own_beats():
    tempo_map = TempoMap(meters=(MeterChange(4, 4), MeterChange(7, 8, bar=3), MeterChange(3, 4, bar=5)))
    assert [tempo_map.quarters_at_bar(bar) for bar in range(1, 8)] == [0, 4, 8, Fraction(23, 2), 15, 18, 21]
    assert tempo_map.bar_beat_tick_at(Fraction(8) + Fraction(3, 4)) == BarBeatTick(3, 2, 480)
    assert str(tempo_map.bar_beat_tick_at(Fraction(16))) == "5|2|0"


@given(st.integers(1, 200))
def test_every_bar_starts_on_its_first_beat(bar):
    tempo_map = TempoMap(meters=(MeterChange(5, 4), MeterChange(7, 16, bar=4), MeterChange(2, 2, bar=9)))
    assert tempo_map.bar_beat_tick_at(tempo_map.quarters_at_bar(bar)) == BarBeatTick(bar)


def test_a_glide_to_its_own_tempo_is_no_glide():
    assert TempoChange(120, 0, 4, 120) == TempoChange(120)


@pytest.mark.parametrize(
    ("tempos", "meters", "reason"),
    [
        ((), (MeterChange(),), "quarter 0"),
        ((TempoChange(120, 4),), (MeterChange(),), "quarter 0"),
        ((TempoChange(120),), (MeterChange(bar=2),), "bar 1"),
        ((TempoChange(120), TempoChange(90, 8), TempoChange(91, 8)), (MeterChange(),), "after"),
        ((TempoChange(120),), (MeterChange(), MeterChange(bar=3), MeterChange(bar=2)), "after"),
        ((TempoChange(120, 0, 4, 90),), (MeterChange(),), "glide"),
    ],
)
def test_a_map_that_ardour_could_not_play_is_refused(tempos, meters, reason):
    with pytest.raises(ValueError, match=reason):
        TempoMap(tempos, meters)


def test_positions_between_ticks_and_odd_note_types_are_refused():
    with pytest.raises(ValueError, match="tick"):
        TempoChange(120, Fraction(1, 7))
    with pytest.raises(ValueError, match="note type"):
        MeterChange(4, 3)
    with pytest.raises(ValueError, match="at least one beat"):
        MeterChange(0, 4)
