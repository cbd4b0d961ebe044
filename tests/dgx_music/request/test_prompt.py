from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.request import read_prompt


@pytest.mark.parametrize(
    ("prompt", "bpm"),
    [
        ("84 bpm", 84.0),
        ("at 93.5BPM", 93.5),
        ("120-bpm techno", 120.0),
        ("98,5 bpm", 98.5),
        ("808 bpm", None),  # a drum machine, not a tempo
        ("808 drums", None),
        ("1984 bpm", None),
        ("5 bpm", None),
    ],
)
def test_tempo_is_read_where_it_says_bpm(prompt, bpm):
    assert read_prompt(prompt).bpm == bpm


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("warm rhodes in A minor", "A minor"),
        ("C# minor pad", "C# minor"),
        ("Bb major brass", "Bb major"),
        ("in F-sharp minor", "F# minor"),
        ("E♭ maj", "Eb major"),
        ("key of g", "G major"),
        ("key of D minor", "D minor"),
        ("c# minor arps", "C# minor"),
        ("a minor disagreement", None),  # an article, not a tonic
        ("a major hit", None),
        ("DGX major release", None),
    ],
)
def test_a_key_is_read_only_where_there_is_no_doubt(prompt, key):
    found = read_prompt(prompt).key
    assert (str(found) if found else None) == key


@pytest.mark.parametrize(
    ("prompt", "meter"),
    [
        ("a waltz in 3/4", "3/4"),
        ("7/8 groove", "7/8"),
        ("24/7 radio", None),
        ("99/4", None),
        ("2026/11/22", None),
    ],
)
def test_a_meter_is_read_where_it_can_be_one(prompt, meter):
    found = read_prompt(prompt).meter
    assert (str(found) if found else None) == meter


@pytest.mark.parametrize(
    ("prompt", "bars"), [("8 bars", 8), ("a 4-bar loop", 4), ("12 bar blues", 12), ("bars", None)]
)
def test_bars_are_read(prompt, bars):
    assert read_prompt(prompt).bars == bars


@given(st.text())
def test_no_text_breaks_the_reader(prompt):
    found = read_prompt(prompt)
    assert found.bpm is None or 20 <= found.bpm <= 400
