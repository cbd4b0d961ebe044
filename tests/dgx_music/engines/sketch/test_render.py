"""From score to sound: exact places, exact sums, exact repeats."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgx_music.engines.sketch.compose import compose
from dgx_music.engines.sketch.genres import GENRES
from dgx_music.engines.sketch.render import place_notes
from dgx_music.engines.sketch.sounds import NumpySounds
from dgx_music.request import GenerationRequest

GENRE_NAMES = sorted(GENRES)
RENDERED = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@RENDERED
@given(
    genre=st.sampled_from(GENRE_NAMES),
    meter=st.sampled_from(["4/4", "7/8", "5/4", "15/16", "2/4"]),
    bpm=st.floats(60, 200),
    bars=st.integers(1, 2),
    seed=st.integers(0, 2**60),
    loop=st.booleans(),
)
def test_length_level_sum_and_repeat(make, genre, meter, bpm, bars, seed, loop):
    raw = make(f"{genre}", seed=seed, meter=meter, bpm=bpm, bars=bars, loop=loop)
    request = GenerationRequest.from_fields({"prompt": genre, "meter": meter, "bpm": bpm, "bars": bars})
    exact = request.length_exact_s * 48_000
    expected = math.floor(exact + Fraction(1, 2)) if loop else math.ceil(exact)
    assert raw.audio.shape == (2, expected)
    assert raw.audio.dtype == np.float32
    assert np.isfinite(raw.audio).all()
    assert 0.01 < np.max(np.abs(raw.audio)) <= 1.0
    total = np.zeros_like(raw.audio)
    for stem in raw.stems.values():
        assert stem.shape == raw.audio.shape
        total += stem
    assert np.max(np.abs(total - raw.audio)) <= 1e-6
    again = make(f"{genre}", seed=seed, meter=meter, bpm=bpm, bars=bars, loop=loop)
    assert np.array_equal(again.audio, raw.audio)
    assert (raw.bpm, raw.meter) == (bpm, meter)


@RENDERED
@given(
    genre=st.sampled_from([name for name in GENRE_NAMES if GENRES[name].drums.by_default]),
    meter=st.sampled_from(["4/4", "7/8", "6/8", "13/16"]),
    bpm=st.floats(61, 199),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_every_drum_hit_starts_on_the_sample_that_its_time_rounds_to(genre, meter, bpm, seed, data):
    fields = {"prompt": f"{genre} drums only", "meter": meter, "bpm": bpm, "bars": 3}
    score = compose(GenerationRequest.from_fields(fields), seed)
    sounds = NumpySounds(seed, 0, 0.0)
    samples = math.ceil(score.length_quarters * 60 * 48_000 / score.bpm)
    whole = place_notes(score, "drums", sounds, samples, lambda _: None)
    for number in data.draw(st.sets(st.integers(0, len(score.events) - 1), min_size=1, max_size=8)):
        event = score.events[number]
        without = replace(score, events=score.events[:number] + score.events[number + 1 :])
        alone = whole - place_notes(without, "drums", sounds, samples, lambda _: None)
        # Sums of floats differ in the last place wherever notes overlap; a strike is far above that.
        first = int(np.argmax(np.max(np.abs(alone), axis=0) > 1e-5))
        exact = event.onset * 60 / Fraction(repr(bpm)) * 48_000
        assert abs(first - exact) <= Fraction(1, 2)


def test_onsets_do_not_drift_over_a_long_take():
    score = compose(GenerationRequest.from_fields({"prompt": "techno", "bpm": 133.7, "bars": 300}), 5)
    last = max(event.onset for event in score.part_events("drums"))
    assert last > 1190
    assert abs(score.sample_at(last) - float(last) * 60 / 133.7 * 48_000) <= 0.51


def test_without_drums_the_other_stems_are_the_same_to_the_bit(make):
    full = make("jazz", bpm=140, bars=2, key="F major")
    less = make("jazz, no drums", bpm=140, bars=2, key="F major")
    assert set(full.stems) - set(less.stems) == {"drums"}
    for name, stem in less.stems.items():
        assert np.array_equal(stem, full.stems[name])


@pytest.mark.parametrize("genre", GENRE_NAMES)
def test_no_offset_and_a_low_end_in_the_middle(make, genre):
    raw = make(f"{genre} with drums", seed=7, duration=6)
    assert np.max(np.abs(raw.audio.mean(axis=1))) < 1e-3
    side = np.fft.rfft((raw.audio[0] - raw.audio[1]).astype(np.float64) / 2)
    middle = np.fft.rfft((raw.audio[0] + raw.audio[1]).astype(np.float64) / 2)
    low = np.fft.rfftfreq(raw.audio.shape[1], 1 / 48_000) < 120
    assert np.sum(np.abs(side[low]) ** 2) < 0.01 * np.sum(np.abs(middle[low]) ** 2)


@pytest.mark.parametrize("genre", GENRE_NAMES)
def test_a_loops_seam_is_as_smooth_as_its_middle(make, genre):
    audio = make(genre, seed=3, bpm=100, bars=2, loop=True).audio
    # Seen across the seam, second differences are no larger than elsewhere at an ordinary bar line.
    twice = np.concatenate([audio, audio], axis=1)
    seam = audio.shape[1]
    bar_line = seam // 2
    bend = np.abs(np.diff(twice, n=2, axis=1)).max(axis=0)
    before_seam = bend[seam - 200 : seam - 3].max()
    before_bar = max(bend[bar_line - 200 : bar_line - 3].max(), bend[1000:].mean())
    assert before_seam <= 12 * before_bar
    assert np.abs(audio[:, -1] - audio[:, 0]).max() < 0.5


def test_a_loops_tail_goes_on_at_its_start(make):
    looped = make("ambient bells", seed=2, bpm=120, bars=1, loop=True).audio
    plain = make("ambient bells", seed=2, bpm=120, bars=1).audio
    assert np.abs(plain[:, -1]).max() < 1e-4
    assert np.sqrt(np.mean(looped[:, -2400:] ** 2)) > 1e-3
    assert np.sqrt(np.mean((looped[:, :2400]) ** 2)) > np.sqrt(np.mean(plain[:, :2400] ** 2))


@pytest.mark.parametrize("duration", [0.5, 0.9, 3.3, 7.7])
def test_takes_of_any_length_end_in_silence_and_not_in_a_cut(make, duration):
    audio = make("pop", bpm=104, duration=duration).audio
    assert np.abs(audio[:, -1]).max() < 1e-4
    assert np.sqrt(np.mean(audio[:, -4800:-2400] ** 2)) < np.sqrt(np.mean(audio**2))


def test_the_kick_makes_room_in_house_and_not_without_drums(make):
    with_kick = make("house", bpm=120, bars=2, key="A minor").stems["pad"]
    without = make("house, no drums", bpm=120, bars=2, key="A minor").stems["pad"]

    def breath(stem):
        beats = stem[0, : 24_000 * 8].reshape(8, 24_000)
        return np.sqrt(np.mean(beats[:, 1000:4000] ** 2)) / np.sqrt(np.mean(beats[:, 16_000:22_000] ** 2))

    assert breath(with_kick) < 0.75 * breath(without)
