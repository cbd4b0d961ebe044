"""What the engine reads from a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.sketch.brief import read_brief
from dgx_music.engines.sketch.genres import GENRES
from dgx_music.engines.sketch.score import PARTS
from dgx_music.engines.sketch.synth.kit import KITS
from dgx_music.engines.sketch.synth.patches import PATCHES
from dgx_music.engines.sketch.words import GENRE_WORDS, INSTRUMENT_WORDS


@pytest.mark.parametrize(
    ("prompt", "genre"),
    [
        ("lo-fi study beats", "lofi"),
        ("Chillhop with a warm Rhodes", "lofi"),
        ("liquid drum & bass, 174 bpm", "dnb"),
        ("drum and bass", "dnb"),
        ("four on the floor groove", "house"),
        ("techno, four on the floor", "techno"),
        ("jazz house", "jazz"),
        ("house jazz", "house"),
        ("an epic orchestral trailer", "cinematic"),
        ("bossa nova on a nylon guitar", "bossa"),
        ("something nice for my mother", "pop"),
        ("warehouse", "techno"),
    ],
)
def test_the_first_genre_word_decides(prompt, genre):
    assert read_brief(prompt).genre.name == genre


@pytest.mark.parametrize(
    ("prompt", "genre"),
    [
        ("funky house groove", "house"),
        ("epic techno", "techno"),
        ("atmospheric drum and bass", "dnb"),
        ("acoustic jazz trio", "jazz"),
        ("funky slap bass", "funk"),
        ("something jazzy", "jazz"),
        ("an epic battle", "cinematic"),
    ],
)
def test_an_adjective_decides_only_where_no_genre_is_named(prompt, genre):
    assert read_brief(prompt).genre.name == genre


@pytest.mark.parametrize(
    ("prompt", "missing"),
    [
        ("techno, no drums", {"drums"}),
        ("techno without drums or bass", {"drums", "bass"}),
        ("drumless jazz", {"drums"}),
        ("house without any percussion", {"drums"}),
        ("rock, no bass, no lead", {"bass", "lead"}),
        ("beatless techno", {"drums"}),
        ("pop, no drums, no bass and no pad", {"drums", "bass", "pad"}),
    ],
)
def test_what_is_negated_does_not_play_and_all_else_does(prompt, missing):
    brief = read_brief(prompt)
    everything = set(read_brief(brief.genre.name).parts)
    assert set(brief.parts) == everything - missing


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("dusty lo-fi drums, brushed snare", {"drums"}),
        ("drums only, house", {"drums"}),
        ("house, only drums", {"drums"}),
        ("just piano", {"chords"}),
        ("solo bass", {"bass"}),
        ("techno drum loop 4 bars 128 bpm", {"drums"}),
        ("ambient pads and strings", {"pad"}),
        ("funky slap bass in E minor", {"bass"}),
    ],
)
def test_a_prompt_about_an_instrument_gets_that_instrument_alone(prompt, parts):
    assert set(read_brief(prompt).parts) == parts


@pytest.mark.parametrize(
    "prompt", ["techno with heavy drums", "techno, heavy drums", "lofi hip hop, 84 bpm, A minor, warm rhodes"]
)
def test_naming_an_instrument_beside_a_style_keeps_the_band(prompt):
    assert {"drums", "bass", "chords", "lead"} <= set(read_brief(prompt).parts)


def test_ambient_plays_drums_only_when_asked():
    assert "drums" not in read_brief("ambient").parts
    assert "drums" in read_brief("ambient with brushes").parts


@pytest.mark.parametrize(
    ("prompt", "part", "patch"),
    [
        ("lofi with a grand piano", "chords", "piano"),
        ("rock with organ and flute", "lead", "flute"),
        ("rock with guitar", "chords", "drive_guitar"),
        ("bossa with guitar", "chords", "nylon"),
        ("techno with an acid bass", "bass", "acid"),
        ("house with a sub bass", "bass", "sub"),
        ("jazz with brushes", "drums", "brushes"),
        ("pop with choir", "pad", "choir"),
        ("pop, no piano, rhodes", "chords", "rhodes"),
    ],
)
def test_instruments_are_taken_from_the_prompt(prompt, part, patch):
    brief = read_brief(prompt)
    if "no piano" in prompt:
        assert "chords" not in brief.parts
    else:
        assert brief.patches[part] == patch


def test_moods_move_density_brightness_tempo_and_mode():
    plain = read_brief("house")
    calm, driving = read_brief("calm sparse house"), read_brief("energetic busy house")
    assert calm.density < plain.density < driving.density
    assert calm.tempo_bias < plain.tempo_bias < driving.tempo_bias
    dark, bright = read_brief("dark house"), read_brief("bright house")
    assert dark.brightness < plain.brightness < bright.brightness
    assert (dark.mode, plain.mode, bright.mode) == ("minor", None, "major")


def test_swing_can_be_asked_for_and_refused():
    assert read_brief("swing rock").swing is True
    assert read_brief("straight jazz").swing is False
    assert read_brief("jazz").swing is None


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_gives_a_band_that_can_be_rendered(prompt):
    assert_playable(read_brief(prompt))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from([*GENRE_WORDS, *INSTRUMENT_WORDS, "no", "without", "only", ",", "with"]), min_size=1
    )
)
def test_any_mixture_of_known_words_gives_a_band_that_can_be_rendered(words):
    assert_playable(read_brief(" ".join(words)))


def assert_playable(brief):
    assert brief.parts
    assert set(brief.parts) <= set(PARTS)
    assert list(brief.patches) == list(brief.parts)
    for part, patch in brief.patches.items():
        assert patch in (KITS if part == "drums" else PATCHES)


def test_every_genre_names_instruments_that_exist():
    for genre in GENRES.values():
        assert genre.drums.kit in KITS
        for patch in (genre.bass.patch, genre.chords.patch, genre.lead.patch):
            assert patch in PATCHES
    for part, patch in INSTRUMENT_WORDS.values():
        assert not patch or patch == "guitar" or patch in (KITS if part == "drums" else PATCHES)
