"""The arguments of /dgx/generate to request fields: one JSON object, or a prompt and key-value pairs."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.errors import RequestError
from dgx_music.surfaces.fields import nest_fields
from dgx_music.surfaces.osc.routes import GENERATE
from dgx_music.surfaces.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.surfaces.osc.decode import OscValue

__all__ = ["Generate", "plain_value", "read_generate"]

_VALUE_TYPES = GENERATE.pairs[1].types
_EXAMPLE = '/dgx/generate "dusty lo-fi drums" "bars" 4 "bpm" 93.5'


@dataclass(frozen=True)
class Generate:
    """What a /dgx/generate asks for."""

    fields: dict[str, Any]
    reply_port: int | None
    """Where answers go instead of the sender's own port."""

    @property
    def request_id(self) -> str | None:
        """The sender's id, if it gave a usable one."""
        value = self.fields.get("request_id")
        return value if isinstance(value, str) and value else None


def read_generate(values: Sequence[OscValue]) -> Generate:
    """Turn the arguments into request fields; which fields there are is the request model's business.

    Raises:
        RequestError: the arguments have no form that makes sense.
    """
    if not values or values[0].tag not in "sS":
        came = f"an argument of type {values[0].tag!r}" if values else "nothing"
        raise RequestError(f"the first argument is the prompt, a text, but {came} came; write {_EXAMPLE}")
    first: str = values[0].value
    fields = _from_json(first) if len(values) == 1 else None
    if fields is None:
        fields = _from_pairs(first, values[1:])
    reply_port = fields.pop("reply_port", None)
    return Generate(fields, None if reply_port is None else _port(reply_port))


def _from_json(text: str) -> dict[str, Any] | None:
    if text.lstrip().startswith("{"):
        found: dict[str, Any] = read_json(text)
        return found
    if text.lstrip().startswith("["):
        try:
            found = read_json(text)
        except RequestError:
            return None  # a prompt may begin with "[intro]"
        raise RequestError(
            "a JSON array came; one message asks for one thing, as one JSON object (send a bundle)"
        )
    return None


def _from_pairs(prompt: str, values: Sequence[OscValue]) -> dict[str, Any]:
    if len(values) % 2:
        raise RequestError(
            f"after the prompt come pairs of field and value, but {len(values)} arguments follow it; write {_EXAMPLE}"
        )
    pairs: list[tuple[str, Any]] = [("prompt", prompt)]
    for key, value in zip(values[::2], values[1::2], strict=True):
        if key.tag not in "sS" or not key.value:
            raise RequestError(
                f"a field's name is a text, but {key.value!r} (type {key.tag!r}) stands where one belongs; write {_EXAMPLE}"
            )
        if value.tag == "N":
            continue  # nil: not given
        pairs.append((key.value, plain_value(key.value, value)))
    return nest_fields(pairs)


def plain_value(name: str, value: OscValue) -> Any:
    """Return an argument as the number, text or truth that its sender meant.

    A float32 means the shortest decimal that rounds to it (93.3, not 93.30000305). A whole number is an int
    whatever its wire type: Ardour's Lua sends every 64-bit integer as a double.

    Raises:
        RequestError: the type tag cannot stand for a field's value.
    """
    if value.tag in "Sc":
        return value.value
    if value.tag not in _VALUE_TYPES:
        raise RequestError(
            f"{name}: the OSC type {value.tag!r} cannot be used; send a number ({', '.join('ihdf')}), a text (s) or T, F"
        )
    if value.tag in "fd":
        number = _shortest_decimal(value.value) if value.tag == "f" else value.value
        return int(number) if math.isfinite(number) and number == int(number) else number
    return value.value


def _shortest_decimal(value: float) -> float:
    if not math.isfinite(value):
        return value
    wire = struct.pack(">f", value)
    for digits in range(1, 9):
        candidate = float(f"{value:.{digits}g}")
        try:
            if struct.pack(">f", candidate) == wire:
                return candidate
        except OverflowError:
            continue
    return float(f"{value:.9g}")


def _port(value: object) -> int:
    try:
        port = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else 0
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise RequestError(f"reply_port: {value!r} is not a UDP port; give a number from 1 to 65535")
    return port
