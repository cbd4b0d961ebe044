"""Finds the installed engines (entry points in the group `dgx_music.engines`) and chooses among them.

Importing an engine's class is light by contract, so the daemon may ask for its availability.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from dgx_music.errors import EngineUnavailableError

if TYPE_CHECKING:
    from dgx_music.engines.base import Availability, Engine, EngineSettings

__all__ = ["SKETCH", "choose_engine", "engine_class", "engine_names"]

SKETCH = "sketch"
"""The engine without weights: what `auto` means where nothing better can be used."""
_GROUP = "dgx_music.engines"


def engine_names() -> list[str]:
    """Return the installed engines' names, neural ones (all but the sketch) first."""
    return sorted(
        {point.name for point in entry_points(group=_GROUP)}, key=lambda name: (name == SKETCH, name)
    )


def engine_class(name: str) -> type[Engine]:
    """Return an engine's class.

    Raises:
        EngineUnavailableError: no engine of that name is installed.
    """
    for point in entry_points(group=_GROUP):
        if point.name == name:
            found: type[Engine] = point.load()
            return found
    raise EngineUnavailableError(
        f"engine {name!r} is not installed; installed: {', '.join(engine_names())}. Leave engine out, or say auto."
    )


def choose_engine(wanted: str, settings: EngineSettings) -> tuple[str, Availability]:
    """Turn the name in a request into the engine that will make it.

    `auto` takes the first usable neural engine that may be chosen so, and the sketch only where there is none. An
    engine asked for by name is that engine or an error: nothing stands in for it.

    Raises:
        EngineUnavailableError: the engine asked for is not installed or cannot be used, and why.
    """
    if wanted != "auto":
        found = engine_class(wanted).availability(settings)
        if not found.usable:
            raise EngineUnavailableError(f"engine {wanted!r} cannot be used: {found.reason}")
        return wanted, found
    for name in engine_names():
        found = engine_class(name).availability(settings)
        if found.usable and found.automatic:
            return name, found
    raise EngineUnavailableError("no engine can be used; 'dgx-music doctor' says why")
