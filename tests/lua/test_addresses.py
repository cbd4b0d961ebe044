"""What the scripts send is what the daemon listens for: every OSC address in them stands in the route table."""

from __future__ import annotations

import re
from pathlib import Path

from dgx_music.surfaces.ardour.asks import COMMANDS
from dgx_music.surfaces.osc.routes import ARDOUR, GENERATE, INCOMING, LOOK, TRANSPORT

LUA = Path(__file__).parents[2] / "ardour" / "lua"
CODE = {
    path: re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    for path in [*(LUA / "dgx_music").glob("*.lua"), *(LUA / "actions").glob("*.lua")]
}


def test_every_address_in_the_scripts_is_one_that_the_daemon_takes():
    used = {address for code in CODE.values() for address in re.findall(r'"(/dgx/[^"]*)"', code)}
    assert used <= {route.address for route in INCOMING}
    assert {GENERATE.address, ARDOUR.address, LOOK.address, TRANSPORT.address} <= used


def test_every_command_in_the_scripts_is_one_that_the_desk_knows():
    used = {command for code in CODE.values() for command in re.findall(r'\bosc\.ask \("(\w+)"', code)}
    assert used
    assert used <= COMMANDS.keys()


def test_every_transport_state_is_one_that_the_daemon_takes():
    [state] = TRANSPORT.arguments
    used = {
        word
        for code in CODE.values()
        if "osc.transport" in code
        for word in re.findall(r'"(rolling|recording|stopped)"', code)
    }
    assert used == set(state.choices)
