"""The engines, and the graphics processor that the neural ones want. Nothing heavy is imported."""

from __future__ import annotations

import subprocess
from importlib import metadata
from typing import TYPE_CHECKING

from dgx_music.doctor.check import Check, info, ok, problem, warning
from dgx_music.engines.base import EngineSettings
from dgx_music.engines.registry import choose_engine, engine_class, engine_names
from dgx_music.engines.sketch.soundfont import find_fluidsynth
from dgx_music.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.doctor.check import Surroundings

__all__ = ["engines", "gpu", "instruments"]

_ADD_MUSICGEN = "./install.sh --musicgen"
_PATIENCE_S = 20


def engines(surroundings: Surroundings) -> Iterator[Check]:
    """Every installed engine, whether it can be used, and what a request that names none will get."""
    engine = surroundings.config.engine
    settings = EngineSettings(engine.soundfont, engine.renderer)
    names = engine_names()
    for name in names:
        found = engine_class(name).availability(settings)
        if found.usable:
            yield ok(f"engine {name}", "can be used")
        else:
            yield info(f"engine {name}", found.reason, _ADD_MUSICGEN if name == "musicgen" else "")
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


def gpu(_: Surroundings) -> Iterator[Check]:
    """Torch and the graphics processor fit together."""
    torch = _torch_version()
    cards = _nvidia_cards()
    if not cards and torch is None:
        yield info("GPU", "no NVIDIA GPU was found, and torch is not installed; MusicGen would be slow here")
    elif not cards:
        yield info("GPU", f"no NVIDIA GPU was found; torch {torch} works on the processor, slowly")
    elif torch is None:
        yield info("GPU", f"{', '.join(cards)}: idle, for torch is not installed", _ADD_MUSICGEN)
    elif "+cpu" in torch:
        yield warning(
            "GPU",
            f"{', '.join(cards)}: idle, for torch {torch} is the build without CUDA",
            "install a torch with CUDA into DGX Music's venv",
        )
    else:
        yield ok("GPU", f"{', '.join(cards)}; torch {torch}")


def _torch_version() -> str | None:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _nvidia_cards() -> list[str]:
    """Return the names that `nvidia-smi` lists; none where it is missing or finds no driver."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
