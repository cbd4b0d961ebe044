from __future__ import annotations

import numpy as np
import pytest

from dgx_music.finishing.analyse import analyse
from dgx_music.finishing.master import Analysis
from support.signals import clicks, noise, progression

MAJOR, MINOR = 4, 3


@pytest.mark.parametrize("bpm", [60, 84, 93.5, 119.9, 120, 120.3, 174, 200])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_clicks_tempo_is_measured_to_a_tenth_of_a_percent(bpm, rate):
    found = analyse(clicks(bpm, 16, rate), rate, asked_bpm=bpm)
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.001)
    assert found.tempo_confidence > 0.6


@pytest.mark.parametrize("asked", [112, 126, 120])
def test_the_asked_tempo_does_not_pull_the_measured_one(asked):
    assert analyse(clicks(119, 16, 48_000), 48_000, asked_bpm=asked).tempo_bpm == pytest.approx(
        119, rel=0.001
    )


@pytest.mark.parametrize("asked", [60, 120])
def test_the_asked_tempo_decides_the_octave(asked):
    # Strong and weak clicks in turn are 120 as well as 60.
    audio = clicks(60, 16, 48_000) + 0.5 * clicks(120, 16, 48_000)
    assert analyse(audio, 48_000, asked_bpm=asked).tempo_bpm == pytest.approx(asked, rel=0.002)


@pytest.mark.parametrize(
    ("chords", "key"),
    [
        (((57, MINOR), (53, MAJOR), (48, MAJOR), (55, MAJOR)), "A minor"),
        (((57, MINOR), (62, MINOR), (64, MAJOR), (57, MINOR)), "A minor"),
        (((60, MAJOR), (55, MAJOR), (57, MINOR), (53, MAJOR)), "C major"),
        (((61, MINOR), (57, MAJOR), (64, MAJOR), (59, MAJOR)), "C# minor"),
        (((58, MAJOR), (63, MAJOR), (65, MAJOR), (58, MAJOR)), "Bb major"),
    ],
    ids=["i VI III VII", "i iv V i", "I V vi IV", "i VI III VII in C#", "I IV V I"],
)
def test_the_key_of_a_progression(chords, key):
    found = analyse(progression(chords, 100, 48_000), 48_000)
    assert found.key == key
    assert 0 < found.key_confidence <= 1
    assert found.tempo_bpm == pytest.approx(100, rel=0.002)


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros((2, 480_000), np.float32),
        np.full((1, 480_000), 0.5, np.float32),
        np.zeros((1, 1), np.float32),
        noise(0.05, 48_000),
    ],
    ids=["silence", "a constant", "one sample", "50 ms"],
)
def test_where_nothing_can_be_heard_nothing_is_claimed(audio):
    assert analyse(audio, 48_000) == Analysis(None, 0.0, None, 0.0)


def test_noise_has_neither_tempo_nor_key():
    found = analyse(noise(16, 48_000), 48_000, asked_bpm=120)
    assert (found.tempo_bpm, found.key) == (None, None)


def test_a_clip_under_three_seconds_has_no_tempo():
    assert analyse(clicks(240, 2.9, 48_000), 48_000).tempo_bpm is None


def test_the_level_does_not_matter():
    audio = progression(((57, MINOR), (62, MINOR), (64, MAJOR), (57, MINOR)), 90, 48_000, bars=4)
    loud, quiet = analyse(audio, 48_000), analyse(audio * np.float32(0.01), 48_000)
    assert loud.key == quiet.key
    assert loud.tempo_bpm == pytest.approx(quiet.tempo_bpm, rel=1e-3)
