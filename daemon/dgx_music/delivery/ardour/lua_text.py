"""Python data as the text of a Lua chunk, `return { … }`, which a script reads with `load` and an empty environment."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

__all__ = ["lua_chunk", "lua_literal"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = frozenset(
    {
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in"),
        *("local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"),
    }
)
_LEAST, _MOST = -(2**63), 2**63 - 1
_MAX_DEPTH = 100
"""Lua's parser takes some 200 tables inside each other."""


def lua_chunk(data: Mapping[str, object]) -> bytes:
    """Return a Lua chunk that returns the data.

    Raises:
        ValueError: see `lua_literal`.
    """
    return b"return " + lua_literal(data).encode("utf-8") + b"\n"


def lua_literal(value: object, depth: int = 0) -> str:
    """Return a Lua expression for plain data.

    `None` is nil, so a name with it is left out of a table. Texts arrive as their UTF-8 bytes, and a file name's
    bytes that are not UTF-8 (lone surrogates, as `os.fsdecode` makes them) as those very bytes.

    Args:
        value: `None`, bool, int, float, str, bytes, a sequence, or a mapping by texts or whole numbers.
        depth: how many tables are around it.

    Raises:
        ValueError: a whole number has more than 64 bits, tables are nested too deeply, or it is no plain data.
    """
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str | bytes):
        return _string(value)
    if depth >= _MAX_DEPTH:
        raise ValueError(f"the data is nested more than {_MAX_DEPTH} deep, which Lua cannot read")
    if isinstance(value, Mapping):
        fields = [
            f"{_key(key)} = {lua_literal(item, depth + 1)}" for key, item in value.items() if item is not None
        ]
    elif isinstance(value, Sequence):
        fields = [lua_literal(item, depth + 1) for item in value]
    else:
        raise ValueError(f"{type(value).__name__} is no plain data that Lua could read")  # noqa: TRY004 - see above
    if not fields:
        return "{}"
    if depth == 0:
        return "{\n\t" + ",\n\t".join(fields) + ",\n}"
    return "{ " + ", ".join(fields) + " }"


def _key(key: object) -> str:
    if isinstance(key, str) and _NAME.fullmatch(key) and key not in _KEYWORDS:
        return key
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool)):
        return f"[{lua_literal(key)}]"
    raise ValueError(
        f"{key!r} cannot be a key of a Lua table that comes from here: use a text or a whole number"
    )


def _integer(value: int) -> str:
    if not _LEAST <= value <= _MOST:
        raise ValueError(f"{value} has more than the 64 bits of Lua's whole numbers")
    # Lua reads the minus apart from the figures, and those of the least number alone would not fit.
    return "0x8000000000000000" if value == _LEAST else str(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return "0/0"
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)


def _string(value: str | bytes) -> str:
    data = value if isinstance(value, bytes) else _bytes(value)
    return '"' + "".join(map(_character, data.decode("utf-8", "surrogateescape"))) + '"'


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which stands for no byte
        return text.encode("utf-8", "replace")


def _character(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\{code - 0xDC00:03d}"
    if code < 0x20 or code == 0x7F:
        return f"\\{code:03d}"
    return character
