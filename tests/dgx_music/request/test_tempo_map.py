"""A take's length and beats on a session's tempo map, against Ardour's own arithmetic and against simple facts."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ardour_session import MeterChange, TempoChange, TempoMap
from dgx_music.errors import RequestError
from dgx_music.request import GenerationRequest, Meter, TempoPoint, Timeline

RATES = st.sampled_from([44_100, 48_000, 96_000])
BPM = st.integers(200, 4000).map(lambda tenths: tenths / 10)
METERS = st.sampled_from(["4/4", "3/4", "7/8", "5/4", "6/8", "15/16"])


@st.composite
def session_maps(draw):
    """A session as Ardour may keep it: tempo changes on beats, meter changes on bar lines, any stretch may glide."""
    meters, bar = [], 1
    for _ in range(draw(st.integers(1, 4))):
        beats, note = draw(METERS).split("/")
        meters.append(MeterChange(int(beats), int(note), bar))
        bar += draw(st.integers(1, 4))
    places = draw(st.lists(st.integers(1, 60), unique=True, max_size=6))
    tempos = []
    for place in [0, *sorted(places)]:
        glide = place != max([0, *places]) and draw(st.booleans())
        tempos.append(
            TempoChange(
                Fraction(draw(BPM)).limit_denominator(10),
                Fraction(place, 2),
                end_bpm=Fraction(draw(BPM)).limit_denominator(10) if glide else None,
            )
        )
    return TempoMap(tuple(tempos), tuple(meters))


def points_of(tempo_map: TempoMap, rate: int, position: int) -> list[dict[str, object]]:
    """What a script reads off a session: places rounded down to samples, the tempo just after and just before them."""
    found: dict[int, dict[str, object]] = {}

    def at(quarters: Fraction) -> int:
        return int(tempo_map.superclock_at(quarters) * rate / 282_240_000) - position

    for tempo in tempo_map.tempos:
        point: dict[str, object] = {"at": at(tempo.quarters), "bpm": float(tempo.quarters_per_minute)}
        if tempo.end_bpm is not None:
            point["end_bpm"] = float(tempo.end_quarters_per_minute)
        found[at(tempo.quarters)] = point
    for meter in tempo_map.meters:
        quarters = tempo_map.quarters_at_bar(meter.bar)
        place = at(quarters)
        if place not in found:
            index = max(i for i, tempo in enumerate(tempo_map.tempos) if tempo.quarters <= quarters)
            tempo = tempo_map.tempos[index]
            slope = tempo_map.ramp_slope(index)
            found[place] = {
                "at": place,
                "bpm": float(tempo.quarters_per_minute + slope * (quarters - tempo.quarters)),
            }
            if slope:
                before = found[max(spot for spot in found if spot < place)]
                found[place]["end_bpm"] = float(tempo.end_quarters_per_minute)
                before["end_bpm"] = found[place]["bpm"]
        found[place]["meter"] = f"{meter.beats_per_bar}/{meter.note_value}"
    return [found[place] for place in sorted(found)]


def request(**fields) -> GenerationRequest:
    return GenerationRequest.from_fields({"prompt": "drums", "seed": 1, **fields})


@settings(max_examples=150, deadline=None)
@given(session_maps(), RATES, st.integers(1, 6), st.integers(1, 12))
def test_bars_on_a_map_are_as_long_as_ardour_has_them(tempo_map, rate, first_bar, bars):
    begin = tempo_map.sample_at_bar(first_bar, rate)
    end = tempo_map.sample_at_bar(first_bar + bars, rate)
    wanted = request(bars=bars, sample_rate=rate, tempo_map=points_of(tempo_map, rate, begin))
    # The points themselves are rounded down to samples, and so is the take's start.
    assert abs(wanted.length_samples - (end - begin)) <= 2


@settings(max_examples=100, deadline=None)
@given(session_maps(), RATES, st.integers(1, 6), st.integers(1, 10))
def test_bars_on_a_map_are_the_sum_of_their_parts(tempo_map, rate, first_bar, bars):
    begin = tempo_map.sample_at_bar(first_bar, rate)
    whole = request(bars=bars, sample_rate=rate, tempo_map=points_of(tempo_map, rate, begin)).timeline
    lines = whole.bar_lines(bars + 1)
    times = [whole.seconds_at(line.quarters) for line in lines]
    assert times[0] == 0
    assert times[-1] == whole.length_s
    assert sum(b - a for a, b in itertools.pairwise(times)) == whole.length_s
    assert all(b.quarters - a.quarters == a.meter.quarters_per_bar for a, b in itertools.pairwise(lines))
    for count in range(1, bars):
        part = request(bars=count, sample_rate=rate, tempo_map=points_of(tempo_map, rate, begin))
        assert part.length_exact_s == times[count]


@settings(max_examples=100, deadline=None)
@given(session_maps(), RATES, st.integers(1, 6))
def test_every_beat_of_a_map_falls_where_ardour_has_it(tempo_map, rate, first_bar):
    begin = tempo_map.sample_at_bar(first_bar, rate)
    origin = tempo_map.quarters_at_bar(first_bar)
    timeline = request(
        samples=rate * 60, sample_rate=rate, tempo_map=points_of(tempo_map, rate, begin)
    ).timeline
    for half in range(80):
        quarters = Fraction(half, 2)
        ardour = tempo_map.superclock_at(origin + quarters) * rate / 282_240_000 - begin
        assert abs(timeline.seconds_at(quarters) * rate - ardour) <= 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(BPM, st.integers(1, 3)), min_size=100, max_size=200))
def test_hundreds_of_changes_add_no_drift(stretches):
    place, seconds, points = Fraction(0), Fraction(0), []
    for bpm, quarters in stretches:
        points.append({"at": int(seconds * 48_000), "bpm": bpm})
        place += quarters
        seconds += 60 * quarters / Fraction(repr(bpm))
    timeline = request(duration=1, tempo_map=points).timeline
    last = place - stretches[-1][1]
    assert abs(timeline.seconds_at(last) * 48_000 - points[-1]["at"]) < 1
    assert abs(timeline.seconds_at(place) - seconds) * 48_000 < 2


@settings(max_examples=100, deadline=None)
@given(session_maps(), RATES, st.fractions(0, 30, max_denominator=997))
def test_seconds_and_quarters_are_each_others_inverse(tempo_map, rate, quarters):
    timeline = request(duration=16, sample_rate=rate, tempo_map=points_of(tempo_map, rate, 0)).timeline
    there = timeline.seconds_at(quarters)
    assert abs(timeline.quarters_at(there) - quarters) < Fraction(1, 10**12)


@given(BPM, METERS, st.integers(1, 60))
def test_a_map_of_one_tempo_is_the_tempo_itself(bpm, meter, bars):
    plain = request(bars=bars, bpm=bpm, meter=meter) if bars * 240 * 3 / bpm < 600 else None
    if plain is None:
        return
    for points in (
        [{"at": 0, "bpm": bpm, "meter": meter}],
        [{"at": -777_777, "bpm": bpm, "meter": meter}],
        [{"at": -5, "bpm": bpm, "meter": meter}, {"at": 10**9, "bpm": bpm, "end_bpm": bpm}],
    ):
        mapped = request(bars=bars, tempo_map=points)
        assert mapped.length_exact_s == plain.length_exact_s
        assert (mapped.bpm, mapped.meter) == (plain.bpm, plain.meter)
        assert mapped.timeline.is_constant


def test_what_changes_after_the_take_makes_its_tempo_no_less_constant():
    points = [{"at": 0, "bpm": 90}, {"at": 480_000, "bpm": 120, "end_bpm": 60}]
    assert request(duration=10, tempo_map=points).timeline.is_constant
    assert not request(duration=11, tempo_map=points).timeline.is_constant


def test_a_glide_is_linear_in_beats_as_ardours_is():
    # From 60 to 120 over four beats: the tempo at beat q is 60 + 15 q, so the time is 60 / 15 · ln(1 + q / 4) = 4 ln 2.
    four_ln_2 = 2.772588722239781
    timeline = request(bars=1, tempo_map=[{"at": 0, "bpm": 60, "end_bpm": 120}]).timeline
    assert float(timeline.length_s) == pytest.approx(four_ln_2, abs=1e-15)
    assert float(timeline.seconds_at(Fraction(2))) == pytest.approx(4 * 0.4054651081081644, abs=1e-15)
    assert timeline.bpm_at(Fraction(2)) == 90
    as_range = request(
        samples=round(four_ln_2 * 48_000), tempo_map=[{"at": 0, "bpm": 60, "end_bpm": 120}]
    ).timeline
    assert float(as_range.length_quarters) == pytest.approx(4, abs=1e-4)


def test_a_glide_that_began_before_the_take_goes_on_in_it():
    rate = 48_000
    tempo_map = TempoMap(
        (TempoChange(Fraction(60), end_bpm=Fraction(120)), TempoChange(Fraction(120), Fraction(8))),
        (MeterChange(),),
    )
    begin = tempo_map.sample_at_bar(2, rate)
    wanted = request(bars=1, tempo_map=points_of(tempo_map, rate, begin))
    assert wanted.bpm == pytest.approx(90, abs=1e-3)
    assert abs(wanted.length_samples - (tempo_map.sample_at_bar(3, rate) - begin)) <= 1
    open_end = {"at": -begin, "bpm": 60, "end_bpm": 120}
    assert request(samples=96_000, tempo_map=[open_end]).timeline.bpm_at(Fraction(0)) > 60
    with pytest.raises(RequestError, match="give a point at 0 with the tempo there"):
        request(bars=1, tempo_map=[open_end])


def test_a_meter_counts_from_the_bar_that_starts_with_it():
    change = {"at": 2 * 96_000, "bpm": 120, "meter": "3/4"}
    timeline = request(bars=4, tempo_map=[{"at": 0, "bpm": 120}, change]).timeline
    assert [str(line.meter) for line in timeline.bar_lines(4)] == ["4/4", "4/4", "3/4", "3/4"]
    assert timeline.length_s == 2 * 2 + 2 * Fraction(3, 2)
    # Two beats later it stands inside a bar, which stays as it is.
    late = request(bars=4, tempo_map=[{"at": 0, "bpm": 120}, {**change, "at": 240_000}]).timeline
    assert [str(line.meter) for line in late.bar_lines(4)] == ["4/4", "4/4", "4/4", "3/4"]


@pytest.mark.parametrize("off", [-3, 0, 3])
def test_a_meter_that_is_given_some_samples_beside_its_bar_line_counts_from_that(off):
    points = [{"at": 0, "bpm": 120}, {"at": 2 * 96_000 + off, "bpm": 120, "meter": "3/4"}]
    timeline = request(bars=4, tempo_map=points).timeline
    assert [str(line.meter) for line in timeline.bar_lines(4)] == ["4/4", "4/4", "3/4", "3/4"]


def test_a_change_that_stands_on_no_tick_is_left_where_it_is():
    # A tick is 12.5 samples long here, and 24 005 is 5 samples behind one.
    timeline = request(duration=9, tempo_map=[{"at": 0, "bpm": 120}, {"at": 24_005, "bpm": 90}]).timeline
    assert timeline.changes == (0, Fraction(24_005, 24_000))
    near = request(duration=9, tempo_map=[{"at": 0, "bpm": 120}, {"at": 24_001, "bpm": 90}]).timeline
    assert near.changes == (0, 1)


def test_tempo_and_meter_come_from_the_map_where_nothing_else_says_them():
    points = [{"at": -100, "bpm": 92.99999978, "meter": "7/8"}, {"at": 90_000, "bpm": 140.0, "meter": "4/4"}]
    mapped = request(tempo_map=points, prompt="rock at 150 bpm, 3/4, A minor")
    assert (mapped.bpm, mapped.meter, mapped.key) == (93.0, "7/8", "A minor")
    assert request(tempo_map=points, bpm=93, meter="7/8") == request(tempo_map=points)
    with pytest.raises(RequestError, match="bpm 120 and tempo_map, which starts at 93, say two things"):
        request(tempo_map=points, bpm=120)
    with pytest.raises(RequestError, match="meter 4/4 and tempo_map, which starts in 7/8, say two things"):
        request(tempo_map=points, meter="4/4")
    assert request(tempo_map=[{"at": 0, "bpm": 100}], meter="5/4").time_signature == Meter(5, 4)


def test_a_stored_request_comes_back_with_its_map():
    first = request(
        bars=3,
        tempo_map=[{"at": 0, "bpm": 100.5, "end_bpm": 140, "meter": "5/4"}, {"at": 130_001, "bpm": 140}],
    )
    again = GenerationRequest.model_validate_json(first.model_dump_json())
    assert again == first
    assert again.length_exact_s == first.length_exact_s


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "tempo_map: empty; give a tempo at the start"),
        (
            [{"at": 1, "bpm": 100}],
            "tempo_map: its first point is at 1, so that the take's start has no tempo",
        ),
        (
            [{"at": 0, "bpm": 100}, {"at": 0, "bpm": 90}],
            "tempo_map: point 1 (counted from 0) is at 0, which does not",
        ),
        ([{"at": 0, "bpm": 19}], "tempo_map.0.bpm: 19 is not allowed; it must be at least 20"),
        (
            [{"at": 0, "bpm": 90, "end_bpm": 401}],
            "tempo_map.0.end_bpm: 401 is not allowed; it must be at most 400",
        ),
        ([{"at": 0}], "tempo_map.0.bpm: missing (tempo from here on"),
        ([{"at": 0.5, "bpm": 90}], "tempo_map.0.at: 0.5 cannot be used"),
        ([{"at": 0, "bpm": 90, "meter": "4/5"}], "tempo_map.0.meter: '4/5' is not a meter"),
        ([{"at": 0, "bpm": float("nan")}], "tempo_map.0.bpm: nan is not allowed"),
        ([{"at": 0, "bpm": 90, "tempo": 3}], "tempo_map.0.tempo: unknown field"),
        ([{"at": at, "bpm": 90} for at in range(501)], "it must be at most 500 entries"),
        ({"at": 0, "bpm": 90}, "tempo_map: {'at': 0, 'bpm': 90} is not allowed; it must be a list"),
    ],
)
def test_what_is_no_tempo_map_is_refused_with_what_would_be_right(points, said):
    with pytest.raises(RequestError) as caught:
        request(tempo_map=points)
    assert any(said in problem for problem in caught.value.problems), caught.value.problems


def test_the_longest_map_of_glides_that_begin_on_no_tick_is_no_burden():
    points = [{"at": 24_005 * n, "bpm": 100.37 + n % 7, "end_bpm": 90.01 + n % 5} for n in range(500)]
    timeline = request(duration=240, tempo_map=points).timeline
    assert 450 < len(timeline.changes) <= 500
    # Sums of unshortened fractions would have hundreds of thousands of digits by now.
    assert timeline.changes[-1].denominator < 10**60
    assert timeline.seconds_at(timeline.changes[-1]) < 240


def test_one_tempo_without_a_map():
    timeline = Timeline.constant(Fraction(187, 2), Meter(7, 8), Fraction(10))
    assert timeline.seconds_at(Fraction(7, 2)) == Fraction(7, 2) * 60 / Fraction(187, 2)
    assert timeline.length_quarters == Fraction(10) * Fraction(187, 2) / 60
    assert TempoPoint(at=0, bpm=93.5).end_bpm is None
