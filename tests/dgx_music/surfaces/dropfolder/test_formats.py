"""What a prompt file's bytes mean, and what is said about those that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.errors import RequestError
from dgx_music.request import GenerationRequest
from dgx_music.surfaces.dropfolder.formats import parse


def jobs(name: str, data: str | bytes) -> list[dict[str, Any]]:
    return parse(name, data if isinstance(data, bytes) else data.encode(), 2_000)


def why(name: str, data: str | bytes) -> str:
    with pytest.raises(RequestError) as refusal:
        jobs(name, data)
    return str(refusal.value)


def test_a_text_file_is_one_prompt() -> None:
    (job,) = jobs("a.txt", "dusty lo-fi drums,\nbrushed snare\n\n")
    assert GenerationRequest.from_fields(job).prompt == "dusty lo-fi drums, brushed snare"


@pytest.mark.parametrize("name", ["A.TXT", "a.Txt", "two.dots.txt"])
def test_extensions_are_read_without_regard_to_case(name: str) -> None:
    assert jobs(name, "drums") == [{"prompt": "drums"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_line_ends_of_every_system(encoding: str, newline: str) -> None:
    assert jobs("a.txt", f"späte{newline}Geigen".encode(encoding)) == [{"prompt": "späte\nGeigen"}]
    csv = f"prompt,takes{newline}späte Geigen,2{newline}".encode(encoding)
    assert jobs("a.csv", csv) == [{"prompt": "späte Geigen", "takes": "2"}]
    markdown = f"---{newline}bpm: 90{newline}---{newline}Geigen".encode(encoding)
    assert jobs("a.md", markdown) == [{"bpm": 90, "prompt": "Geigen"}]


def test_big_endian_utf_16_is_read() -> None:
    assert jobs("a.txt", b"\xfe\xff" + "Geigen".encode("utf-16-be")) == [{"prompt": "Geigen"}]


def test_bad_utf_8_is_refused_with_its_place() -> None:
    said = why("a.txt", b"good line\nsp\xe4te Geigen")
    assert "byte 0xe4 at offset 12 (line 2)" in said
    assert "offset 6 " in why("a.txt", b"\xef\xbb\xbfabc\xff")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.json", "a.toml", "a.csv"])
@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b" \r\n\t\n"])
def test_an_empty_file_is_refused(name: str, data: bytes) -> None:
    assert "empty" in why(name, data)


def test_a_nul_character_is_refused_with_its_place() -> None:
    assert "position 4" in why("a.txt", b"drum\0s")
    assert "UTF-32" in why("a.txt", "drums".encode("utf-32"))


@pytest.mark.parametrize("name", ["take.wav", "README", "a.yaml", "archive.tar.gz", "txt"])
def test_other_files_are_refused_with_the_formats_that_are_known(name: str) -> None:
    assert ".txt, .md, .json, .toml, .csv" in why(name, b"RIFF")


def test_markdown_with_front_matter() -> None:
    (job,) = jobs(
        "a.md",
        "---\n# what it is for\nbpm: 93.5   # quarter notes\nbars: 4\nloop: true\nkey: C# minor\nmeter: 7/8\n"
        "engine: \"sketch\"\nmodel: 'it''s'\nloudness: -23\nsession.path: /songs/one\nsession.position: 96000\n"
        "request_id: ~\npriority:\n---\n\n# Dusty drums\n\nwith a brushed snare\n",
    )
    assert job == {
        "bpm": 93.5,
        "bars": 4,
        "loop": True,
        "key": "C# minor",
        "meter": "7/8",
        "engine": "sketch",
        "model": "it's",
        "loudness": -23,
        "session": {"path": "/songs/one", "position": 96_000},
        "prompt": "# Dusty drums\n\nwith a brushed snare",
    }


def test_markdown_without_front_matter_and_with_rules_in_its_body() -> None:
    assert jobs("a.md", "dusty drums\n---\nmore") == [{"prompt": "dusty drums\n---\nmore"}]
    assert jobs("a.md", "---\nbpm: 90\n...\ndrums\n---\nmore") == [{"bpm": 90, "prompt": "drums\n---\nmore"}]


def test_a_prompt_in_the_front_matter_alone() -> None:
    assert jobs("a.md", "---\nprompt: dusty drums\n---\n") == [{"prompt": "dusty drums"}]
    assert "keep one of them" in why("a.md", "---\nprompt: dusty drums\n---\nmore drums")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("just words", "line 2: 'just words' is not of the form key: value"),
        ("bpm:90", "not of the form key: value"),
        ("tags: [a, b]", "more of YAML than is read here"),
        ("session: {path: /a}", "more of YAML"),
        ("prompt: |", "more of YAML"),
        ("prompt: &anchor x", "more of YAML"),
        ("  path: /songs", "session.path: /home/me/song"),
        ("- item", "session.path"),
        ('key: "C', "double quotes"),
        ("key: 'C", "no end"),
        ("key: 'C' minor", "after the closing quote"),
        ("bpm: 90\nbpm: 91", "'bpm' is given twice"),
        ("session: /a\nsession.path: /a", "as a whole and in parts"),
    ],
)
def test_front_matter_that_cannot_be_read_is_refused_line_by_line(line: str, says: str) -> None:
    assert says in why("a.md", f"---\n{line}\n---\ndrums")


def test_front_matter_without_an_end_is_refused() -> None:
    assert "no second ---" in why("a.md", "---\nbpm: 90\ndrums")


def test_json_object_and_array() -> None:
    assert jobs("a.json", '{"prompt": "drums", "takes": 2}') == [{"prompt": "drums", "takes": 2}]
    assert jobs("a.json", '[{"prompt": "a"}, {"prompt": "b"}]') == [{"prompt": "a"}, {"prompt": "b"}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('{"prompt": "drums",}', "line 1, column"),
        ('{"prompt": "a", "prompt": "b"}', "'prompt' twice"),
        ('{"prompt": "a", "bpm": NaN}', "NaN"),
        ('"drums"', "a job is an object"),
        ('[{"prompt": "a"}, "b"]', "entry 2"),
        ("[]", "no job"),
        ("[" * 100_000, "nested too deeply"),
        ("7", "a job is an object"),
    ],
)
def test_json_that_is_no_request_is_refused(data: str, says: str) -> None:
    assert says in why("a.json", data)


def test_toml_table_and_tables() -> None:
    one = 'prompt = "drums"\nbars = 4\n[session]\npath = "/songs/one"\n'
    assert jobs("a.toml", one) == [{"prompt": "drums", "bars": 4, "session": {"path": "/songs/one"}}]
    assert jobs("a.toml", '[[job]]\nprompt = "a"\n[[job]]\nprompt = "b"\n') == [
        {"prompt": "a"},
        {"prompt": "b"},
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("prompt = drums", "not valid TOML"),
        ("job = 3", "[[job]]"),
        ('bpm = 90\n[[job]]\nprompt = "a"', "nothing stands outside"),
        ("job = [1, 2]", "[[job]]"),
        ("a = " + "[" * 50_000, "nested too deeply"),
    ],
)
def test_toml_that_is_no_request_is_refused(data: str, says: str) -> None:
    assert says in why("a.toml", data)


def test_csv_a_row_a_job_and_empty_cells_are_not_given() -> None:
    data = 'Prompt,bpm, bars ,loop,session.path\n"drums, dusty",93.5,4,true,/songs/one\n\nbass,,,,\n,,,,\n'
    found = jobs("a.csv", data)
    assert found == [
        {
            "prompt": "drums, dusty",
            "bpm": "93.5",
            "bars": "4",
            "loop": "true",
            "session": {"path": "/songs/one"},
        },
        {"prompt": "bass"},
    ]
    first = GenerationRequest.from_fields(found[0])
    assert (first.bpm, first.bars, first.loop) == (93.5, 4, True)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_as_other_countries_spreadsheets_write_it(delimiter: str) -> None:
    assert jobs("a.csv", f"prompt{delimiter}takes\ndrums, dusty{delimiter}2\n") == [
        {"prompt": "drums, dusty", "takes": "2"}
    ]


def test_csv_with_a_line_break_inside_a_cell() -> None:
    assert jobs("a.csv", 'prompt,takes\n"slow\npads",2\n') == [{"prompt": "slow\npads", "takes": "2"}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("text,bpm\ndrums,90\n", "one of them prompt"),
        ("prompt,bpm,bpm\ndrums,90,91\n", "stands twice"),
        ("prompt,,bpm\ndrums,90,91\n", "one is empty"),
        ("prompt,bpm\ndrums, dusty,90\n", "line 2: 3 cells under 2 headings"),
        ('prompt\n"drums\n', "not valid CSV"),
        ('prompt\n"drums" loud\n', "line 2: not valid CSV"),
        ("prompt,bpm\n", "no job"),
        ("prompt\n" + "x" * 200_000, "line 2: not valid CSV"),
        ("prompt,session,session.path\na,b,c\n", "as a whole and in parts"),
    ],
)
def test_csv_that_cannot_be_read_is_refused(data: str, says: str) -> None:
    assert says in why("a.csv", data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", "prompt\n" + "drums\n" * 6),
        ("a.json", "[" + ",".join(['{"prompt": "drums"}'] * 6) + "]"),
        ("a.toml", '[[job]]\nprompt = "drums"\n' * 6),
    ],
)
def test_more_jobs_than_allowed_are_refused_naming_the_setting(name: str, data: str) -> None:
    with pytest.raises(RequestError, match=r"inbox\.max_jobs_per_file"):
        parse(name, data.encode(), 5)
    assert len(parse(name, data.encode(), 6)) == 6


@given(
    st.sampled_from(["a.txt", "a.md", "a.json", "a.toml", "a.csv"]),
    st.binary(max_size=120) | st.text("-:'\"[]{}=,;#\n\tpromt 12.~|&\ufeff", max_size=120).map(str.encode),
)
@settings(max_examples=1_500, deadline=None)
def test_any_bytes_are_either_jobs_or_a_reason(name: str, data: bytes) -> None:
    try:
        found = jobs(name, data)
    except RequestError as err:
        assert str(err)  # noqa: PT017 (both ways out are right; this one has to say why)
    else:
        assert found
        assert all(isinstance(job, dict) for job in found)


@given(
    st.dictionaries(
        st.sampled_from(["bpm", "key", "engine", "loop"]),
        st.integers()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8", exclude_characters="\0\r")),
    )
)
@settings(deadline=None)
def test_front_matter_gives_back_what_json_quoting_wrote(fields: dict[str, Any]) -> None:
    import json

    lines = [f"{key}: {json.dumps(value)}" for key, value in fields.items()]
    (job,) = jobs("a.md", "\n".join(["---", *lines, "---", "drums"]))
    for key, value in fields.items():
        shown = json.dumps(value)
        if isinstance(value, int) and not isinstance(value, bool) and len(shown) > 20:
            continue  # longer than any field's number; read as a decimal
        assert job[key] == value


POINTS = '[{"at": 0, "bpm": 93.5, "meter": "7/8"}, {"at": 215614, "bpm": 120}]'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.json",
            f'{{"prompt": "drums", "tempo_map": {POINTS}, "session": {{"path": "/s", "playlists": "join"}}}}',
        ),
        ("a.md", f"---\ntempo_map: '{POINTS}'\nsession.path: /s\nsession.playlists: join\n---\ndrums\n"),
        (
            "a.csv",
            'prompt;tempo_map;session.path;session.playlists\ndrums;"{}";/s;join\n'.format(
                POINTS.replace('"', '""')
            ),
        ),
        (
            "a.toml",
            """
            prompt = "drums"
            session.path = "/s"
            session.playlists = "join"
            tempo_map = [{ at = 0, bpm = 93.5, meter = "7/8" }, { at = 215614, bpm = 120 }]
            """,
        ),
    ],
)
def test_a_tempo_map_and_a_place_in_a_session_stand_in_every_format(name: str, text: str) -> None:
    (job,) = jobs(name, text)
    found = GenerationRequest.from_fields({**job, "bars": 5})
    assert (found.bpm, found.meter, found.length_samples) == (93.5, "7/8", 215_614 + 3 * 84_000)
    assert found.session is not None
    assert (found.session.path, found.session.playlists) == ("/s", "join")
