"""The front matter of a Markdown prompt: `key: value` lines between two lines of `---`.

A small part of YAML: numbers, true and false, plain and quoted texts, comments. Whatever else YAML could say
is refused, with what to write instead.
"""

from __future__ import annotations

import json
import re
from typing import Any

from dgx_music.errors import RequestError

__all__ = ["read_front_matter"]

_INTEGER = re.compile(r"^[+-]?\d+$")
_DECIMAL = re.compile(r"^[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?$")
_KEY = re.compile(r"^([A-Za-z_][\w.]*)\s*:(?:\s+(.*)|)$")
_COMMENT = re.compile(r"\s+#.*$")
_END = ("---", "...")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read_front_matter(text: str) -> tuple[list[tuple[str, Any]], str]:
    """Split a text into front matter, as pairs of key and value, and body.

    Raises:
        RequestError: the front matter has no end, or a line in it cannot be read; names the line.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return [], text
    end = next((index for index, line in enumerate(lines) if index and line.rstrip() in _END), None)
    if end is None:
        raise RequestError("the front matter that begins with --- on line 1 has no second --- line to end it")
    pairs = [
        _pair(line, number)
        for number, line in enumerate(lines[1:end], start=2)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return pairs, "\n".join(lines[end + 1 :])


def _pair(line: str, number: int) -> tuple[str, Any]:
    match = _KEY.match(line.rstrip())
    if not match:
        hint = (
            "; nested fields are written with a dot, such as session.path: /home/me/song"
            if line[0] in " \t-"
            else ""
        )
        raise RequestError(f"line {number}: {line.strip()[:80]!r} is not of the form key: value{hint}")
    return match[1], _scalar((match[2] or "").strip(), number)


def _scalar(text: str, number: int) -> Any:
    if text[:1] in ('"', "'"):
        return _quoted(text, number)
    if text[:1] in tuple("[{|>&*!%@`"):
        raise RequestError(
            f"line {number}: {text[:60]!r} is more of YAML than is read here; give a number, true, false, or a text "
            "(in quotes if it begins with a special character)"
        )
    text = _COMMENT.sub("", text)
    if text.startswith("#"):
        return None
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.match(text) and len(text) <= 20:
        return int(text)
    if _DECIMAL.match(text):
        return float(text)
    return text


def _quoted(text: str, number: int) -> str:
    if text[0] == '"':
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError as err:
            raise RequestError(f"line {number}: the text in double quotes cannot be read: {err.msg}") from err
    else:
        match = re.match(r"'((?:[^']|'')*)'", text)
        if not match:
            raise RequestError(f"line {number}: the text in single quotes has no end")
        value, end = match[1].replace("''", "'"), match.end()
    rest = text[end:].strip()
    if rest and not rest.startswith("#"):
        raise RequestError(f"line {number}: {rest[:40]!r} stands after the closing quote")
    return str(value)
