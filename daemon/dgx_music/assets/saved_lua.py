"""Reads the Lua text in which Ardour saves its scripts.

Ardour saves a table as a row of assignments (`scripts = {} scripts[1] = {} scripts[1]["n"] = "…"`), with strings as
`string.format ("%q")` writes them. They are read as bytes: a string may hold bytecode.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Assignment", "assignments", "merged"]

_BLANK = re.compile(rb"(?:\s|--(?!\[=*\[)[^\n]*)*")
_NAME = re.compile(rb"[A-Za-z_]\w*")
_NUMBER = re.compile(rb"-?(?:0[xX][0-9a-fA-F]+(?![\w.])|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)")
_PLAIN = re.compile(rb"""[^"'\\\n\r]+""")
_DECIMAL = re.compile(rb"\d{1,3}")
_HEXADECIMAL = re.compile(rb"x([0-9a-fA-F]{2})")
_CODE_POINT = re.compile(rb"u\{([0-9a-fA-F]+)\}")
_SKIPPED = re.compile(rb"z\s*")
_WORDS = {b"true": True, b"false": False, b"nil": None}
_ESCAPED = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\\": b"\\",
    b'"': b'"',
    b"'": b"'",
    b"\n": b"\n",
    b"\r": b"\n",
}


@dataclass(frozen=True)
class Assignment:
    """One assignment to a table, and where it stands."""

    start: int
    end: int
    """In bytes of the whole text, up to where the next assignment begins."""
    path: tuple[int | float | bytes, ...]
    """The keys after the table's name; empty where the table itself is assigned."""
    value: Any
    """`bytes` for a string, `dict` for a table, or a number, a boolean, `None`."""


def assignments(text: bytes, table: bytes) -> list[Assignment]:
    """Return the assignments that a text consists of.

    Args:
        text: what Ardour saved.
        table: the name of the table that all of them are about.

    Raises:
        AssetError: the text holds something else, and where.
    """
    return _Reader(text).assignments(table)


def merged(found: list[Assignment]) -> dict[Any, Any]:
    """Return the table that assignments make; one without a place in it is left out, as its table is not there."""
    root: dict[Any, Any] = {}
    for one in found:
        if not one.path:
            root = deepcopy(one.value) if isinstance(one.value, dict) else {}
            continue
        place: Any = root
        for key in one.path[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[one.path[-1]] = deepcopy(one.value)
    return root


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0

    def assignments(self, table: bytes) -> list[Assignment]:
        found: list[Assignment] = []
        self._blank()
        while self._at < len(self._text):
            start = self._at
            if self._name() != table:
                self._refuse(start)
            path = self._path()
            self._expect(b"=")
            value = self._value()
            while self._takes(b";"):
                pass
            found.append(Assignment(start, self._at, path, value))
        return found

    def _path(self) -> tuple[int | float | bytes, ...]:
        path: list[int | float | bytes] = []
        while True:
            if self._takes(b"["):
                key = self._value()
                if not isinstance(key, (bytes, int, float)):
                    self._refuse(self._at)
                self._expect(b"]")
            elif self._takes(b"."):
                key = self._name()
            else:
                return tuple(path)
            path.append(key)

    def _value(self) -> Any:
        next_byte = self._text[self._at : self._at + 1]
        if next_byte in (b'"', b"'"):
            return self._string(next_byte)
        if next_byte == b"{":
            return self._table()
        if number := _NUMBER.match(self._text, self._at):
            self._step(number.end())
            return _number(number[0])
        start = self._at
        word = self._name()
        if word not in _WORDS:
            self._refuse(start)
        return _WORDS[word]

    def _table(self) -> dict[Any, Any]:
        table: dict[Any, Any] = {}
        place = 1
        self._expect(b"{")
        while not self._takes(b"}"):
            if self._takes(b"["):
                key = self._value()
                self._expect(b"]")
                self._expect(b"=")
                table[key] = self._value()
            elif (name := _NAME.match(self._text, self._at)) and name[0] not in _WORDS:
                self._step(name.end())
                self._expect(b"=")
                table[name[0]] = self._value()
            else:
                table[place] = self._value()
                place += 1
            if not (self._takes(b",") or self._takes(b";")):
                self._expect(b"}")
                break
        return table

    def _string(self, quote: bytes) -> bytes:
        start = self._at
        self._at += 1
        parts = []
        while True:
            if plain := _PLAIN.match(self._text, self._at):
                parts.append(plain[0])
                self._at = plain.end()
            one = self._text[self._at : self._at + 1]
            self._at += 1
            if one == quote:
                break
            if one in (b'"', b"'"):
                parts.append(one)
            elif one == b"\\":
                parts.append(self._escape())
            else:
                self._refuse(start)
        self._blank()
        return b"".join(parts)

    def _escape(self) -> bytes:
        one = self._text[self._at : self._at + 1]
        if digits := _DECIMAL.match(self._text, self._at):
            self._at = digits.end()
            return self._checked(partial(_byte, digits[0]))
        if digits := _HEXADECIMAL.match(self._text, self._at):
            self._at = digits.end()
            return bytes.fromhex(digits[1].decode())
        if digits := _CODE_POINT.match(self._text, self._at):
            self._at = digits.end()
            return self._checked(partial(_character, digits[1]))
        if blank := _SKIPPED.match(self._text, self._at):
            self._at = blank.end()
            return b""
        if one not in _ESCAPED:
            self._refuse(self._at)
        self._at += 1
        if one == b"\r" and self._text[self._at : self._at + 1] == b"\n":
            self._at += 1
        return _ESCAPED[one]

    def _checked(self, step: Callable[[], bytes]) -> bytes:
        try:
            return step()
        except (ValueError, OverflowError):
            self._refuse(self._at)

    def _name(self) -> bytes:
        found = _NAME.match(self._text, self._at)
        if not found:
            self._refuse(self._at)
        self._step(found.end())
        return found[0]

    def _takes(self, mark: bytes) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._step(self._at + len(mark))
        return True

    def _expect(self, mark: bytes) -> None:
        if not self._takes(mark):
            self._refuse(self._at)

    def _step(self, to: int) -> None:
        self._at = to
        self._blank()

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _refuse(self, at: int) -> NoReturn:
        seen = self._text[at : at + 20].decode(errors="replace")
        raise AssetError(f"byte {at} of its Lua text: {seen!r} is nothing that Ardour saves")


def _byte(decimal: bytes) -> bytes:
    return bytes([int(decimal)])


def _character(hexadecimal: bytes) -> bytes:
    return chr(int(hexadecimal, 16)).encode()


def _number(text: bytes) -> int | float:
    if text.lower().startswith((b"0x", b"-0x")):
        return int(text, 16)
    try:
        return int(text)
    except ValueError:
        return float(text)
