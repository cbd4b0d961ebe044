"""Loads audiocraft's MusicGen from a model's two files, offline where everything is there. Imports torch."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from dgx_music.engines.audiocraft.stand_ins import stand_ins
from dgx_music.engines.musicgen.checkpoint.locate import T5_REPOSITORIES
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dgx_music.engines.audiocraft.weights import Weights
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["Model", "at_work", "load"]

_TRUSTS_FILES = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True)
class Model:
    """A loaded model."""

    asked_for: str
    """As the request or the configuration names it."""
    weights: Weights
    weights_sha256: str
    musicgen: Any
    """audiocraft's own `MusicGen`."""
    device_name: str
    precision: str

    @property
    def hears_melodies(self) -> bool:
        """Whether it was trained to follow a melody."""
        return "self_wav" in self.musicgen.lm.condition_provider.conditioners


def load(asked_for: str, weights: Weights, settings: MusicGenSettings) -> tuple[Model, float]:
    """Load a model; the files are read as weights only, so that they cannot run code.

    Returns:
        The model, and how many seconds it took.

    Raises:
        EngineError: files that are damaged, or that hold more than weights; a device that is not there.
    """
    began = time.monotonic()
    device = _device(settings.device)
    if os.environ.get(_TRUSTS_FILES, "0") not in ("", "0"):
        raise EngineError(
            f"{_TRUSTS_FILES} is set, which lets a model's files run code of their own; unset it, MusicGen needs no such"
        )
    with at_work():
        from audiocraft.models import MusicGen  # noqa: PLC0415 - must be imported among the stand-ins

        with _parts_from(weights, settings):
            try:
                musicgen = MusicGen.get_pretrained(str(weights.folder), device=device)
            except UnpicklingError as err:
                raise EngineError(
                    f"{weights.folder}: the files hold more than weights, or are damaged: {_first_line(err)}; fetch them "
                    "anew from where the model was published"
                ) from err
            except ModuleNotFoundError as err:
                raise EngineError(
                    f"{weights.name} needs the package {err.name}, which is not installed: models that can follow a "
                    "melody want demucs and torchaudio in audiocraft; the engine musicgen does without"
                ) from err
            except (AssertionError, KeyError, EOFError, OSError, RuntimeError) as err:
                raise EngineError(f"{weights.folder} cannot be loaded: {_first_line(err)}") from err
    cuda = device.startswith("cuda")
    return Model(
        asked_for,
        weights,
        weights.sha256(settings.cache_dir),
        musicgen,
        f"cuda {torch.cuda.get_device_name(device)}" if cuda else f"cpu {os.uname().machine}",
        # audiocraft's own rule: load_lm_model takes float16 wherever the device is not the processor.
        "fp16" if cuda else "fp32",
    ), time.monotonic() - began


@contextmanager
def at_work() -> Iterator[None]:
    """Run audiocraft: with stand-ins for what it imports, and its use of what is deprecated not our user's concern."""
    with stand_ins(), warnings.catch_warnings(action="ignore"):
        yield


def _device(wanted: str) -> str:
    if wanted != "auto":
        if wanted != "cpu" and not torch.cuda.is_available():
            raise EngineError(
                f"musicgen.device: {wanted} cannot be used, torch {torch.__version__} finds no CUDA device; "
                "'dgx-music doctor' says why"
            )
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _parts_from(weights: Weights, settings: MusicGenSettings) -> Iterator[None]:
    """Let audiocraft, which asks the hub for T5 and EnCodec by name, find the copies that belong to the model."""
    from audiocraft.models import encodec  # noqa: PLC0415 - must be imported among the stand-ins
    from audiocraft.modules import conditioners  # noqa: PLC0415

    places = [
        (conditioners, "T5Tokenizer", weights.text),
        (conditioners, "T5EncoderModel", weights.text),
        (encodec, "HFEncodecModel", weights.codec),
    ]
    originals = [getattr(module, name) for module, name, _ in places]
    for (module, name, folder), original in zip(places, originals, strict=True):
        setattr(module, name, _FoundHere(original, folder, weights, settings))
    try:
        yield
    finally:
        for (module, name, _), original in zip(places, originals, strict=True):
            setattr(module, name, original)


class _FoundHere:
    """A class of transformers' whose `from_pretrained` takes a folder, where there is one, and else the hub's cache."""

    def __init__(
        self, original: Any, folder: Path | None, weights: Weights, settings: MusicGenSettings
    ) -> None:
        self._original = original
        self._folder = folder
        self._weights = weights
        self._settings = settings

    def from_pretrained(self, name: str) -> object:
        """Load what goes by this name."""
        if self._folder is not None:
            return self._original.from_pretrained(str(self._folder), local_files_only=True)
        try:
            return self._original.from_pretrained(
                T5_REPOSITORIES.get(name, name),
                cache_dir=self._settings.models_dir,
                local_files_only=not self._settings.download,
            )
        except OSError as err:
            raise EngineError(
                f"{self._weights.name} needs {name}, which is neither in {self._weights.folder / name} nor in the hub's "
                f"cache: {_first_line(err)}; put a copy of it there, or allow musicgen.download"
            ) from err


def _first_line(err: BaseException) -> str:
    return next(iter(str(err).strip().splitlines()), type(err).__name__)
