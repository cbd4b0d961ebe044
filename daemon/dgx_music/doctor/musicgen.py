"""What MusicGen needs besides: packages and weights. Nothing heavy is imported."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from dgx_music.doctor.check import Check, info, ok, warning
from dgx_music.doctor.gpu import ADD_MUSICGEN, installed_version
from dgx_music.doctor.system import requirement_problem
from dgx_music.engines.musicgen.checkpoint import Missing, locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.doctor.check import Surroundings

__all__ = ["packages", "weights"]

_EXTRA = "musicgen"
_OURSELVES = "dgx-music"
_REFERENCE_ONLY = {
    "audiocraft": "the engine audiocraft, which is there for comparison",
    "einops": "the engine audiocraft, which is there for comparison",
    "julius": "the engine audiocraft, which is there for comparison",
    "omegaconf": "the engine audiocraft, which is there for comparison",
    "torchaudio": "following a melody with the engine audiocraft",
}
"""What the engine musicgen does without, and what it is for."""


def packages(_: Surroundings) -> Iterator[Check]:
    """The packages of MusicGen are installed, in versions that will do."""
    name = "MusicGen packages"
    found = _problems(_EXTRA)
    if not found:
        return  # not installed: the check of all packages says so
    # Installed without its dependencies, so that no extra can name it.
    found["audiocraft"] = "" if installed_version("audiocraft") else "audiocraft is missing"
    if installed_version("torch") is None and installed_version("onnxruntime") is None:
        yield info(name, "not installed: MusicGen wants several gigabytes of them", ADD_MUSICGEN)
        return
    wrong = {package: words for package, words in found.items() if words}
    needed = [words for package, words in wrong.items() if package not in _REFERENCE_ONLY]
    if needed:
        yield warning(name, "; ".join(needed), f"{ADD_MUSICGEN} (brings them up to date)")
    else:
        versions = (f"{package} {installed_version(package)}" for package in found if package not in wrong)
        yield ok(name, ", ".join(versions))
    for package, words in wrong.items():
        if package in _REFERENCE_ONLY:
            yield info(name, f"{words}: it is for {_REFERENCE_ONLY[package]}", ADD_MUSICGEN)


def weights(surroundings: Surroundings) -> Iterator[Check]:
    """The weights of the model that requests get are here."""
    name = "MusicGen weights"
    settings = surroundings.config.for_engines(surroundings.paths).musicgen
    if installed_version("onnxruntime") is None:
        return
    found = locate(settings.model, settings, surroundings.environ)
    if not isinstance(found, Missing):
        licence = f", licence {found.licence}" if found.licence else ""
        yield ok(name, f"{found.name} in {found.folder}, {found.format}'s format{licence}")
    elif found.card is not None and settings.download:
        licence = f"; their licence is {found.card.licence}" if found.card.licence else ""
        yield info(
            name,
            f"{found.reason}{licence}",
            "nothing: they are downloaded when a request first names this model",
        )
    else:
        yield warning(
            name,
            found.reason,
            "set musicgen.model to a folder that holds a model, or to a published one with musicgen.download = true",
        )


def _problems(extra: str) -> dict[str, str]:
    """Return the packages of an extra, and of those that it names of our own, with what is wrong with each."""
    try:
        listed = metadata.requires(_OURSELVES) or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, str] = {}
    for text in listed:
        wanted = Requirement(text)
        if wanted.marker is None or not wanted.marker.evaluate({"extra": extra}):
            continue
        if wanted.marker.evaluate({"extra": ""}):
            continue
        if wanted.name == _OURSELVES:
            for own in wanted.extras:
                found.update(_problems(own))
        else:
            found[wanted.name] = requirement_problem(text, extra)
    return found
