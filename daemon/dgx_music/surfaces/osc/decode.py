"""Datagrams to messages, by Open Sound Control 1.0 with the type tags of 1.1, over python-osc's readers.

python-osc's own message class drops the type tags (a float32 and a double must be told apart here) and goes
on after tags that it does not know, reading wrong values; so only its readers of single values are used.
Whatever is wrong with a datagram comes out as `MalformedPacketError`; nothing of it is carried out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pythonosc.parsing import osc_types

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MalformedPacketError", "OscMessage", "OscValue", "Unit", "decode_packet"]

_BUNDLE = b"#bundle\x00"
_MAX_DEPTH = 8
_MAX_MESSAGES = 1_000
_MAX_ARGUMENTS = 512
_IMMEDIATELY = 1
_NTP_TO_UNIX_S = 2_208_988_800


class MalformedPacketError(Exception):
    """Raised when a datagram is not OSC; says what is wrong with it."""


@dataclass(frozen=True)
class OscValue:
    """One argument with its type tag; the brackets of an array are values of their own."""

    tag: str
    value: Any


@dataclass(frozen=True)
class OscMessage:
    """An address pattern and its arguments."""

    address: str
    values: tuple[OscValue, ...]


@dataclass(frozen=True)
class Unit:
    """Messages that belong together: one alone, or all of a bundle with the same time."""

    due: float
    """When to act, in seconds since 1970; 0 for at once."""
    messages: tuple[OscMessage, ...]


def _blob(data: bytes, index: int) -> tuple[bytes, int]:
    size, _ = osc_types.get_int(data, index)
    if size < 0:
        raise MalformedPacketError(f"a blob of {size} bytes")
    value, index = osc_types.get_blob(data, index)
    if index > len(data):
        raise MalformedPacketError("a blob without its padding")
    return value, index


def _char(data: bytes, index: int) -> tuple[str, int]:
    code, index = osc_types.get_int(data, index)
    return chr(code), index


_READERS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    "i": osc_types.get_int,
    "h": osc_types.get_int64,
    "f": osc_types.get_float,
    "d": osc_types.get_double,
    "s": osc_types.get_string,
    "S": osc_types.get_string,
    "b": _blob,
    "c": _char,
    "r": osc_types.get_rgba,
    "m": osc_types.get_midi,
    "t": osc_types.get_uint64,
}
_CONSTANTS: dict[str, Any] = {"T": True, "F": False, "N": None, "I": math.inf, "[": None, "]": None}


def decode_packet(data: bytes) -> list[Unit]:
    """Return a datagram's messages, grouped by their time, earliest first; the order within a group is kept.

    A bundle inside a bundle takes place no earlier than the one around it.

    Raises:
        MalformedPacketError: the datagram, or any part of its bundle, is not OSC.
    """
    found: list[tuple[float, OscMessage]] = []
    try:
        _element(data, 0.0, 0, found)
    except MalformedPacketError:
        raise
    except UnicodeDecodeError as err:
        raise MalformedPacketError(f"a text that is not UTF-8, at byte {err.start} of it") from err
    except Exception as err:  # a parser fed by strangers: whatever it raises, the packet is bad
        raise MalformedPacketError(str(err) or type(err).__name__) from err
    grouped: dict[float, list[OscMessage]] = {}
    for due, message in found:
        grouped.setdefault(due, []).append(message)
    return [Unit(due, tuple(grouped[due])) for due in sorted(grouped)]


def _element(data: bytes, due: float, depth: int, found: list[tuple[float, OscMessage]]) -> None:
    if not data or len(data) % 4:
        raise MalformedPacketError(f"{len(data)} bytes; OSC packets are a multiple of 4")
    if data.startswith(_BUNDLE):
        _bundle(data, due, depth, found)
    elif data.startswith(b"/"):
        if len(found) >= _MAX_MESSAGES:
            raise MalformedPacketError(f"more than {_MAX_MESSAGES} messages in one bundle")
        found.append((due, _message(data)))
    else:
        raise MalformedPacketError("neither an address that begins with / nor a #bundle")


def _bundle(data: bytes, due: float, depth: int, found: list[tuple[float, OscMessage]]) -> None:
    if depth >= _MAX_DEPTH:
        raise MalformedPacketError(f"bundles nested more than {_MAX_DEPTH} deep")
    timetag, index = osc_types.get_uint64(data, len(_BUNDLE))
    if timetag != _IMMEDIATELY:
        due = max(due, timetag / 2**32 - _NTP_TO_UNIX_S)
    while index < len(data):
        size, index = osc_types.get_int(data, index)
        if size <= 0 or index + size > len(data):
            raise MalformedPacketError(f"a bundle element of {size} bytes where {len(data) - index} are left")
        _element(data[index : index + size], due, depth + 1, found)
        index += size


def _message(data: bytes) -> OscMessage:
    address, index = osc_types.get_string(data, 0)
    if not address.isascii() or not address.isprintable() or " " in address:
        raise MalformedPacketError("an address with other than printable ASCII characters")
    if index == len(data):
        return OscMessage(address, ())
    tags, index = osc_types.get_string(data, index)
    if not tags.startswith(","):
        raise MalformedPacketError("arguments without a type tag string")
    if len(tags) > _MAX_ARGUMENTS + 1:
        raise MalformedPacketError(f"more than {_MAX_ARGUMENTS} arguments")
    values = []
    depth = 0
    for tag in tags[1:]:
        if tag in _CONSTANTS:
            value = _CONSTANTS[tag]
            depth += (tag == "[") - (tag == "]")
            if depth < 0:
                raise MalformedPacketError("an array that is closed before it is opened")
        elif tag in _READERS:
            value, index = _READERS[tag](data, index)
        else:
            raise MalformedPacketError(f"the unknown type tag {tag!r}")
        values.append(OscValue(tag, value))
    if depth:
        raise MalformedPacketError("an array that is never closed")
    return OscMessage(address, tuple(values))
