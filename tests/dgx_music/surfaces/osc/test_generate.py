"""What /dgx/generate's arguments mean."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.errors import RequestError
from dgx_music.request import GenerationRequest
from dgx_music.surfaces.osc.arguments import Generate, read_generate
from dgx_music.surfaces.osc.decode import OscValue, decode_packet
from support.osc_peer import message


def read(tags: str, *values: Any) -> Generate:
    (unit,) = decode_packet(message("/dgx/generate", tags, *values))
    return read_generate(unit.messages[0].values)


def request(tags: str, *values: Any) -> GenerationRequest:
    return GenerationRequest.from_fields(read(tags, *values).fields)


def test_a_lone_text_is_a_prompt() -> None:
    assert read("s", "dusty lo-fi drums").fields == {"prompt": "dusty lo-fi drums"}


def test_a_text_that_begins_with_a_bracket_but_is_no_json_is_a_prompt() -> None:
    assert read("s", "[intro] slow pads").fields == {"prompt": "[intro] slow pads"}


def test_a_prompt_in_braces_is_a_prompt_where_pairs_follow() -> None:
    assert read("ssi", "{loop} of drums", "takes", 2).fields == {"prompt": "{loop} of drums", "takes": 2}


def test_pairs_become_fields() -> None:
    found = request("ssisdsisT", "dusty drums", "bars", 4, "bpm", 93.5, "takes", 3, "loop")
    assert (found.bars, found.bpm, found.takes, found.loop) == (4, 93.5, 3, True)


@pytest.mark.parametrize(
    ("tag", "value"), [("i", 480_000), ("h", 480_000), ("d", 480_000.0), ("f", 480_000.0), ("s", "480000")]
)
def test_sample_counts_come_in_every_number_type_that_ardours_lua_can_send(tag: str, value: Any) -> None:
    assert request("ss" + tag, "drums", "samples", value).samples == 480_000


@pytest.mark.parametrize(("tag", "value"), [("h", 2**40 + 1), ("d", 2.0**40 + 1), ("s", str(2**40 + 1))])
def test_positions_beyond_32_bits_arrive_exactly(tag: str, value: Any) -> None:
    found = request("ssss" + tag, "drums", "session.path", "/songs/one", "session.position", value)
    assert found.session is not None
    assert found.session.position == 2**40 + 1


@pytest.mark.parametrize(
    ("tags", "values", "loop"),
    [("T", (), True), ("F", (), False), ("i", (1,), True), ("i", (0,), False), ("f", (1.0,), True)],
)
def test_truth_comes_as_tags_or_as_numbers(tags: str, values: tuple[Any, ...], loop: bool) -> None:
    assert request("ss" + tags, "drums", "loop", *values).loop is loop


def test_a_float32_means_the_decimal_that_its_sender_wrote() -> None:
    assert request("ssf", "drums", "bpm", 93.3).bpm == 93.3
    assert request("ssd", "drums", "bpm", 93.3).bpm == 93.3


@given(
    st.decimals(min_value="-99999", max_value="99999", places=1)
    | st.decimals(min_value="-10", max_value="10", places=5)
)
@settings(deadline=None)
def test_every_decimal_of_up_to_six_digits_survives_a_float32(decimal: Any) -> None:
    assert float(read("ssf", "drums", "x", float(decimal)).fields["x"]) == float(decimal)


@given(st.floats(width=32))
@settings(deadline=None)
def test_every_float32_stays_the_same_float32(value: float) -> None:
    read_value = float(read("ssf", "drums", "x", value).fields["x"])
    assert struct.pack(">f", read_value) == struct.pack(">f", value + 0.0) or math.isnan(value)


def test_nil_means_not_given() -> None:
    assert read("ssNsi", "drums", "key", "takes", 2).fields == {"prompt": "drums", "takes": 2}


def test_dotted_names_make_nested_fields() -> None:
    fields = read("ssssd", "drums", "session.path", "/songs/one", "session.position", 96_000.0).fields
    assert fields["session"] == {"path": "/songs/one", "position": 96_000}


def test_json_gives_all_fields() -> None:
    found = request(
        "s", '{"prompt": "drums", "bars": 2, "bpm": 120, "session": {"path": "/s", "position": 5}}'
    )
    assert found.bars == 2
    assert found.session is not None


def test_reply_port_is_not_a_field_of_the_request() -> None:
    assert read("s", '{"prompt": "drums", "reply_port": 9001}') == Generate({"prompt": "drums"}, 9001)
    assert read("ssi", "drums", "reply_port", 9001) == Generate({"prompt": "drums"}, 9001)
    assert read("sss", "drums", "reply_port", "9001").reply_port == 9001
    assert read("ssd", "drums", "reply_port", 9001.0).reply_port == 9001


@pytest.mark.parametrize(
    ("tags", "values", "says"),
    [
        ("", (), "the first argument is the prompt"),
        ("i", (4,), "the first argument is the prompt"),
        ("N", (), "the first argument is the prompt"),
        ("ss", ("drums", "bars"), "pairs of field and value"),
        ("ssis", ("drums", "bars", 4, "bpm"), "pairs of field and value"),
        ("sii", ("drums", 4, 4), "a field's name is a text"),
        ("ssi", ("drums", "", 4), "a field's name is a text"),
        ("ssb", ("drums", "bars", b"four"), "bars: the OSC type 'b'"),
        ("ssIsi", ("drums", "bars", "takes", 1), "bars: the OSC type 'I'"),
        ("sstsi", ("drums", "bars", 1, "takes", 1), "bars: the OSC type 't'"),
        ("ss[ii]", ("drums", "bars", 1, 2), "pairs of field and value"),
        ("sssiss", ("drums", "takes", "2", 3, "x", "y"), "pairs of field and value"),
        ("ssisi", ("drums", "takes", 2, "takes", 3), "'takes' is given twice"),
        ("sssss", ("drums", "session", "/s", "session.path", "/s"), "as a whole and in parts"),
        ("ssi", ("drums", "reply_port", 0), "reply_port: 0"),
        ("ssi", ("drums", "reply_port", 70_000), "reply_port: 70000"),
        ("ssT", ("drums", "reply_port"), "reply_port: True"),
        ("sss", ("drums", "reply_port", "http"), "reply_port: 'http'"),
        ("s", ('{"prompt": "drums", "prompt": "bass"}',), "'prompt' twice"),
        ("s", ('{"prompt": "drums", "bpm": NaN}',), "NaN is not a number"),
        ("s", ('{"prompt": "drums", "bpm": -Infinity}',), "-Infinity is not a number"),
        ("s", ('[{"prompt": "drums"}]',), "a JSON array came"),
        ("s", ('{"prompt": "drums"',), "line 1, column 19"),
        ("s", ("{'prompt': 'drums'}",), "double quotes"),
        ("s", ('{"prompt": "drums", "seed": ' + "9" * 6_000 + "}",), "a number that cannot be read"),
        ("s", ('{"a":' * 9_000 + "1" + "}" * 9_000,), "nested too deeply"),
        ("s", ('{"prompt": "drums", "reply_port": 1.5}',), "reply_port: 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(
    tags: str, values: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(RequestError) as refusal:
        read(tags, *values)
    assert says in str(refusal.value)


def test_a_deeply_nested_array_is_no_prompt_bomb() -> None:
    assert read("s", "[" * 20_000).fields == {"prompt": "[" * 20_000}


def test_symbols_and_characters_are_texts() -> None:
    assert read_generate((OscValue("S", "drums"), OscValue("S", "key"), OscValue("c", "C"))).fields == {
        "prompt": "drums",
        "key": "C",
    }


def test_where_and_how_a_take_lands_comes_in_pairs_too() -> None:
    found = request(
        "ssssssssTsdsdss",
        *("drums", "session.path", "/songs/one", "session.playlists", "copy", "session.on_top", "mine"),
        *("session.stems", "session.replace.position", 48_000.0, "session.replace.length", 96_000.0),
        *("session.replace.name", "warm pad.2"),
    )
    assert found.session is not None
    assert (found.session.playlists, found.session.on_top, found.session.stems) == ("copy", "mine", True)
    assert found.session.replace is not None
    assert (found.session.replace.position, found.session.replace.length) == (48_000, 96_000)


def test_a_tempo_map_comes_as_json_within_json_or_as_a_text_among_pairs() -> None:
    points = '[{"at": 0.0, "bpm": 93.5, "meter": "7/8"}, {"at": 215614.0, "bpm": 120}]'
    whole = request("s", f'{{"prompt": "drums", "seed": 1, "bars": 5, "tempo_map": {points}}}')
    pairs = request("ssisiss", "drums", "seed", 1, "bars", 5, "tempo_map", points)
    assert whole == pairs
    assert (whole.bpm, whole.meter, whole.length_samples) == (93.5, "7/8", 215_614 + 3 * 84_000)


def test_channels_come_as_a_text_among_pairs() -> None:
    found = request(
        "ssssssd",
        *("drums", "continue_from.path", "/s/x%L.wav", "continue_from.more", '[{"path": "/s/x%R.wav"}]'),
        *("continue_from.start", 480_000.0),
    )
    assert found.continue_from is not None
    assert found.continue_from.start == 480_000
    assert [source.path for source in found.continue_from.sources] == ["/s/x%L.wav", "/s/x%R.wav"]
