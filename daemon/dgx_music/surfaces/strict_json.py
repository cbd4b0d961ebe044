"""JSON as every surface reads it: no duplicate names, no NaN, no bottomless nesting, and errors that teach."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from dgx_music.errors import RequestError

__all__ = ["read_json"]


def read_json(text: str) -> Any:
    """Parse JSON text strictly.

    Raises:
        RequestError: where and why it is not JSON, or which part of it cannot be used.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_not_a_number)
    except json.JSONDecodeError as err:
        raise RequestError(
            f"not valid JSON: {err.msg} at line {err.lineno}, column {err.colno}; "
            'names and texts stand in double quotes, as in {"prompt": "dusty lo-fi drums", "bars": 4}'
        ) from err
    except RecursionError as err:
        raise RequestError("the JSON is nested too deeply; a request is one flat object of fields") from err
    except ValueError as err:  # an integer of thousands of digits
        raise RequestError(f"the JSON holds a number that cannot be read: {err}") from err


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise RequestError(f"the JSON gives {name!r} twice; give every field once")
        found[name] = value
    return found


def _not_a_number(text: str) -> NoReturn:
    raise RequestError(f"{text} is not a number in JSON; give a finite one")
