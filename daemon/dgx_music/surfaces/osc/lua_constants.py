"""The route table as a Lua module, so that the scripts inside Ardour and the daemon cannot disagree.

`python -m dgx_music.surfaces.osc.lua_constants > ardour/lua/shared/dgx_osc.lua` writes it anew.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from dgx_music.config import Config
from dgx_music.surfaces.osc.routes import INCOMING, OUTGOING

if TYPE_CHECKING:
    from dgx_music.surfaces.osc.routes import Route

__all__ = ["lua_module"]


def lua_module() -> str:
    """Return the text of `dgx_osc.lua`: the default address and every route by its name in capitals."""
    config = Config().osc
    lines = [
        "-- Written by dgx_music.surfaces.osc.lua_constants from the daemon's route table; change that instead.",
        "return {",
        f"  url = {json.dumps(f'osc.udp://{config.host}:{config.port}')},",
        "  send = {  -- what the daemon takes",
        *(line for route in INCOMING for line in _entry(route)),
        "  },",
        "  receive = {  -- what it answers",
        *(line for route in OUTGOING for line in _entry(route)),
        "  },",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _entry(route: Route) -> list[str]:
    name = route.address.removeprefix("/dgx/")
    return [f"    -- {route.description}", f"    {name} = {json.dumps(route.address)},  -- {route.usage}"]


if __name__ == "__main__":
    sys.stdout.write(lua_module())
