from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ardour_session import legal_session_name, legal_track_name
from ardour_session.names import file_name_problem, session_name_problem, track_name_problem

ANY_TEXT = st.text(st.characters(), min_size=1, max_size=300)


@given(ANY_TEXT)
def test_what_legal_session_name_makes_is_legal(text):
    try:
        name = legal_session_name(text)
    except ValueError:
        return  # blanks and dots only
    assert session_name_problem(name) is None
    assert legal_session_name(name) == name


@given(ANY_TEXT)
def test_what_legal_track_name_makes_is_legal(text):
    try:
        name = legal_track_name(text)
    except ValueError:
        return
    assert track_name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", "a:b", "a;b", "a\nb", "", ".", "..", "x" * 201, "\ufffe", "\ud800"]
)
def test_session_names_that_ardour_or_the_file_system_refuses_are_named(name):
    assert session_name_problem(name)


@pytest.mark.parametrize("name", ["dusty <lo-fi> & “warm”", "größe ночь 夜", "a.b", "-x", "'"])
def test_odd_but_legal_names_pass_unchanged(name):
    assert session_name_problem(name) is None
    assert legal_session_name(name) == name


def test_prompts_become_names():
    assert legal_session_name("dusty: lo-fi/drums; brushed") == "dusty_ lo-fi_drums_ brushed"
    assert legal_track_name("dusty: lo-fi/drums") == "dusty- lo-fi/drums"
    assert legal_track_name("Master") == "Master track"


@pytest.mark.parametrize("name", ["Master", "Click", "MIDI Tracer 1", "take: 1", "", "tab\there"])
def test_track_names_that_ardour_would_change_are_named(name):
    assert track_name_problem(name)


def test_a_file_name_cannot_leave_the_audio_folder():
    assert file_name_problem("../take.wav")
    assert file_name_problem("..")
    assert file_name_problem("take%L.wav") is None


def test_nothing_cannot_be_named():
    with pytest.raises(ValueError, match="no name"):
        legal_session_name(" . ")
