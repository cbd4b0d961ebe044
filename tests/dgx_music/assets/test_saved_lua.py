"""Lua text read and written: it agrees with Lua itself, and holds nothing but data."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.assets.saved_lua import assignments, merged
from dgx_music.delivery.ardour.lua_text import lua_literal
from dgx_music.errors import AssetError
from support.ui_scripts import percent_q, serialized

needs_lua = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3")
EVERY_PAIR = b"".join(bytes([one, two]) for one in range(256) for two in (0, 10, 13, 34, 48, 57, 92, 200))

keys = st.integers(1, 40) | st.binary(max_size=4)
values = st.recursive(
    st.binary(max_size=20) | st.integers(-(2**53), 2**53) | st.booleans(),
    lambda inner: st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


def lua(program: str, source: bytes = b"") -> bytes:
    return subprocess.run(["lua5.3", "-e", program], input=source, capture_output=True, check=True).stdout


@settings(deadline=None)
@given(text=st.binary())
def test_a_string_comes_back_from_its_literal(text):
    (one,) = assignments(b"s = " + lua_literal(text).encode(), b"s")

    assert one.value == text
    assert b"\n" not in lua_literal(text).encode()


@needs_lua
def test_lua_reads_a_literal_as_the_very_bytes():
    assert (
        lua('io.write (load ("return " .. io.read ("a")) ())', lua_literal(EVERY_PAIR).encode()) == EVERY_PAIR
    )


@needs_lua
def test_what_lua_writes_as_q_is_read_as_the_very_bytes():
    written = lua('io.write (("s = %q"):format (io.read ("a")))', EVERY_PAIR)

    assert assignments(written, b"s")[0].value == EVERY_PAIR
    assert written == b"s = " + percent_q(EVERY_PAIR)  # so the tests write as Lua does, too


@settings(deadline=None)
@given(table=st.dictionaries(keys, values, max_size=6))
def test_a_table_as_ardour_saves_it_is_read_whole_and_every_byte_belongs_to_one_assignment(table):
    text = serialized(b"scripts", table)

    found = assignments(text, b"scripts")

    assert merged(found) == table
    assert b"".join(text[one.start : one.end] for one in found) == text


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (b"", {}),
        (b"  scripts = {}\n", {}),
        (b"scripts = {} scripts[1] = { ['n'] = 'x', s = \"y\"; 3, -4.5, true, nil, {} }",
         {1: {b"n": b"x", b"s": b"y", 1: 3, 2: -4.5, 3: True, 4: None, 5: {}}}),
        (b'scripts = {}; scripts.a = 1 scripts["b"] = 0x1F', {b"a": 1, b"b": 31}),
        (b"scripts = {} -- a remark\nscripts[2] = 'a\\z  \n b\\x41\\u{20AC}\\65'", {2: b"abA\xe2\x82\xacA"}),
        (b"scripts[1] = 'without a table to be put into'", {1: b"without a table to be put into"}),
        (b"scripts = {} scripts[1][2] = 3", {}),
    ],
)  # fmt: skip
def test_other_ways_of_writing_a_table_are_read_too(text, table):
    assert merged(assignments(text, b"scripts")) == table


@pytest.mark.parametrize(
    "text",
    [
        b"other = {}",
        b"scripts",
        b"scripts = ",
        b"scripts = {",
        b'scripts = "never ended',
        b'scripts = "a\nb"',
        b'scripts = "\\q"',
        b'scripts = "\\999"',
        b"scripts = [[long]]",
        b"scripts = os.execute",
        b'scripts = {} os.execute ("rm")',
        b"scripts = { 1 2 }",
        b"scripts[{}] = 1",
        b"scripts = function () end",
        b"scripts = 1 + 1",
        b"\x1bLua",
    ],
)
def test_text_that_is_not_only_data_is_refused_with_its_place(text):
    with pytest.raises(AssetError, match=r"byte \d+"):
        assignments(text, b"scripts")
