from __future__ import annotations

import os
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ardour_session import (
    AudioFile,
    MeterChange,
    Playlist,
    Session,
    SessionDocument,
    SessionError,
    TempoChange,
    TempoMap,
    Track,
    write_session,
)
from dgx_music.delivery.asking import fields_into
from dgx_music.delivery.position import Place
from dgx_music.errors import RequestError
from dgx_music.request import GenerationRequest
from support.session_material import whole, write_noise

STEADY = TempoMap.constant(93.5, 7, 8)
CHANGING = TempoMap(
    (TempoChange(93), TempoChange(100, 8, 4, 140), TempoChange(140, 16)),
    (MeterChange(4, 4), MeterChange(7, 8, bar=3), MeterChange(3, 4, bar=5)),
)
PROMPT = {"prompt": "brushed drums"}


@pytest.fixture
def opened(tmp_path):
    def made(tempo_map=STEADY, rate=48_000, tracks=()):
        path = write_session(Session("song", rate, tempo_map, tracks), tmp_path / f"song-{rate}")
        return SessionDocument.open(path.rename(path.with_name("song.ardour")))

    return made


def asked(document, at=None, **given):
    fields = fields_into(document, PROMPT | given, None if at is None else Place.parse(at))
    return fields, GenerationRequest.from_fields(fields)


def test_rate_tempo_and_meter_are_the_sessions_and_the_bars_too(opened):
    document = opened(rate=44_100)
    fields, request = asked(document, "3", bars=4)
    assert (fields["bpm"], fields["meter"], fields["bars"]) == (93.5, "7/8", 4)
    assert request.sample_rate == 44_100
    assert request.session.position == document.grid.sample_at(Fraction(7))
    assert request.session.path == os.path.realpath(document.path.parent)
    assert request.tempo_map is None


def test_a_length_in_bars_across_tempo_and_meter_changes_is_exactly_that_of_the_sessions_bars(opened):
    document = opened(CHANGING)
    fields, request = asked(document, "2", bars=4)
    start, end = (document.grid.sample_at(document.grid.quarters_at_bar(bar)) for bar in (2, 6))
    assert request.length_samples == fields["samples"] == end - start
    assert [(point.at, point.meter) for point in request.tempo_map] == [
        (-start, "4/4"),
        (document.grid.sample_at(Fraction(8)) - start, "7/8"),
        (document.grid.sample_at(Fraction(15)) - start, "3/4"),
        (document.grid.sample_at(Fraction(16)) - start, None),
    ]
    assert request.bpm == 93
    assert request.tempo_map[1].end_bpm == pytest.approx(135, abs=0.01)


def test_the_bars_that_the_prompt_names_count_on_the_map_as_well(opened):
    document = opened(CHANGING)
    fields = fields_into(document, {"prompt": "8 bars of rain"}, Place(bar=1))
    grid = document.grid
    assert fields["samples"] == grid.sample_at(grid.quarters_at_bar(9))


def test_a_tempo_of_the_users_own_wins(opened):
    fields, request = asked(opened(CHANGING), "2", bars=4, bpm=80.0)
    assert request.bpm == 80
    assert "tempo_map" not in fields


def test_a_meter_or_a_tempo_of_the_users_own_leaves_the_other_to_the_session(opened):
    steady = opened(rate=44_100)
    _, request = asked(steady, "3", bars=4, meter="3/4")
    assert (request.bpm, request.meter, request.bars) == (93.5, "3/4", 4)
    _, request = asked(steady, "3", bars=4, bpm=80.0)
    assert (request.bpm, request.meter, request.bars) == (80, "7/8", 4)
    _, request = asked(opened(CHANGING), "2", bars=4, meter="3/4")
    assert [(point.bpm, point.meter) for point in request.tempo_map][:2] == [(93, None), (100, None)]
    assert request.timeline.length_quarters == 12


@pytest.mark.parametrize("duration", [float("nan"), float("inf"), -1e300])
def test_a_length_that_is_none_is_left_to_be_refused_with_the_request(opened, duration):
    with pytest.raises(RequestError, match="duration: "):
        asked(opened(), "2", duration=duration)


def test_the_sessions_tempo_wins_over_the_prompts_words(opened):
    fields = fields_into(opened(), {"prompt": "rain, 84 bpm"}, Place(bar=1))
    assert GenerationRequest.from_fields(fields).bpm == 93.5


def test_takes_land_on_the_bar_after_the_last_region_where_nothing_else_is_said(opened, tmp_path):
    write_noise(tmp_path / "mine.wav", frames=50_000)
    mine = Playlist("mine", (whole(AudioFile.taken_in(tmp_path / "mine.wav"), "mine", 0, 50_000),))
    document = opened(TempoMap.constant(120), tracks=(Track("mine", mine),))
    assert asked(document)[1].session.position == 96_000


def test_another_rate_is_refused_with_the_remedy(opened):
    with pytest.raises(RequestError, match="44100 Hz is not the session's 48000 Hz; leave it out"):
        asked(opened(), sample_rate=44_100)


def test_a_bar_that_the_session_does_not_have_is_refused(opened):
    with pytest.raises(SessionError, match="beats 1 to 7"):
        asked(opened(), "3.8")


def test_how_the_takes_lie_there_is_passed_on_and_defaults_are_left_to_the_request(opened):
    document = opened()
    fields = fields_into(document, PROMPT, None, track="Drums", on_top="mine", stems=True)
    assert {"track": "Drums", "on_top": "mine", "stems": True}.items() <= fields["session"].items()
    assert set(fields_into(document, PROMPT, None)["session"]) == {"path", "position"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bar=st.integers(1, 8),
    length=st.one_of(
        st.fixed_dictionaries({"bars": st.integers(1, 20)}),
        st.fixed_dictionaries({"samples": st.integers(1, 2_000_000)}),
        st.fixed_dictionaries({"duration": st.floats(0.5, 30)}),
        st.just({}),
    ),
)
def test_wherever_and_however_long_the_request_holds_and_lasts_what_the_session_says(bar, length, tmp_path):
    folder = tmp_path / "song"
    if not folder.exists():
        write_session(Session("song", 48_000, CHANGING), folder)
    document = SessionDocument.open(folder / "song.ardour")
    request = GenerationRequest.from_fields(fields_into(document, PROMPT | length, Place(bar=bar)))
    grid = document.grid
    start = request.session.position
    if "bars" in length:
        end = grid.sample_at(grid.quarters_at_bar(bar + length["bars"]))
        assert abs(request.length_samples - (end - start)) <= 1
    if request.tempo_map is not None:
        half = request.length_samples // 2
        timeline = request.timeline
        assert float(timeline.bpm_at(timeline.quarters_at(Fraction(half, 48_000)))) == pytest.approx(
            grid.bpm_at(start + half), rel=1e-3
        )
