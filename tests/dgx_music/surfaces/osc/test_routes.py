"""One table gives the routes, the documentation and the Lua constants."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dgx_music.request import GenerationRequest
from dgx_music.surfaces.osc import commands, routes
from dgx_music.surfaces.osc.lua_constants import lua_module
from dgx_music.surfaces.osc.routes import INCOMING, OUTGOING, markdown_table

LUA_FILE = Path(__file__).parents[4] / "ardour" / "lua" / "shared" / "dgx_osc.lua"


def test_the_lua_file_is_the_tables() -> None:
    assert LUA_FILE.read_text(encoding="utf-8") == lua_module(), (
        "write it anew: python -m dgx_music.surfaces.osc.lua_constants > ardour/lua/shared/dgx_osc.lua"
    )


@pytest.mark.skipif(shutil.which("lua") is None, reason="lua is not installed")
def test_lua_reads_the_file_and_finds_every_route() -> None:
    code = (
        f"local osc = dofile({str(LUA_FILE)!r}) print(osc.url)"
        "for _, way in ipairs{'send', 'receive'} do for name, address in pairs(osc[way]) do"
        " print(way, name, address) end end"
    )
    shown = subprocess.run(
        ["lua", "-e", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    expected = [f"send\t{r.address[5:]}\t{r.address}" for r in INCOMING]
    expected += [f"receive\t{r.address[5:]}\t{r.address}" for r in OUTGOING]
    assert shown[0] == "osc.udp://127.0.0.1:7400"
    assert sorted(shown[1:]) == sorted(expected)


def test_the_documentation_has_a_row_for_every_route() -> None:
    rows = markdown_table().splitlines()
    assert len(rows) == 2 + len(INCOMING) + len(OUTGOING)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    for route in (*INCOMING, *OUTGOING):
        assert any(f"`{route.address}" in row and row.startswith(f"| {route.direction} ") for row in rows)


def test_no_route_is_listed_under_a_wrong_direction_or_twice() -> None:
    assert {route.direction for route in INCOMING} == {"in"}
    assert {route.direction for route in OUTGOING} == {"out"}
    for listed in (INCOMING, OUTGOING):
        addresses = [route.address for route in listed]
        assert len(set(addresses)) == len(addresses)
    constants = {value for value in vars(routes).values() if isinstance(value, routes.Route)}
    assert constants == {*INCOMING, *OUTGOING}


def test_no_request_field_is_called_as_the_reply_port_is() -> None:
    assert "reply_port" not in GenerationRequest.model_fields
    assert commands.GENERATE in INCOMING
