"""Chords in a key, and voices that move little."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.sketch.brief import read_brief
from dgx_music.engines.sketch.comping import voicings
from dgx_music.engines.sketch.genres import GENRES
from dgx_music.engines.sketch.harmony import VOICES, parse_chord, scale_for, spell_chords
from dgx_music.engines.sketch.plan import make_plan
from dgx_music.engines.sketch.score import ChordSpan
from dgx_music.request import Key


@pytest.mark.parametrize(
    ("symbol", "key", "root", "tones"),
    [
        ("i7", "A minor", 9, {9, 0, 4, 7}),
        ("bVImaj7", "A minor", 5, {5, 9, 0, 4}),
        ("V7", "A minor", 4, {4, 8, 11, 2}),
        ("iiø7", "C minor", 2, {2, 5, 8, 0}),
        ("I", "Eb major", 3, {3, 7, 10}),
        ("IV9", "C major", 5, {5, 9, 3, 7}),
    ],
)
def test_numerals_are_read_on_the_major_scale(symbol, key, root, tones):
    found_root, found = parse_chord(symbol, Key.parse(key))
    assert found_root == root == found[0]
    assert set(found) == tones


def test_an_unknown_numeral_is_refused_with_an_example():
    with pytest.raises(ValueError, match="bVImaj7"):
        parse_chord("H13", Key("C", "major"))


def test_every_progression_can_be_read_and_starts_on_its_tonic():
    for genre in GENRES.values():
        for mode, progressions in genre.progressions.items():
            key = Key("C", mode)
            for progression in progressions:
                for symbol in " ".join(progression).split():
                    parse_chord(symbol, key)
                assert parse_chord(progression[0], key)[0] == key.pitch_class, (genre.name, progression)


@settings(max_examples=40, deadline=None)
@given(
    genre=st.sampled_from(sorted(GENRES)),
    seed=st.integers(0, 10_000),
    tonic=st.sampled_from(["C", "F#", "Bb", "E"]),
    mode=st.sampled_from(["major", "minor"]),
)
def test_voices_stay_in_range_sound_every_tone_and_move_little(genre, seed, tonic, mode):
    from dgx_music.request import GenerationRequest

    request = GenerationRequest.from_fields(
        {"prompt": genre, "bars": 16, "bpm": 120, "key": f"{tonic} {mode}"}
    )
    chords = spell_chords(make_plan(request, read_brief(genre), seed))
    for comp in (GENRES[genre].chords, GENRES[genre].pad):
        if comp is None:
            continue
        found = voicings(chords, comp)
        for chord, voicing in zip(chords, found, strict=True):
            assert len(voicing) == VOICES
            assert comp.low <= voicing[0] <= voicing[-1] <= comp.high
            wanted = {chord.root, (chord.root + 7) % 12} if comp.power else set(chord.tones)
            assert {note % 12 for note in voicing} == wanted
        moves = [max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairwise(found)]
        assert max(moves) <= 9
        assert sum(moves) / len(moves) <= 5


def test_a_minor_keys_dominant_drops_the_note_that_rubs_its_leading_note():
    key = Key("A", "minor")
    root, tones = parse_chord("V7", key)
    scale = scale_for(ChordSpan(0, 4, "V7", root, tones), key, pentatonic=False)
    assert 8 in scale
    assert 7 not in scale
