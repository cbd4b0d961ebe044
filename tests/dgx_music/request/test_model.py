from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.errors import RequestError
from dgx_music.request import GenerationRequest

make = GenerationRequest.from_fields


def problems(**fields):
    with pytest.raises(RequestError) as caught:
        make({"prompt": "a waltz", **fields})
    return caught.value.problems


def test_defaults_are_the_contracts():
    request = make({"prompt": "a waltz"})
    assert request.model_dump(exclude={"seed"}) == {
        "prompt": "a waltz",
        "duration": 16.0,
        "bars": None,
        "samples": None,
        "bpm": None,
        "meter": None,
        "tempo_map": None,
        "key": None,
        "loop": False,
        "takes": 1,
        "engine": "auto",
        "model": "auto",
        "temperature": 1.0,
        "top_k": 250,
        "top_p": 0.0,
        "cfg_coef": 3.0,
        "continue_from": None,
        "melody": None,
        "loudness": -16.0,
        "sample_rate": 48000,
        "bit_depth": 24,
        "session": None,
        "make_session": False,
        "request_id": None,
        "priority": 0,
    }
    assert 0 <= request.seed < 2**63


def test_a_seed_that_was_not_given_is_drawn_anew():
    assert make({"prompt": "a"}).seed != make({"prompt": "a"}).seed


def test_what_the_prompt_says_fills_in_what_no_field_says():
    request = make({"prompt": "dusty lo-fi drums and rhodes, 84 bpm, A minor, 3/4, 8 bars"})
    assert (request.bpm, request.key, request.meter, request.bars) == (84.0, "A minor", "3/4", 8)


def test_an_explicit_field_wins_over_the_prompts_words():
    request = make({"prompt": "84 bpm, A minor, 8 bars", "bpm": 90, "key": "Bb", "duration": 3})
    assert (request.bpm, request.key, request.bars, request.duration) == (90.0, "Bb major", None, 3.0)


def test_configured_defaults_stand_behind_given_fields():
    request = make({"prompt": "a", "bit_depth": 16}, {"bit_depth": 24, "loudness": "ebu-r128"})
    assert (request.bit_depth, request.loudness_target_lufs) == (16, -23.0)


def test_bars_in_a_prompt_without_a_tempo_do_not_break_the_request():
    assert make({"prompt": "8 bars of rest"}).duration == 16.0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "   "}, "prompt: empty; an empty prompt would switch the model's guidance off"),
        ({"prompt": "x" * 2001}, "prompt: 'xxx"),
        ({"prompt": 3}, "prompt: 3 cannot be used"),
        ({"takes": 17}, "takes: 17 is not allowed; it must be at most 16"),
        ({"takes": 0}, "it must be at least 1"),
        ({"duration": 601}, "duration: 601 is not allowed; it must be at most 600"),
        ({"duration": 0.1}, "it must be at least 0.5"),
        ({"bars": 4}, "bars needs a tempo: give bpm"),
        ({"bars": 4, "duration": 2, "bpm": 90}, "duration and bars are both given"),
        ({"bars": 512, "bpm": 20}, "the longest take is 600 s"),
        ({"bpm": 19}, "bpm: 19 is not allowed; it must be at least 20"),
        ({"meter": "4/5"}, "'4/5' is not a meter; write beats/note value"),
        ({"key": "H minor"}, "'H minor' is not a key"),
        ({"loudness": "loud"}, "is no loudness target; give LUFS such as -16"),
        ({"loudness": 3}, "3 LUFS is outside"),
        ({"sample_rate": 47}, "47 Hz is not offered; choose one of 32000, 44100"),
        ({"bit_depth": 12}, "bit_depth: 12 is not allowed; it must be 16, 24 or 32"),
        ({"temperature": float("nan")}, "it must be a finite number"),
        ({"seed": 2**63}, "seed: 9223372036854775808 is not allowed"),
        ({"seed": 2**63 - 1, "takes": 2}, "leaves no room for 2 takes"),
        ({"samples": 4.5}, "samples: 4.5 cannot be used"),
        ({"loop": "perhaps"}, "loop: 'perhaps' cannot be used"),
        ({"priority": 11}, "priority: 11 is not allowed"),
        ({"session": {"position": 3}}, "session.path: missing"),
    ],
)
def test_every_bound_explains_itself(fields, said):
    found = problems(**fields)
    assert any(said in problem for problem in found), found


def test_an_unknown_field_is_refused_by_name_with_the_likely_one():
    assert problems(duraton=4) == ["duraton: unknown field; did you mean 'duration'?"]
    assert problems(zzz=1)[0].startswith("zzz: unknown field; known are prompt, duration")
    assert problems(session={"path": "a", "tracks": 1}) == [
        "session.tracks: unknown field; did you mean 'track'?"
    ]


def test_all_problems_are_told_at_once():
    assert len(problems(takes=99, bpm=3, nonsense=1)) == 3


def test_what_ardours_lua_can_send_is_understood():
    request = make(
        {"prompt": "a", "samples": 480000.0, "seed": "42", "takes": 3.0, "loop": 1, "bit_depth": "float"}
    )
    assert (request.samples, request.seed, request.takes, request.loop, request.bit_depth) == (
        480000,
        42,
        3,
        True,
        32,
    )


def test_a_stored_request_comes_back_equal():
    request = make(
        {"prompt": "84 bpm, 8 bars", "session": {"path": "/s", "position": 9}, "loudness": "streaming"}
    )
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request
    assert GenerationRequest.model_validate(json.loads(request.model_dump_json())) == request


@given(
    bars=st.integers(1, 64),
    centi_bpm=st.integers(4000, 22000),
    beats=st.integers(1, 15),
    note_value=st.sampled_from([2, 4, 8, 16]),
    rate=st.sampled_from([44100, 48000, 88200, 96000]),
)
def test_bars_are_exact_to_the_sample(bars, centi_bpm, beats, note_value, rate):
    exact_s = Fraction(bars * beats * 4 * 60 * 100, note_value * centi_bpm)
    if exact_s > 600:
        return
    request = make(
        {
            "prompt": "a",
            "bars": bars,
            "bpm": centi_bpm / 100,
            "meter": f"{beats}/{note_value}",
            "sample_rate": rate,
        }
    )
    assert request.length_exact_s == exact_s
    assert abs(request.length_samples - exact_s * rate) <= Fraction(1, 2)


@given(
    st.dictionaries(st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
)
def test_no_input_raises_anything_but_a_request_error(fields):
    told = ["nothing to tell"]
    try:
        make(fields)
    except RequestError as err:
        told = err.problems
    assert told
    assert all(told)


def test_what_cannot_be_shown_is_taken_out_of_a_prompt():
    assert make({"prompt": "a\x01b\x7f\ud800 größer 🎹\ufffe\n line"}).prompt == "a b größer 🎹 line"
    assert problems(prompt="\x01\x02")[0].startswith("prompt: empty")


def test_how_takes_land_is_part_of_the_request():
    plain = make({"prompt": "a", "session": {"path": "/s"}}).session
    assert (plain.playlists, plain.on_top, plain.stems, plain.replace) == ("new", "take", False, None)
    said = make(
        {
            "prompt": "a",
            "session": {
                "path": "/s",
                "playlists": "copy",
                "on_top": "mine",
                "stems": True,
                "replace": {"position": 48000.0, "length": 96000.0, "name": "warm pad.2"},
            },
        }
    ).session
    assert (said.playlists, said.on_top, said.stems) == ("copy", "mine", True)
    assert said.replace is not None
    assert (said.replace.position, said.replace.length, said.replace.name) == (48000, 96000, "warm pad.2")


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (
            {"path": "/s", "playlists": "all"},
            "session.playlists: 'all' is not allowed; it must be 'new', 'copy' or",
        ),
        (
            {"path": "/s", "on_top": "yours"},
            "session.on_top: 'yours' is not allowed; it must be 'take' or 'mine'",
        ),
        ({"path": "/s", "replace": {"position": 3}}, "session.replace.length: missing (the region's length"),
        (
            {"path": "/s", "replace": {"position": -1, "length": 1}},
            "session.replace.position: -1 is not allowed",
        ),
        ({"path": "/s", "position": 10**14}, "session.position: 100000000000000 is not allowed"),
        ("/s", "session: '/s' is not allowed; it must be an object with fields of its own"),
    ],
)
def test_a_wrong_landing_is_refused_with_what_would_be_right(session, said):
    assert any(problem.startswith(said) for problem in problems(session=session))


@pytest.mark.parametrize("field", ["loop", "tempo_map", "session"])
def test_a_value_of_any_depth_is_refused_like_any_other(field):
    deep: object = 1
    for _ in range(5000):
        deep = {"a": deep}
    assert problems(**{field: deep})[0].startswith(f"{field}")


def test_an_excerpt_names_channels_one_by_one():
    mono = {"path": "/s/x%L.wav", "start": 5, "length": 10}
    assert make({"prompt": "a", "continue_from": mono}).continue_from.sources == ()
    stereo = make({"prompt": "a", "continue_from": {**mono, "more": [{"path": "/s/x%R.wav"}]}}).continue_from
    assert [(source.path, source.channel) for source in stereo.sources] == [
        ("/s/x%L.wav", 0),
        ("/s/x%R.wav", 0),
    ]
    right = make({"prompt": "a", "melody": {"path": "/s/y.wav", "channel": 1}}).melody
    assert [(source.path, source.channel) for source in right.sources] == [("/s/y.wav", 1)]


def test_lists_may_come_as_text_from_surfaces_that_have_no_lists():
    points = [{"at": 0, "bpm": 93.5, "meter": "7/8"}, {"at": 100_000, "bpm": 120}]
    more = [{"path": "/s/x%R.wav"}]
    whole = make(
        {"prompt": "a", "seed": 1, "tempo_map": points, "melody": {"path": "/s/x%L.wav", "more": more}}
    )
    text = make(
        {
            "prompt": "a",
            "seed": 1,
            "tempo_map": json.dumps(points),
            "melody": {"path": "/s/x%L.wav", "more": json.dumps(more)},
        }
    )
    assert whole == text
    (said,) = problems(tempo_map="[{")
    assert said.startswith("tempo_map: a text that is no JSON (Expecting property name")
    assert said.endswith("at line 1, column 3); give a list of objects")
