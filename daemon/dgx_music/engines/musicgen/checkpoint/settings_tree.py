"""A checkpoint's own settings: nested mappings, read strictly, every complaint with the setting's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dgx_music.engines.musicgen.checkpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Tree"]

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_ABSENT = object()


class Tree:
    """Settings with dotted names. A value `${a.b}` stands for the setting `a.b`, as omegaconf has it."""

    def __init__(self, data: Mapping[str, Any], source: Path) -> None:
        self._data = data
        self._source = source

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting, `default` where it is absent or null."""
        found = self._resolve(name, 0)
        return default if found is _ABSENT or found is None else found

    def text(self, name: str) -> str:
        """Return a setting that must be text."""
        return str(self._required(name, str))

    def whole(self, name: str) -> int:
        """Return a setting that must be a whole number."""
        return int(self._required(name, int))

    def number(self, name: str) -> float:
        """Return a setting that must be a number."""
        return float(self._required(name, (int, float)))

    def truth(self, name: str, *, default: bool | None = None) -> bool:
        """Return a setting that must be true or false."""
        if default is not None and self.get(name) is None:
            return default
        return bool(self._required(name, bool))

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a setting that must be a list of whole numbers."""
        found = self._required(name, list)
        if not all(type(number) is int for number in found):
            raise self.wrong(name, found, "a list of whole numbers")
        return tuple(found)

    def expect(self, name: str, *allowed: Any, absent: bool = True) -> None:
        """Check that a setting has a value that this engine plays.

        Raises:
            ModelError: it has another.
        """
        found = self.get(name)
        if found is None and (absent or None in allowed):
            return
        if found not in allowed or (isinstance(found, bool) and not any(found is each for each in allowed)):
            raise self.wrong(name, found, " or ".join(repr(each) for each in allowed))

    def wrong(self, name: str, found: Any, right: str) -> ModelError:
        """Return the error that says what a setting is and what it should be."""
        return ModelError(
            f"{self._source}: this is no checkpoint that the engine can play: {name} is {found!r}, "
            f"expected {right}"
        )

    def _required(self, name: str, kind: type | tuple[type, ...]) -> Any:
        found = self._resolve(name, 0)
        if found is _ABSENT:
            raise ModelError(f"{self._source}: this is no MusicGen checkpoint: its settings lack {name}")
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            raise self.wrong(name, found, " or ".join(each.__name__ for each in kinds))
        return found

    def _resolve(self, name: str, depth: int) -> Any:
        node: Any = self._data
        for part in name.split("."):
            if not isinstance(node, dict) or part not in node:
                return _ABSENT
            node = node[part]
        reference = _REFERENCE.fullmatch(node) if isinstance(node, str) else None
        if reference is None:
            return node
        if depth > 16:
            raise self.wrong(name, node, "a setting that does not refer to itself")
        return self._resolve(reference[1], depth + 1)
