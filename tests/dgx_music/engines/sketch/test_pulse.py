"""Meters: any bar is filled by its pulses, and swing moves only offbeats."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.sketch.pulse import Cells, Swing, pulses_of, read_cells
from dgx_music.request import Meter

METERS = st.builds(Meter, st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32]))


@settings(max_examples=40, deadline=None)
@given(METERS)
def test_pulses_fill_every_bar_without_a_gap(meter):
    pulses = pulses_of(meter)
    place = Fraction(0)
    for pulse in pulses:
        assert pulse.onset == place
        assert pulse.steps * pulse.step == pulse.length
        place += pulse.length
    assert place == meter.quarters_per_bar
    assert [pulse.role for pulse in pulses].count("one") == 1


@pytest.mark.parametrize(
    ("meter", "lengths"),
    [
        ("4/4", [1, 1, 1, 1]),
        ("2/2", [1, 1, 1, 1]),
        ("7/8", [1, 1, "3/2"]),
        ("5/8", ["3/2", 1]),
        ("12/8", ["3/2"] * 4),
        ("15/16", [1, 1, 1, "3/4"]),
        ("9/16", ["3/4"] * 3),
        ("8/8", ["3/2", "3/2", 1]),
    ],
)
def test_odd_meters_are_grouped_as_they_are_counted(meter, lengths):
    assert [pulse.length for pulse in pulses_of(Meter.parse(meter))] == [
        Fraction(length) for length in lengths
    ]


@pytest.mark.parametrize("meter", ["4/4", "12/8", "15/16", "2/4", "6/8"])
def test_meters_in_pairs_have_a_backbeat_on_every_second_pulse(meter):
    roles = [pulse.role for pulse in pulses_of(Meter.parse(meter))]
    assert set(roles[1::2]) == {"back"}
    assert "back" not in roles[::2]


def test_five_four_is_three_and_two():
    assert [pulse.role for pulse in pulses_of(Meter(5, 4))] == ["one", "weak", "back", "strong", "back"]


@settings(max_examples=40, deadline=None)
@given(
    METERS, st.fractions(Fraction(1, 2), Fraction(3, 4)), st.sampled_from([Fraction(1, 4), Fraction(1, 2)])
)
def test_swing_keeps_order_and_every_pulse_start(meter, ratio, unit):
    swing = Swing(unit, ratio)
    for pulse in pulses_of(meter):
        steps = [index * pulse.step for index in range(pulse.steps)]
        warped = [swing.warp(pulse, step) for step in steps]
        assert warped[0] == 0
        assert all(a < b for a, b in pairwise(warped))
        assert all(step <= place < pulse.length for step, place in zip(steps, warped, strict=True))


def test_rolling_cells_fill_long_pulses_and_others_rest():
    pulses = pulses_of(Meter(6, 8))
    plain = read_cells(Cells.every("x.x."), pulses)
    rolling = read_cells(Cells.every("x.x.", rolling=True), pulses)
    assert [position for _, position, _ in plain] == [0, Fraction(1, 2)] * 2
    assert [position for _, position, _ in rolling] == [0, Fraction(1, 2), 1] * 2


def test_a_meter_without_a_strong_pulse_gets_that_cell_on_its_backbeat():
    found = read_cells(Cells(strong="X..."), pulses_of(Meter(3, 4)))
    assert [(pulse.role, mark) for pulse, _, mark in found] == [("back", "X")]
