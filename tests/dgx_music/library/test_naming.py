from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dgx_music.library.naming import MAX_NAME_BYTES, folder_of, slug, take_file_name

JOB = "gen_1a2b3c4d5e6f"


def tempo_that_ardour_reads(name):
    """Read a clip's tempo from its name by Ardour's rule; `None` where it falls back to listening.

    The rule: the first " bpm", else the first "bpm", else " BPM", else "BPM". Of what stands before it, take the
    last character that is a digit or one of . , _ - and go left over digits, dots and commas. If anything is
    left before these, read a number there as C++ streams do, which stop at the first character that does not fit.
    """
    for mark in (" bpm", "bpm", " BPM", "BPM"):
        at = name.find(mark)
        if at >= 0:
            break
    else:
        return None
    before = name[:at]
    last = max(before.rfind(character) for character in "0123456789.,_-")
    while last >= 0 and (before[last].isdigit() or before[last] in ".,"):
        last -= 1
    if last <= 0:
        return None
    number = re.match(r"\d+\.?\d*|\.\d+", before[last + 1 :])
    return float(number[0]) if number else None


@pytest.mark.parametrize(
    ("name", "tempo"),
    [
        ("loop_120bpm.wav", 120),
        ("loop 93.5 bpm.wav", 93.5),
        ("120bpm_loop.wav", None),
        ("loop.wav", None),
        ("a_100bpm_120bpm.wav", 100),
        ("LOOP_90BPM.wav", 90),
        ("bpm_90bpm.wav", None),
    ],
)
def test_the_rule_itself(name, tempo):
    assert tempo_that_ardour_reads(name) == tempo


WORDS = st.sampled_from(
    ["bpm", "BPM", " bpm", "120", "93.5", "bbpmpm", "b-p-m", "/", "..", "\n", "\0", "_", "é", "ß", "ﬁ"]
)
PROMPTS = st.one_of(st.text(max_size=200), st.lists(WORDS | st.text(max_size=5), max_size=40).map("".join))


@given(
    prompt=PROMPTS,
    engine=st.text(max_size=30),
    take_index=st.integers(0, 15),
    bpm=st.none() | st.floats(20, 400),
    key=st.none() | st.sampled_from(["C# minor", "Bb major", "A minor"]),
    stem=st.none() | st.text(min_size=1, max_size=30),
)
@example(prompt="120 bpm 90 BPM bpm", engine="bpm", take_index=0, bpm=93.5, key=None, stem="bpm")
@example(prompt="bbpmpm 5", engine="x", take_index=0, bpm=None, key=None, stem=None)
@example(prompt="ＢＰＭ ㎭", engine="x", take_index=0, bpm=84.0, key=None, stem=None)
def test_ardour_reads_the_tempo_and_nothing_else(prompt, engine, take_index, bpm, key, stem):
    name = take_file_name(
        prompt, engine=engine, job_id=JOB, take_index=take_index, bpm=bpm, key=key, stem=stem
    )
    read = tempo_that_ardour_reads(name)
    if bpm is None:
        assert read is None
        assert "bpm" not in name.lower()
    else:
        assert read == pytest.approx(bpm, abs=0.0005)
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*\.wav", name)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert f"_{JOB}_t{take_index + 1}" in name


@given(
    prompt=PROMPTS,
    one=st.tuples(st.integers(0, 15), st.integers(0, 2**48 - 1), st.sampled_from([None, "drums", "bass"])),
    other=st.tuples(st.integers(0, 15), st.integers(0, 2**48 - 1), st.sampled_from([None, "drums", "bass"])),
)
def test_two_takes_never_bear_one_name(prompt, one, other):
    def name(take_index, job, stem):
        return take_file_name(
            prompt, engine="sketch", job_id=f"gen_{job:012x}", take_index=take_index, stem=stem
        )

    assert (name(*one) == name(*other)) == (one == other)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Dusty lo-fi drums & Rhodes", "dusty-lo-fi-drums-rhodes"),
        ("93.5 bpm house", "house"),
        ("house at 120BPM, loud", "house-at-loud"),
        ("Straße über Fjällräven", "strasse-uber-fjallraven"),
        ("don't stop", "dont-stop"),
        ("低保真鼓", ""),
        (
            "one two three four five six seven eight nine ten eleven",
            "one-two-three-four-five-six-seven-eight-nine-ten",
        ),
        ("x" * 100, "x" * 48),
    ],
)
def test_slugs(prompt, expected):
    assert slug(prompt, 48) == expected


def test_names_as_a_musician_sees_them():
    assert (
        take_file_name("Dusty lo-fi drums", engine="sketch", job_id=JOB, take_index=0, bpm=84.0)
        == "dusty-lo-fi-drums_sketch_gen_1a2b3c4d5e6f_t1_84bpm.wav"
    )
    assert (
        take_file_name(
            "低保真", engine="musicgen", job_id=JOB, take_index=2, bpm=93.5, key="C# minor", stem="Drum Kit"
        )
        == "take_musicgen_gen_1a2b3c4d5e6f_t3_drum-kit_c-sharp-minor_93.5bpm.wav"
    )
    assert take_file_name("x", engine="sketch", job_id=JOB, take_index=0, key="Bb major") == (
        "x_sketch_gen_1a2b3c4d5e6f_t1_b-flat-major.wav"
    )


def test_the_folder_of_a_day():
    assert folder_of(dt.date(2026, 3, 7)) == "2026/03/07"
