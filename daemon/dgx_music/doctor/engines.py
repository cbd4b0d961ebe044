"""The engines, and what the sketch plays on. Nothing heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.doctor.check import Check, info, ok, problem
from dgx_music.engines.registry import choose_engine, engine_class, engine_names
from dgx_music.engines.sketch.soundfont import find_fluidsynth
from dgx_music.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.doctor.check import Surroundings

__all__ = ["engines", "instruments"]


def engines(surroundings: Surroundings) -> Iterator[Check]:
    """Every installed engine, whether it can be used, and what a request that names none will get."""
    settings = surroundings.config.for_engines(surroundings.paths)
    for name in engine_names():
        try:
            found = engine_class(name).availability(settings)
        except Exception as err:  # noqa: BLE001 - an engine of another package may break in any way
            yield problem(
                f"engine {name}",
                f"it cannot be asked: {type(err).__name__}: {err}",
                "install the package that it comes from again, or remove it",
            )
            continue
        if not found.usable:
            yield info(f"engine {name}", found.reason)
        elif not found.automatic:
            yield ok(f"engine {name}", "can be used when asked for by name")
        else:
            yield ok(f"engine {name}", "can be used")
    wanted = surroundings.config.engine.default
    try:
        chosen, _ = choose_engine(wanted, settings)
    except EngineUnavailableError as err:
        yield problem("default engine", str(err), 'set engine.default = "auto", or install that engine')
    else:
        yield ok("default engine", chosen if chosen == wanted else f"{wanted}, which is {chosen} here")


def instruments(surroundings: Surroundings) -> Iterator[Check]:
    """What the sketch engine plays its scores on."""
    found = find_fluidsynth(surroundings.config.engine.soundfont)
    if found is not None:
        yield ok("instruments", f"FluidSynth with {found.soundfont}")
    else:
        yield info(
            "instruments",
            "the sketch engine plays its own synthesiser; a SoundFont sounds fuller",
            "sudo apt install fluidsynth fluid-soundfont-gm",
        )
