"""Lists and objects where a surface can send only text: the text is read as JSON."""

from __future__ import annotations

import json

__all__ = ["from_json_text"]


def from_json_text(value: object) -> object:
    """Return what a JSON text says; anything else as it came.

    OSC's pairs and a CSV cell hold no lists.

    Raises:
        ValueError: the text is no JSON, saying where.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as err:
        raise ValueError(
            f"a text that is no JSON ({err.msg} at line {err.lineno}, column {err.colno}); give a list of objects"
        ) from err
    except RecursionError as err:
        raise ValueError("a text whose JSON is nested too deeply; give a list of objects") from err
