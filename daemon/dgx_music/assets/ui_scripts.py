"""Ardour's file `ui_scripts`: the actions in its 32 slots and the hooks, of which only those asked for are changed.

Ardour reads it when a session opens and writes it whenever a script is added or removed. It holds Lua text in base64:
for all actions together, and for each hook.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from dgx_music.assets.saved_lua import assignments, merged
from dgx_music.delivery.ardour.lua_text import lua_literal
from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

__all__ = ["SLOTS", "Script", "UiScripts"]

SLOTS = range(1, 33)
_LUA = "Lua 5.3"
_EMPTY = '<UIScripts><ActionScript lua="Lua 5.3"/><ActionHooks/></UIScripts>'
_FIRST_ID = 0x6467782D6D757369
_BLANK = re.compile(rb"\s+")

# Ardour itself saves the bytecode of the function factory, without what is around it, and turns whatever text it finds
# here into bytecode. This text does what Ardour does with a script: it runs it, for its factory.
_ACTION = b"""\
local arguments = ...
local factory
local function ardour () end
%b
return factory (arguments)
"""
_HOOK = b"""\
local arguments = ...
local factory, signals
local function ardour () end
%b
local wanted = { %b }
local run = factory (arguments)
return function (signal, ...)
	if wanted[signal] then return run (signal, ...) end
end
"""


@dataclass(frozen=True)
class Script:
    """One action or hook, as Ardour keeps it."""

    name: str
    source: bytes
    """The script's whole text."""
    arguments: Mapping[bytes, Any] = field(default_factory=dict)
    signals: str = ""
    """For a hook: what it listens to, as bits."""


class UiScripts:
    """What one file holds."""

    def __init__(self, content: bytes | None) -> None:
        """Read the content of a file; without one, there are no actions and no hooks.

        Raises:
            AssetError: it is damaged, and how. Ardour cannot read it either.
        """
        text = content if content is not None else _EMPTY.encode()
        builder = ET.TreeBuilder(insert_comments=True, insert_pis=True)
        parser = ET.XMLParser(target=builder)  # noqa: S314 - the user's own file, which Ardour reads too
        try:
            parser.feed(text)
            self._root: Element = parser.close()
        except ET.ParseError as err:
            raise AssetError(f"it is no XML: {err}") from err
        if self._root.tag != "UIScripts":
            raise AssetError(f"it holds <{self._root.tag}>, not <UIScripts>")
        self._lua = _decoded(self._child("ActionScript").text) or b"scripts = {} "
        slots = merged(assignments(self._lua, b"scripts"))
        self.actions: dict[int, Script] = {}
        """By slot, from 1."""
        for slot, table in slots.items():
            if not isinstance(slot, int) or not isinstance(table, dict):
                raise AssetError("its Lua text is no table of numbered scripts")
            self.actions[slot] = _script(table)

    @property
    def hooks(self) -> dict[str, Script]:
        """By Ardour's identifier. A hook that cannot be read has no source."""
        return {one.get("id", ""): _hook(one) for one in self._child("ActionHooks").findall("LuaCallback")}

    @property
    def is_empty(self) -> bool:
        """Whether there is neither an action nor a hook."""
        return not self.actions and not len(self._child("ActionHooks"))

    def free_slots(self) -> list[int]:
        """Return the slots without an action."""
        return [slot for slot in SLOTS if slot not in self.actions]

    def set_action(self, slot: int, script: Script) -> None:
        """Put an action into a slot, in place of the one that is there."""
        if slot in self.actions:
            self.drop_action(slot)
        lua = _saved(b"scripts[%d]" % slot, script, _ACTION % script.source)
        self._lua = self._lua.rstrip() + b" " + lua
        self.actions[slot] = script

    def drop_action(self, slot: int) -> None:
        """Empty a slot.

        Raises:
            AssetError: it was not filled as Ardour fills it.
        """
        del self.actions[slot]
        kept, at = [], 0
        for one in assignments(self._lua, b"scripts"):
            if one.path[:1] == (slot,):
                kept.append(self._lua[at : one.start])
                at = one.end
        self._lua = b"".join([*kept, self._lua[at:]])
        if slot in merged(assignments(self._lua, b"scripts")):
            raise AssetError(
                f"slot {slot} is not written as Ardour writes it: empty it in Ardour's Script Manager"
            )

    def set_hook(self, script: Script, wanted: frozenset[str], identifier: str = "") -> None:
        """Add a hook, or put it in place of the one with this identifier.

        Args:
            script: the hook.
            wanted: the signals that it is called for. It listens to more where versions of Ardour number them otherwise.
            identifier: Ardour's.
        """
        parent = self._child("ActionHooks")
        element = next((one for one in parent.findall("LuaCallback") if one.get("id") == identifier), None)
        if element is None:
            taken = {one.get("id") for one in parent}
            number = _FIRST_ID
            while str(number) in taken:
                number += 1
            element = ET.SubElement(parent, "LuaCallback", lua=_LUA, id=str(number))
        names = b", ".join(b"[LuaSignal.%b] = true" % name.encode() for name in sorted(wanted))
        lua = _saved(b"s", script, _HOOK % (script.source, names))
        element.set("name", script.name)
        element.set("signals", script.signals)
        element.text = base64.b64encode(lua).decode()

    def drop_hook(self, identifier: str) -> None:
        """Take a hook away."""
        parent = self._child("ActionHooks")
        for element in parent.findall("LuaCallback"):
            if element.get("id") == identifier:
                parent.remove(element)

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        self._child("ActionScript").text = base64.b64encode(self._lua).decode()
        written: bytes = ET.tostring(self._root, encoding="UTF-8", xml_declaration=True)
        return written + b"\n"

    def _child(self, tag: str) -> Element:
        found = self._root.find(tag)
        return found if found is not None else ET.SubElement(self._root, tag, _LUA_OF.get(tag, {}))


_LUA_OF = {"ActionScript": {"lua": _LUA}}


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(_BLANK.sub(b"", (text or "").encode()), validate=True)
    except binascii.Error as err:
        raise AssetError(f"its scripts are no base64: {err}") from err


def _hook(element: Element) -> Script:
    name, signals = element.get("name", ""), element.get("signals", "")
    try:
        table = merged(assignments(_decoded(element.text), b"s"))
    except AssetError:
        return Script(name, b"", {}, signals)
    read = _script(table)
    return Script(name, read.source, read.arguments, signals)


def _script(table: Mapping[bytes, Any]) -> Script:
    name, source, arguments = table.get(b"n"), table.get(b"s"), table.get(b"a")
    return Script(
        name.decode(errors="replace") if isinstance(name, bytes) else "",
        source if isinstance(source, bytes) else b"",
        arguments if isinstance(arguments, dict) else {},
    )


def _saved(place: bytes, script: Script, chunk: bytes) -> bytes:
    parts = [b"%b = {} " % place]
    for key, value in ((b"n", script.name.encode()), (b"s", script.source), (b"f", chunk)):
        parts.append(b'%b["%b"] = %b ' % (place, key, lua_literal(value).encode()))
    parts.append(b'%b["a"] = {} ' % place)
    for key, value in script.arguments.items():
        parts.append(b'%b["a"][%b] = %b ' % (place, lua_literal(key).encode(), lua_literal(value).encode()))
    return b"".join(parts)
