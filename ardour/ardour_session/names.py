"""Names that Ardour and a file system accept.

Session and snapshot names follow Ardour's `Session::session_name_is_legal`. A track's name becomes the name of its
ports, which are connected by name: there a colon separates the client from the port, and Ardour replaces it.
"""

from __future__ import annotations

import re

SESSION_SUFFIX = ".ardour"
TEMPLATE_SUFFIX = ".template"

MAX_NAME_BYTES = 200
"""A file name holds 255 bytes; the rest is for what Ardour appends, such as `-7002.ardour` or `.history.bak`."""

MAX_TRACK_NAME_BYTES = 100
"""Ardour cuts longer names when it makes a port name of them, and then no longer finds the saved connections."""

RESERVED_TRACK_NAMES = frozenset(
    {"Master", "Monitor", "Click", "Control", "Mackie", "auditioner", "x-virtual-keyboard"}
    | {f"MIDI Tracer {number}" for number in range(1, 5)}
    | {f"FaderPort{model} {way}" for model in ("", "2", "8", "16") for way in ("Recv", "Send")}
)
"""Names that Ardour gives to buses and ports of its own."""

_ILLEGAL_IN_SESSION_NAME = re.compile(r"[/\\:;\x00-\x1f\x7f]")
_ILLEGAL_IN_TRACK_NAME = re.compile(r"[:\x00-\x1f\x7f]")
_ILLEGAL_IN_FILE_NAME = re.compile(r"[/\\\x00-\x1f\x7f]")
_ILLEGAL_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def session_name_problem(name: str) -> str | None:
    """Why Ardour or the file system would refuse this session, snapshot or template name; `None` if neither does."""
    if name in {"", ".", ".."}:
        return "it must name a file"
    return _problem(name, _ILLEGAL_IN_SESSION_NAME, MAX_NAME_BYTES)


def track_name_problem(name: str) -> str | None:
    """Why Ardour would change or refuse this track name; `None` if it is fine."""
    if not name:
        return "it is empty"
    if name in RESERVED_TRACK_NAMES:
        return "Ardour keeps it for itself"
    return _problem(name, _ILLEGAL_IN_TRACK_NAME, MAX_TRACK_NAME_BYTES)


def label_problem(name: str) -> str | None:
    """Why a region, playlist, marker or group cannot have this name; `None` if it can."""
    if not name:
        return "it is empty"
    found = re.search(r"[\x00-\x1f\x7f]", name)
    return _character_problem(found.group()) if found else text_problem(name)


def file_name_problem(name: str) -> str | None:
    """Why a file in the session's audio folder cannot have this name; `None` if it can."""
    if name in {"", ".", ".."}:
        return "it must name a file"
    return _problem(name, _ILLEGAL_IN_FILE_NAME, MAX_NAME_BYTES)


def text_problem(text: str) -> str | None:
    """Why this text cannot stand in XML; `None` if it can."""
    found = _ILLEGAL_IN_XML.search(text)
    return _character_problem(found.group()) if found else None


def legal_session_name(text: str) -> str:
    """The nearest legal session name: an underscore for each character that Ardour forbids, cut to length.

    Raises:
        ValueError: nothing of the text is left.
    """
    return _legalise(text, _ILLEGAL_IN_SESSION_NAME, "_", MAX_NAME_BYTES).strip(". ") or _refuse(text)


def legal_track_name(text: str) -> str:
    """The nearest legal track name: a hyphen for a colon, as Ardour does, cut to length.

    Raises:
        ValueError: nothing of the text is left.
    """
    name = _legalise(text, _ILLEGAL_IN_TRACK_NAME, "-", MAX_TRACK_NAME_BYTES) or _refuse(text)
    return f"{name} track" if name in RESERVED_TRACK_NAMES else name


def _problem(name: str, illegal: re.Pattern[str], max_bytes: int) -> str | None:
    found = illegal.search(name)
    if found:
        return _character_problem(found.group())
    if problem := text_problem(name):
        return problem
    if len(name.encode()) > max_bytes:
        return f"it is longer than {max_bytes} bytes of UTF-8"
    return None


def _character_problem(character: str) -> str:
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return f"it contains {shown}"


def _legalise(text: str, illegal: re.Pattern[str], substitute: str, max_bytes: int) -> str:
    legal = _ILLEGAL_IN_XML.sub(substitute, illegal.sub(substitute, text)).strip()
    return legal.encode()[:max_bytes].decode(errors="ignore").strip()


def _refuse(text: str) -> str:
    raise ValueError(f"no name can be made of {text!r}")
