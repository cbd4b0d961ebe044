"""The engine: each take by audiocraft itself, one after the other."""

from __future__ import annotations

import threading
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

from packaging.version import Version

from dgx_music.engines.base import Availability
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dgx_music.engines.audiocraft.model import Model
    from dgx_music.engines.base import Control, EngineSettings, RawAudio, TakeSpec

__all__ = ["AudiocraftEngine"]

_PACKAGES = (
    "audiocraft",
    "einops",
    "huggingface_hub",
    "julius",
    "omegaconf",
    "sentencepiece",
    "torch",
    "transformers",
)
_ADD = "./install.sh --musicgen"
_OLDEST_TORCH = "2.6"
"""From here on `torch.load` reads weights only, and never runs what a file contains, where it is not told otherwise
(torch's release notes of 2.6: the default of `weights_only` became True); audiocraft does not tell it anything."""


class AudiocraftEngine:
    """audiocraft's MusicGen, unchanged: a take at a time, so that none depends on the takes beside it."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._model: Model | None = None
        # audiocraft draws from torch's one generator and keeps its state inside the model.
        self._one_at_a_time = threading.Lock()

    @classmethod
    def availability(cls, settings: EngineSettings) -> Availability:
        """Say whether audiocraft is installed. `auto` never takes it: it is there for comparison."""
        reason = _missing()
        return Availability(
            usable=not reason,
            reason=reason,
            hears_audio=True,
            automatic=False,
            model=settings.musicgen.model,
        )

    def warm(self) -> Sequence[str]:
        """Return the one model that is kept, by the name that it was asked for."""
        model = self._model
        return [] if model is None else [model.asked_for]

    def rest(self, idle_s: float) -> None:
        """Let go of the model once nothing was made for as long as the settings say."""
        if idle_s >= self._settings.musicgen.idle_unload_s and self._one_at_a_time.acquire(blocking=False):
            self._model = None
            self._one_at_a_time.release()

    def generate(self, takes: Sequence[TakeSpec], control: Control) -> Iterator[tuple[int, RawAudio]]:
        """Make the takes one after the other.

        Raises:
            EngineError: audiocraft, or the model, cannot do what is asked.
        """
        from dgx_music.engines.audiocraft.take import make  # noqa: PLC0415 - the daemon imports this module too

        reason = _missing()
        if reason:
            raise EngineError(reason)
        for take in takes:
            with self._one_at_a_time:
                control.progress(take.index, 0.0, "loading_model")
                model = self._loaded(take, control)
                raw = make(model, take, (*self._settings.reading_roots, *take.reading_roots), control)
            yield take.index, raw

    def _loaded(self, take: TakeSpec, control: Control) -> Model:
        from dgx_music.engines.audiocraft.model import load  # noqa: PLC0415
        from dgx_music.engines.audiocraft.weights import find_weights  # noqa: PLC0415

        settings = self._settings.musicgen
        asked_for = settings.model if take.request.model == "auto" else take.request.model
        weights = find_weights(
            asked_for, settings, lambda: control.progress(take.index, 0.0, "downloading_model")
        )
        if self._model is None or self._model.weights != weights:
            self._model = None  # first, for there may not be room for two
            self._model, seconds = load(asked_for, weights, settings)
            control.loaded(asked_for, seconds)
        return self._model


def _missing() -> str:
    """Say what keeps audiocraft from being used; empty where nothing does. Nothing is imported."""
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if absent:
        many = len(absent) > 1
        return (
            f"the package{'s' if many else ''} {', '.join(absent)} {'are' if many else 'is'} not installed "
            f"({_ADD} installs what is needed)"
        )
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return f"torch does not say its version; {_OLDEST_TORCH} or newer is needed ({_ADD} installs one)"
    if Version(torch) < Version(_OLDEST_TORCH):
        return (
            f"torch {torch} would run whatever code a model's file contains; {_OLDEST_TORCH} or newer reads weights only "
            f"({_ADD} installs one)"
        )
    return ""
