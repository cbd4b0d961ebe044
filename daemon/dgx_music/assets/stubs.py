"""The scripts that Ardour lists: what they call themselves, their order, and the modules' folder written into them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music.delivery.ardour.lua_text import lua_literal
from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AUTHOR", "Header", "header_of", "in_order", "render_stub", "short_name"]

AUTHOR = "DGX Music"

_MODULES = re.compile(rb'^([ \t]*local MODULES = )""[ \t]*$', re.MULTILINE)
_HEADER = re.compile(rb"^ardour\s*\{.*?\}[ \t]*$", re.MULTILINE | re.DOTALL)
_FIELD = rb'[\s,;{](?:\["%s"\]|%s)[ \t]*=[ \t]*"([^"\\\n]*)"'
_SIGNAL = re.compile(rb"LuaSignal\.(?!Set\b)(\w+)")
_FIRST = (
    "dgx_generate",
    "dgx_fetch_now",
    "dgx_continue",
    "dgx_vary",
    "dgx_replace_take",
    "dgx_fill_sections",
    "dgx_who_made",
    "dgx_remove_last",
    "dgx_status",
    "dgx_cancel",
)
"""Ardour's toolbar has buttons for the slots 1 to 12."""


@dataclass(frozen=True)
class Header:
    """What a script says of itself."""

    name: str
    author: str
    is_hook: bool
    """Called by Ardour's signals; else an action, called by the user."""
    signals: frozenset[str]
    """For a hook: the names of these signals, such as `LuaTimerDS`."""


def header_of(source: bytes) -> Header | None:
    """Return what a script says of itself; `None` where it is no action and no hook."""
    header = _HEADER.search(source)
    about = header[0] if header else b""
    kind = _field(about, b"type")
    if kind not in ("EditorAction", "EditorHook"):
        return None
    is_hook = kind == "EditorHook"
    body = re.search(rb"^function signals\b.*?^end\b", source, re.MULTILINE | re.DOTALL)
    signals = {name.decode() for name in _SIGNAL.findall(body[0])} if is_hook and body else set()
    return Header(_field(about, b"name"), _field(about, b"author"), is_hook, frozenset(signals))


def short_name(name: str) -> str:
    """Return a script's name as it is told among others of ours: `Fetch now` for `DGX Music: Fetch now`."""
    return name.removeprefix(f"{AUTHOR}: ")


def render_stub(source: bytes, modules: Path) -> bytes:
    """Return a script with the folder of its modules in it.

    Raises:
        AssetError: it has no place for the folder.
    """
    line = lua_literal(os.fsencode(modules)).encode()
    rendered, count = _MODULES.subn(lambda found: found[1] + line, source)
    if count != 1:
        raise AssetError('a script for Ardour needs one line: local MODULES = ""')
    return rendered


def in_order(scripts: list[Path]) -> list[Path]:
    """Return scripts in the order in which they are given slots: what is used most comes first."""

    def rank(script: Path) -> tuple[int, str]:
        return (_FIRST.index(script.stem) if script.stem in _FIRST else len(_FIRST), script.stem)

    return sorted(scripts, key=rank)


def _field(about: bytes, name: bytes) -> str:
    found = re.search(_FIELD % (name, name), about)
    return found[1].decode(errors="replace") if found else ""
