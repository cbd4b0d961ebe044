"""Stand-ins for the packages that audiocraft imports and that making music from text does not need.

audiocraft 1.3.0 imports its training code, its file readers and its metrics along with the model. Of the packages
that these want, some can no longer be installed, one cannot be imported beside a torch without CUDA, and all are
large. Where one cannot be imported, an empty module answers to its name: what audiocraft only mentions (a base
class, an annotation) is a class without contents, and what it really calls raises `MissingPackageError`.
A package that can be imported is never replaced.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from abc import ABCMeta
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["STAND_INS", "MissingPackageError", "StandIn", "stand_ins"]


class MissingPackageError(EngineError):
    """Raised when audiocraft really calls into a package that is not there."""


@dataclass(frozen=True)
class StandIn:
    """A package that audiocraft imports at its start, and how to do without it."""

    name: str
    """What is imported."""
    feature: str
    """What audiocraft uses it for."""
    submodules: Sequence[str] = ()
    """Those that are imported by name; any other raises the usual `ImportError`."""
    equivalents: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    """Members that importing or text-to-music does call, by submodule and name, and what does the same."""
    distribution: str = ""
    """What `pip install` calls it, where that is another name."""


def _as_it_is(function: object) -> object:
    """Decorate with nothing; there is one process here, so it has rank zero."""
    return function


def _unbind(tensor: object, dim: int) -> object:
    """Split a tensor along one of its dimensions, as xFormers does on its way to attention."""
    return importlib.import_module("torch").unbind(tensor, dim)


STAND_INS = (
    StandIn("av", "reading and writing audio files by itself"),
    StandIn("dora", "training", ("log",), distribution="dora-search"),
    StandIn("flashy", "training", ("distrib",), {"distrib.rank_zero_only": _as_it_is}),
    StandIn("num2words", "models trained on normalised prompts"),
    StandIn("spacy", "models trained on normalised prompts"),
    StandIn("torchaudio", "following a melody", ("transforms",)),
    StandIn("torchmetrics", "training"),
    StandIn(
        "xformers",
        "xFormers attention",
        ("ops",),
        # Of a causal mask, audiocraft with torch's attention only asks whether it is there.
        {"ops.LowerTriangularMask": object, "ops.unbind": _unbind},
    ),
)
"""Everything that audiocraft 1.3.0 imports at its start and that text-to-music can do without."""


@contextmanager
def stand_ins(packages: Sequence[StandIn] = STAND_INS) -> Iterator[list[str]]:
    """Let empty modules answer for the packages that cannot be imported, until the block ends.

    audiocraft imports some modules late, so it must be imported, built and run inside of such blocks; one at a time.

    Yields:
        The names of the packages that are stood in for.
    """
    put_in: list[str] = []
    absent: list[str] = []
    try:
        for package in packages:
            why = _import_problem(package.name)
            if why:
                modules = _make(package, why)
                sys.modules.update(modules)
                put_in += modules
                absent.append(package.name)
        yield absent
    finally:
        for name in put_in:
            del sys.modules[name]


def _import_problem(name: str) -> str:
    """Import a package and say why that does not work; empty where it does. A failure leaves nothing behind."""
    before = set(sys.modules)
    try:
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module(name)
    except ModuleNotFoundError as err:
        why = "is not installed" if err.name == name else f"cannot be imported ({err})"
    except Exception as err:  # noqa: BLE001 - whatever a broken package raises, it is as good as absent
        why = f"cannot be imported ({err})"
    else:
        return ""
    for left in set(sys.modules) - before:
        if left.partition(".")[0] == name:
            del sys.modules[left]
    return why


def _make(package: StandIn, why: str) -> dict[str, ModuleType]:
    """Return the package's empty modules by their full names."""
    pip_name = package.distribution or package.name
    words = f"the package {pip_name} {why}; audiocraft needs it for {package.feature}"
    made: dict[str, ModuleType] = {}
    for path in ("", *package.submodules):
        full_name = f"{package.name}.{path}" if path else package.name
        module = _EmptyModule(full_name, words)
        made[full_name] = module
        if path:
            parent, _, name = full_name.rpartition(".")
            setattr(made[parent], name, module)
    for path, function in package.equivalents.items():
        submodule, _, name = f"{package.name}.{path}".rpartition(".")
        setattr(made[submodule], name, function)
    return made


class _EmptyModule(ModuleType):
    """A module that holds a class of every name."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, loader=None)  # importlib.util.find_spec refuses a module without one
        self._words = words

    def __getattr__(self, name: str) -> type:
        if name.startswith("_"):
            raise AttributeError(name)
        made = _EmptyClass(name, (), {"__module__": self.__name__, "words": self._words})
        setattr(self, name, made)
        return made


class _EmptyClass(ABCMeta):
    """The type of classes that can be named, looked into and derived from, but not called."""

    words: str

    def __getattr__(cls, name: str) -> type:
        if name.startswith("_"):
            raise AttributeError(name)
        return _EmptyClass(
            f"{cls.__qualname__}.{name}", (), {"__module__": cls.__module__, "words": cls.words}
        )

    def __call__(cls, *_: object, **__: object) -> NoReturn:
        raise MissingPackageError(f"{cls.__module__}.{cls.__qualname__} was called, but {cls.words}")
