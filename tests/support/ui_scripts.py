"""Writes the file `ui_scripts` the way Ardour does, so that tests can fill it with a user's own scripts."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from pathlib import Path

_SPECIAL = re.compile(rb'[\x00-\x1f\x7f"\\]')


def percent_q(text: bytes) -> bytes:
    """Return what Lua 5.3's `string.format ("%q")` makes of bytes."""

    def escaped(found):
        byte = found[0]
        if byte in (b'"', b"\\", b"\n"):
            return b"\\" + byte
        before_digit = text[found.end() : found.end() + 1].isdigit()
        return b"\\%03d" % byte[0] if before_digit else b"\\%d" % byte[0]

    return b'"' + _SPECIAL.sub(escaped, text) + b'"'


def serialized(name: bytes, value) -> bytes:
    """Return a value as Ardour's Lua serialises it: a table becomes a row of assignments."""
    said = name + b" = "
    if isinstance(value, dict):
        said += b"{} "
        for key, one in value.items():
            place = b"%d" % key if isinstance(key, int) else percent_q(key)
            said += serialized(b"%b[%b]" % (name, place), one) + b" "
        return said
    if isinstance(value, bool):
        return said + str(value).lower().encode()
    if isinstance(value, int):
        return said + b"%d " % value
    return said + percent_q(value) + b" "


def script(name: str, source: bytes = b"-- a script", chunk: bytes = bytes(range(256)), **arguments: bytes):
    """Return a script as Ardour keeps it; its bytecode is any bytes."""
    table = {b"n": name.encode(), b"s": source, b"f": chunk, b"c": True}
    return {**table, b"a": {key.encode(): value for key, value in arguments.items()}}


def ui_scripts(actions=(), hooks=()) -> bytes:
    """Return the content of a file.

    Args:
        actions: pairs of a slot and a script.
        hooks: an identifier, a script and its bits each.
    """
    lua = base64.b64encode(serialized(b"scripts", dict(actions))).decode()
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<UIScripts>",
        f'  <ActionScript lua="Lua 5.3">{lua}</ActionScript>',
        "  <ActionHooks>" if hooks else "  <ActionHooks/>",
    ]
    for identifier, one, signals in hooks:
        name, text = quoteattr(one[b"n"].decode()), base64.b64encode(serialized(b"s", one)).decode()
        about = f'lua="Lua 5.3" id="{identifier}" name={name} signals="{signals}"'
        lines.append(f"    <LuaCallback {about}>{text}</LuaCallback>")
    return "\n".join([*lines, *(["  </ActionHooks>"] if hooks else []), "</UIScripts>", ""]).encode()


def lua_of(path: Path) -> bytes:
    """Return the Lua text of all actions in a file."""
    found = re.search(rb"<ActionScript[^>]*>([^<]*)<", path.read_bytes())
    assert found
    return base64.b64decode(found[1])


def hooks_of(path: Path) -> list[bytes]:
    """Return each hook in a file, as it stands there."""
    return re.findall(rb"<LuaCallback.*?</LuaCallback>", path.read_bytes(), re.DOTALL)
