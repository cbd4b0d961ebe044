"""The sketch plays on a session's beats: through tempo changes, glides and changes of meter."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ardour_session import MeterChange, TempoChange, TempoMap
from dgx_music.engines.base import EngineSettings, TakeSpec
from dgx_music.engines.sketch.compose import compose
from dgx_music.engines.sketch.drums import DRUM_KEYS
from dgx_music.engines.sketch.engine import SketchEngine
from dgx_music.engines.sketch.genres import GENRES
from dgx_music.request import GenerationRequest

RATE = 48_000
SESSION = TempoMap(
    (
        TempoChange(Fraction(187, 2)),
        TempoChange(Fraction(187, 2), Fraction(7), end_bpm=Fraction(140)),
        TempoChange(Fraction(140), Fraction(14)),
        TempoChange(Fraction(80), Fraction(21)),
    ),
    (MeterChange(7, 8, 1), MeterChange(4, 4, 5)),
)
"""Constant, a glide, constant, slower; 7/8 for four bars (14 quarter notes), then 4/4."""


def points(rate: int = RATE) -> list[dict[str, object]]:
    at = [SESSION.sample_at(Fraction(quarters), rate) for quarters in (0, 7, 14, 21)]
    return [
        {"at": at[0], "bpm": 93.5, "meter": "7/8"},
        {"at": at[1], "bpm": 93.5, "end_bpm": 140},
        {"at": at[2], "bpm": 140, "meter": "4/4"},
        {"at": at[3], "bpm": 80},
    ]


def ask(prompt="rock", seed=5, **fields):
    return GenerationRequest.from_fields({"prompt": prompt, "seed": seed, **fields})


class Silent:
    def progress(self, *_said):
        pass


def drums_of(request):
    engine = SketchEngine(EngineSettings(renderer="numpy"))
    (_, raw), *_ = engine.generate([TakeSpec(0, request.seed, request)], Silent())
    return raw


def onset_near(audio, sample):
    """The place around a sample where the level of 5 ms rises most."""
    power = np.cumsum(np.concatenate([[0.0], (audio.astype(np.float64) ** 2).sum(axis=0)]))
    window, reach, floor = 240, 1200, 1e-2
    places = np.arange(max(window, sample - reach), min(len(power) - window - 1, sample + reach))
    before = power[places] - power[places - window]
    after = power[places + window] - power[places]
    return int(places[np.argmax((after + floor) / (before + floor))])


@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_rendered_drums_fall_on_the_sessions_beats(rate):
    request = ask("straight rock, only drums", sample_rate=rate, bars=8, tempo_map=points(rate))
    raw = drums_of(request)
    score = compose(request, request.seed)
    kicks = [
        event.onset
        for event in score.part_events("drums")
        if event.pitch == DRUM_KEYS["kick"] and event.velocity > 0.7 and event.onset > 0
    ]
    assert len(kicks) >= 12
    assert {stretch for stretch in range(4) for kick in kicks if kick // 7 == stretch} == {0, 1, 2, 3}
    for kick in kicks:
        wanted = SESSION.sample_at(kick, RATE)
        assert abs(onset_near(raw.stems["drums"], wanted) - wanted) <= 10, (kick, wanted)
    assert raw.bpm is None
    assert "tempo map" in raw.notes


def test_bars_change_their_meter_where_the_session_does():
    request = ask(bars=8, tempo_map=points())
    score = compose(request, request.seed)
    assert score.bars == 8
    assert score.length_quarters == pytest.approx(4 * Fraction(7, 2) + 4 * 4, abs=1e-12)
    kicks = {event.onset for event in score.part_events("drums") if event.pitch == DRUM_KEYS["kick"]}
    ones = [Fraction(7, 2) * bar for bar in range(4)] + [14 + Fraction(4) * bar for bar in range(4)]
    assert set(ones[:3]) | set(ones[4:7]) <= kicks


def test_a_map_of_one_tempo_changes_nothing():
    for prompt in ("funk", "house, arpeggio", "jazz"):
        plain = ask(prompt, bars=6, bpm=101.3, meter="5/4")
        mapped = ask(prompt, bars=6, tempo_map=[{"at": -9, "bpm": 101.3, "meter": "5/4"}])
        assert compose(plain, 5) == compose(mapped, 5)
    request = ask("funk, only drums", bars=1, bpm=101.3, meter="5/4")
    mapped = ask("funk, only drums", bars=1, tempo_map=[{"at": 0, "bpm": 101.3, "meter": "5/4"}])
    assert np.array_equal(drums_of(request).audio, drums_of(mapped).audio)


METERS = st.sampled_from(["4/4", "7/8", "3/4", "12/8", "1/4", "11/32", None])


@settings(max_examples=60, deadline=None)
@given(
    genre=st.sampled_from(sorted(GENRES)),
    arpeggio=st.booleans(),
    stretches=st.lists(
        st.tuples(
            st.integers(24_000, 300_000), st.integers(40, 240), st.integers(40, 240) | st.none(), METERS
        ),
        min_size=1,
        max_size=5,
    ),
    bars=st.integers(1, 12),
    seed=st.integers(0, 999),
    loop=st.booleans(),
)
def test_on_any_map_every_note_lies_inside_the_take(genre, arpeggio, stretches, bars, seed, loop):
    tempo_map, at = [], 0
    for samples, bpm, end_bpm, meter in stretches:
        tempo_map.append({"at": at, "bpm": bpm, "end_bpm": end_bpm, "meter": meter})
        at += samples
    request = ask(f"{genre} arpeggio" if arpeggio else genre, seed, bars=bars, loop=loop, tempo_map=tempo_map)
    score = compose(request, seed)
    assert score.bars == bars
    assert score.events
    for event in score.events:
        assert 0 <= event.onset < score.length_quarters
        assert event.duration > 0
        assert 0 <= score.sample_at(event.onset) <= request.length_exact_s * RATE + 1
        assert score.samples_of(event) > 0
    assert score == compose(request, seed)
