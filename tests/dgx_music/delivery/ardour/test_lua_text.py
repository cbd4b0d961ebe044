"""What is written for Lua is what Lua reads: told by the real interpreter."""

from __future__ import annotations

import math
import os
import shutil
import struct
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dgx_music.delivery.ardour.lua_text import lua_chunk, lua_literal

needs_lua = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3 (apt install lua5.3)")

# Reads the chunk as Ardour's scripts do, and shows it in a form that says type and value of everything.
SHOW = """
local function hex (text) return (text:gsub (".", function (c) return ("%02x"):format (c:byte ()) end)) end
local function show (value)
	local kind = math.type (value) or type (value)
	if kind == "table" then
		local fields = {}
		for key, item in pairs (value) do fields[#fields + 1] = show (key) .. "=" .. show (item) end
		table.sort (fields)
		return "{" .. table.concat (fields, ",") .. "}"
	elseif kind == "string" then return "s" .. hex (value)
	elseif kind == "integer" then return "i" .. ("%d"):format (value)
	elseif kind == "float" then return value ~= value and "fnan" or "f" .. hex (string.pack (">d", value))
	else return tostring (value) end
end
local chunk = assert (load (io.read ("a"), "data", "t", {}))
io.write (show (chunk ()))
"""


def shown(value):
    """The same form, by Python's own means."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return "fnan" if math.isnan(value) else "f" + struct.pack(">d", value).hex()
    if isinstance(value, bytes):
        return "s" + value.hex()
    if isinstance(value, str):
        return "s" + os.fsencode(value).hex()
    pairs = value.items() if isinstance(value, dict) else enumerate(value, start=1)
    return (
        "{" + ",".join(sorted(f"{shown(key)}={shown(item)}" for key, item in pairs if item is not None)) + "}"
    )


def read_by_lua(chunk):
    done = subprocess.run(["lua5.3", "-e", SHOW], input=chunk, capture_output=True, check=False)
    assert done.returncode == 0, (done.stderr, chunk)
    return done.stdout.decode()


texts = st.text() | st.binary().map(os.fsdecode)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | texts
    | st.binary()
    | st.sampled_from(["end", "nil", '"', "\\", "\\n", "]]", "--", "\r\n", "\0" + "1", "\x7f9"])
)
data = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts | st.integers(-(2**63), 2**63 - 1), inner, max_size=4)
    ),
    max_leaves=12,
)


@needs_lua
@given(st.dictionaries(texts, data, max_size=6))
@example({"least": -(2**63), "most": 2**63 - 1, "whole": 1.0, "small": 5e-324, "none": float("-inf")})
@example({"and": 1, "a b": 2, "": 3, "1": 4, "größe": 5, "_x1": 6})
@settings(deadline=None, max_examples=150)
def test_lua_reads_back_what_was_written(value):
    assert read_by_lua(lua_chunk(value)) == shown(value)


@needs_lua
def test_a_text_cannot_break_out_into_code():
    nasty = '", x = os.exit (1), y = "'
    assert read_by_lua(lua_chunk({"prompt": nasty, nasty: True})) == shown({"prompt": nasty, nasty: True})


@needs_lua
def test_half_a_surrogate_pair_becomes_a_question_mark_and_no_error():
    assert read_by_lua(lua_chunk({"text": "a\ud800b"})) == shown({"text": "a?b"})


@needs_lua
def test_as_deep_as_it_writes_lua_reads():
    value = "x"
    for _ in range(99):
        value = [value]
    assert read_by_lua(lua_chunk({"deep": value})) == shown({"deep": value})
    with pytest.raises(ValueError, match="nested"):
        lua_chunk({"deep": [value]})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, object(), {1.5: 1}, {True: 1}, {"x"}])
def test_what_lua_could_not_hold_is_refused(value):
    with pytest.raises(ValueError):
        lua_literal(value)
