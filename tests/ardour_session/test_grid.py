from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ardour_session import (
    FileFormat,
    Grid,
    GridChange,
    MeterChange,
    Session,
    SessionDocument,
    SessionError,
    TempoChange,
    TempoMap,
    write_session,
)
from ardour_session.tempo_xml import tempo_map_element
from support.ardour import ArdourTools, needs_ardour, ticks
from support.session_material import RATE_HZ, full_session
from support.session_strategies import tempo_maps

SEVEN_EIGHT = TempoMap.constant(93.5, 7, 8)
CHANGING = TempoMap(
    (TempoChange(93), TempoChange(100, 8, 4, 140), TempoChange(140, 16), TempoChange(90, 24, 8)),
    (MeterChange(4, 4), MeterChange(7, 8, bar=3), MeterChange(3, 4, bar=5)),
)


def grid_of(tempo_map, rate=RATE_HZ, file_format=FileFormat.ARDOUR_7):
    return Grid(tempo_map_element(tempo_map, file_format, rate), rate)


@given(tempo_maps(), st.integers(1, 300), st.sampled_from([44_100, 48_000]))
def test_every_bar_begins_within_a_sample_of_the_exact_place(tempo_map, bar, rate):
    grid = grid_of(tempo_map, rate)
    quarters = tempo_map.quarters_at_bar(bar)
    assert grid.quarters_at_bar(bar) == quarters
    exact = tempo_map.superclock_at(quarters) * rate / 282_240_000
    # Ardour counts a quarter note in whole superclocks, and a position is rounded down.
    drift = quarters * rate / 282_240_000
    assert exact - 1 - drift <= grid.sample_at(quarters) <= exact + drift + Fraction(1, 1000)


@given(tempo_maps(), st.integers(1, 300))
def test_a_bar_line_is_its_own_next_one_and_two_samples_later_comes_the_following(tempo_map, bar):
    grid = grid_of(tempo_map)
    line = grid.sample_at(grid.quarters_at_bar(bar))
    assert grid.bar_line_from(line) == line
    assert grid.bar_line_from(line + 1) == line  # a take that fills its bars may be a sample too long
    assert grid.bar_line_from(line + 2) == grid.sample_at(grid.quarters_at_bar(bar + 1))


@given(tempo_maps(), st.integers(0, 2**26), st.integers(1, 2**24))
def test_changes_cover_the_stretch_in_order_and_meet_where_it_glides(tempo_map, start, length):
    grid = grid_of(tempo_map)
    found = grid.changes(start, start + length)
    samples = [change.sample for change in found]
    assert samples[0] <= start
    assert samples == sorted(set(samples))
    assert all(start < sample < start + length for sample in samples[1:])
    assert found[0].meter is not None
    assert found[0].bpm > 0
    assert {change.sample for change in found if change.meter} >= {
        at
        for bar in tempo_map.meters
        if start < (at := grid.sample_at(grid.quarters_at_bar(bar.bar))) < start + length
    }


@given(tempo_maps(only_format_6=True), st.integers(1, 100))
def test_both_formats_say_the_same(tempo_map, bar):
    new, old = grid_of(tempo_map), grid_of(tempo_map, file_format=FileFormat.ARDOUR_6)
    place = new.quarters_at_bar(bar)
    assert old.quarters_at_bar(bar) == place
    assert abs(old.sample_at(place) - new.sample_at(place)) <= 1


def test_bars_and_beats_of_changing_meters():
    grid = grid_of(CHANGING)
    assert [grid.quarters_at_bar(bar) for bar in range(1, 8)] == [0, 4, 8, Fraction(23, 2), 15, 18, 21]
    assert grid.quarters_at_bar(3, 7) == 11
    assert grid.quarters_at_bar(5, 3) == 17


@pytest.mark.parametrize(("bar", "beat"), [(0, 1), (3, 8), (1, 5), (1, 0), (5, 4)])
def test_a_beat_that_is_not_there_is_refused_with_those_that_are(bar, beat):
    with pytest.raises(SessionError, match="has beats 1 to"):
        grid_of(CHANGING).quarters_at_bar(bar, beat)


def test_tempo_and_meter_are_those_from_a_change_on():
    grid = grid_of(CHANGING)
    change = grid.sample_at(Fraction(8))
    assert grid.bpm_at(change - 1) == 93
    assert grid.bpm_at(change) == pytest.approx(100, abs=1e-3)
    assert grid.meter_at(change - 1) == MeterChange(4, 4)
    assert grid.meter_at(change) == MeterChange(7, 8, bar=3)
    assert grid.bpm_at(grid.sample_at(Fraction(30))) == 45  # 90 eighths a minute


def test_the_changes_of_a_stretch_begin_before_it_and_end_with_what_is_reached_at_its_end():
    grid = grid_of(CHANGING)
    start, middle = grid.sample_at(Fraction(4)), grid.sample_at(Fraction(12))
    ramp, bar_four = grid.sample_at(Fraction(8)), grid.sample_at(Fraction(23, 2))
    assert grid.changes(start, start + 10) == (GridChange(0, 93.0, None, (4, 4)),)
    first, second = grid.changes(start, middle)
    assert first == GridChange(0, 93.0, None, (4, 4))
    assert (second.sample, second.meter) == (ramp, (7, 8))
    assert second.bpm == pytest.approx(100, abs=1e-3)
    assert second.end_bpm == pytest.approx(120, abs=1e-3)  # half-way through the ramp, in quarter notes
    *_, split, last = grid.changes(bar_four, grid.sample_at(Fraction(17)))
    assert split.sample == grid.sample_at(Fraction(15))  # a meter changes inside the ramp
    assert split.bpm == pytest.approx(135, abs=1e-3)
    assert split.end_bpm == pytest.approx(140, abs=1e-3)
    assert last == GridChange(grid.sample_at(Fraction(16)), 140.0, None, None)


def test_a_saved_ramp_counts_as_ardour_plays_it_and_not_as_its_end_tempo_says():
    element = tempo_map_element(CHANGING, FileFormat.ARDOUR_7, RATE_HZ)
    ramp = element.findall("Tempos/Tempo")[1]
    ramp.set("enpm", "300")  # Ardour saves a stale end tempo after some edits; omega is what plays
    assert Grid(element, RATE_HZ).bpm_at(grid_of(CHANGING).sample_at(Fraction(12))) == pytest.approx(
        120, abs=1e-3
    )


def test_a_bar_marker_begins_a_line_of_its_own_and_makes_numbers_ambiguous():
    element = tempo_map_element(TempoMap.constant(120), FileFormat.ARDOUR_7, RATE_HZ)
    at = {"sclock": str(5 * 141_120_000), "quarters": "5:0", "bbt": "1|1|0"}
    marker = etree.SubElement(element.find("MusicTimes"), "MusicTime", at)
    etree.SubElement(marker, "Tempo", element.find("Tempos/Tempo").attrib)
    etree.SubElement(marker, "Meter", {"note-value": "4", "divisions-per-bar": "3", **at})
    grid = Grid(element, RATE_HZ)
    assert grid.bar_line_from(24_000 * 4 + 5) == 24_000 * 5
    assert grid.bar_line_from(24_000 * 5 + 5) == 24_000 * 8
    with pytest.raises(SessionError, match="count bars anew"):
        grid.quarters_at_bar(2)


def test_a_tempo_map_that_makes_no_sense_is_refused(tmp_path):
    path = write_session(Session("s", RATE_HZ), tmp_path / "s")
    path.write_text(path.read_text().replace('npm="120"', 'npm="nonsense"'))
    with pytest.raises(SessionError, match="should be a number"):
        _ = SessionDocument.open(path).grid


@needs_ardour
@pytest.mark.ardour
@pytest.mark.parametrize(
    "tempo_map", [CHANGING, SEVEN_EIGHT, TempoMap.constant(93)], ids=["changing", "7/8", "93"]
)
def test_every_sample_is_the_one_that_ardour_plays(ardour: ArdourTools, tmp_path, tempo_map):
    from dataclasses import replace

    session = replace(full_session(tmp_path / "library"), tempo_map=tempo_map)
    written = write_session(session, tmp_path / "out")
    places = [Fraction(number, 2) for number in range(0, 120, 7)]
    found = ardour.inventory(written, tuple(ticks(place) for place in places))
    grid = SessionDocument.open(written).grid
    for at, fact in found.tempo.items():
        assert grid.sample_at(Fraction(at, 1920)) == fact.samples
        assert grid.bpm_at(fact.samples) == pytest.approx(fact.quarters_per_minute, rel=1e-4)
