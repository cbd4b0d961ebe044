"""What is written, before anything sounds."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.sketch.compose import compose
from dgx_music.engines.sketch.drums import DRUM_KEYS
from dgx_music.engines.sketch.genres import GENRES
from dgx_music.engines.sketch.pulse import pulses_of
from dgx_music.request import GenerationRequest, exact_fraction

GENRE_NAMES = sorted(GENRES)
ANY_METER = st.sampled_from(
    ["4/4", "3/4", "2/4", "5/4", "7/8", "6/8", "12/8", "15/16", "5/8", "2/2", "1/4", "11/32"]
)


def write(prompt, seed=1, **fields):
    return compose(GenerationRequest.from_fields({"prompt": prompt, "seed": seed, **fields}), seed)


@settings(max_examples=50, deadline=None)
@given(
    genre=st.sampled_from(GENRE_NAMES),
    meter=ANY_METER,
    bpm=st.floats(20, 400),
    bars=st.integers(1, 9),
    seed=st.integers(0, 2**62),
    loop=st.booleans(),
)
def test_every_note_lies_inside_the_take_and_the_midi_range(genre, meter, bpm, bars, seed, loop):
    score = write(genre, seed, meter=meter, bpm=bpm, bars=bars, loop=loop)
    assert score.bars == bars
    assert score.length_quarters == bars * score.meter.quarters_per_bar
    assert score.bpm == exact_fraction(bpm)
    for event in score.events:
        assert 0 <= event.onset < score.length_quarters
        assert event.duration > 0
        assert 0 < event.velocity <= 1
        assert 0 <= event.pitch <= 127
    assert score == write(genre, seed, meter=meter, bpm=bpm, bars=bars, loop=loop)


@settings(max_examples=40, deadline=None)
@given(genre=st.sampled_from(GENRE_NAMES), meter=ANY_METER, seed=st.integers(0, 999))
def test_the_bass_meets_each_new_chord_on_its_root(genre, meter, seed):
    score = write(genre, seed, meter=meter, bpm=100, bars=8)
    bass = score.part_events("bass")
    assert bass
    for chord in score.chords:
        under = [event for event in bass if chord.onset <= event.onset < chord.end]
        assert not under or under[0].pitch % 12 == chord.root
        assert all(event.onset + event.duration <= chord.end for event in under)


@settings(max_examples=40, deadline=None)
@given(genre=st.sampled_from(GENRE_NAMES), seed=st.integers(0, 999))
def test_a_part_left_out_changes_nothing_in_the_others(genre, seed):
    full = write(f"{genre} with drums", seed, bpm=100, bars=6)
    for part, words in {"drums": "no drums", "bass": "no bass", "lead": "no melody"}.items():
        less = write(
            f"{genre} with drums, {words}" if part != "drums" else f"{genre}, no drums", seed, bpm=100, bars=6
        )
        assert part not in less.parts
        assert not less.part_events(part)
        for other in less.parts:
            assert less.part_events(other) == full.part_events(other)


@pytest.mark.parametrize("genre", [name for name in GENRE_NAMES if GENRES[name].drums.fill != "none"])
@pytest.mark.parametrize("meter", ["4/4", "7/8", "3/4"])
def test_the_last_bar_of_a_phrase_has_a_fill(genre, meter):
    score = write(genre, 4, meter=meter, bpm=100, bars=8)
    pulses = pulses_of(score.meter)
    fill_from = pulses[-2 if len(pulses) > 3 else -1].onset
    skins = {DRUM_KEYS[name] for name in ("snare", "clap", "rim", "high_tom", "mid_tom", "low_tom")}
    struck = Counter(
        int(event.onset // score.meter.quarters_per_bar)
        for event in score.part_events("drums")
        if event.pitch in skins and event.onset % score.meter.quarters_per_bar >= fill_from
    )
    for last in (3, 7):
        assert struck[last] > sum(struck[bar] for bar in range(last - 3, last)) / 3


@pytest.mark.parametrize(
    ("genre", "unit", "ratio"),
    [
        ("jazz", Fraction(1, 2), Fraction(2, 3)),
        ("lofi", Fraction(1, 4), Fraction(3, 5)),
        ("funk", Fraction(1, 4), Fraction(11, 20)),
        ("house", Fraction(1, 4), Fraction(1, 2)),
        ("rock", Fraction(1, 2), Fraction(1, 2)),
    ],
)
def test_offbeats_fall_where_the_genre_swings(genre, unit, ratio):
    score = write(f"busy {genre}", 2, bpm=100, bars=8)
    places = Counter(event.onset % (2 * unit) for event in score.part_events("drums"))
    offbeats = {place for place in places if place not in (0, unit / 2, unit * 3 / 2)}
    assert 2 * unit * ratio in offbeats
    if ratio != Fraction(1, 2):
        assert unit not in places


def test_straight_in_the_prompt_takes_the_swing_out():
    places = {event.onset % 1 for event in write("straight jazz", 2, bpm=120, bars=8).part_events("drums")}
    assert Fraction(1, 2) in places
    assert Fraction(2, 3) not in places


@settings(max_examples=40, deadline=None)
@given(
    genre=st.sampled_from(GENRE_NAMES),
    key=st.sampled_from(["C# minor", "Bb major", "E minor"]),
    seed=st.integers(0, 99),
)
def test_the_key_is_the_one_asked_for_and_the_music_ends_at_home(genre, key, seed):
    score = write(genre, seed, key=key, duration=20)
    assert str(score.key) == key
    assert score.chords[0].root == score.key.pitch_class
    assert score.chords[-1].root == score.key.pitch_class
    assert (score.chords[-2].root - score.key.pitch_class) % 12 == 7


@settings(max_examples=40, deadline=None)
@given(genre=st.sampled_from(GENRE_NAMES), bars=st.integers(3, 10), seed=st.integers(0, 99))
def test_a_loops_last_bar_leads_back(genre, bars, seed):
    score = write(genre, seed, bpm=100, bars=bars, loop=True)
    progressions = GENRES[genre].progressions[score.key.mode]
    own_ends = {progression[-1].split()[-1] for progression in progressions} if bars % 4 == 0 else set()
    assert score.chords[-1].symbol in own_ends or (score.chords[-1].root - score.key.pitch_class) % 12 == 7


@settings(max_examples=40, deadline=None)
@given(genre=st.sampled_from(GENRE_NAMES), duration=st.floats(0.5, 60), seed=st.integers(0, 999))
def test_a_loop_without_a_tempo_is_whole_bars(genre, duration, seed):
    score = write(genre, seed, duration=duration, loop=True)
    assert score.length_quarters == score.bars * score.meter.quarters_per_bar
    assert score.length_quarters * 60 / score.bpm == exact_fraction(duration)


@settings(max_examples=40, deadline=None)
@given(genre=st.sampled_from(GENRE_NAMES), seed=st.integers(0, 999))
def test_without_a_tempo_the_genres_own_range_is_kept(genre, seed):
    low, high = GENRES[genre].tempo
    assert low <= write(genre, seed, duration=17.3).bpm <= high


def test_seeds_and_moods_choose_different_tempi():
    assert len({write("jazz", seed, duration=31).bpm for seed in range(12)}) > 2
    slow = [write("slow jazz", seed, duration=61).bpm for seed in range(6)]
    fast = [write("fast jazz", seed, duration=61).bpm for seed in range(6)]
    assert max(slow) < min(fast)


def test_a_range_in_samples_at_a_known_tempo_means_whole_bars():
    score = write("rock", 3, bpm=93.1, samples=494951)
    assert score.bars == 4
    assert max(event.onset for event in score.part_events("drums")) >= 15


def test_long_takes_have_a_form_and_many_bars_are_no_burden():
    score = write("house", 3, bpm=240, bars=512)
    assert score.bars == 512
    first = [event for event in score.part_events("lead") if event.onset < 16]
    assert not first


@pytest.mark.parametrize("genre", GENRE_NAMES)
def test_different_seeds_give_different_music(genre):
    texts = {
        tuple((e.onset, e.pitch) for e in write(genre, seed, bpm=100, bars=4, key="C minor").events)
        for seed in range(6)
    }
    assert len(texts) >= 5
