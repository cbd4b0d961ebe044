"""Flat names to nested fields: `session.path` and `session.position` make one `session`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["nest_fields"]


def nest_fields(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Collect name-value pairs; a dotted name goes into the field before the dot.

    Raises:
        RequestError: a name comes twice, or both whole and in parts.
    """
    fields: dict[str, Any] = {}
    for name, value in pairs:
        node = fields
        *outer, last = name.split(".")
        for part in outer:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise RequestError(f"{part!r} is given as a whole and in parts ({name!r}); choose one")
        if last in node:
            raise RequestError(f"{name!r} is given twice; give every field once")
        node[last] = value
    return fields
