"""The engine: the takes of a job through the running batch, and back as audio.

Several jobs may be inside `generate` at once, each in a thread of its own: they share the loaded models, and their takes
the batch of the model that they use.
"""

from __future__ import annotations

import math
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dgx_music.engines.base import Availability, EngineInfo, RawAudio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dgx_music.engines.base import Control, EngineSettings, TakeSpec
    from dgx_music.engines.musicgen.ears import Heard
    from dgx_music.engines.musicgen.model import Model
    from dgx_music.engines.musicgen.shelf import Shelf
    from dgx_music.engines.musicgen.take_run import TakeRun
    from dgx_music.request import GenerationRequest

__all__ = ["MusicGenEngine"]

_VERSION = "1"
_PACKAGES = ("onnx", "onnxruntime", "tokenizers")
_ADD = "./install.sh --musicgen"
_TURN_S = 0.25
"""How long to wait for the batch's next step before asking whether the job was cancelled."""


class MusicGenEngine:
    """MusicGen, with a decoder of our own. Thread-safe."""

    def __init__(self, settings: EngineSettings) -> None:
        from dgx_music.engines.musicgen.shelf import Shelf  # noqa: PLC0415 - the daemon imports this module too

        self._settings = settings
        self._shelf: Shelf = Shelf(settings.musicgen)

    @classmethod
    def availability(cls, settings: EngineSettings) -> Availability:
        """Say whether packages and weights are there. `auto` takes it only where nothing has to be downloaded."""
        from dgx_music.engines.musicgen.checkpoint import Missing, locate  # noqa: PLC0415

        absent = [name for name in _PACKAGES if find_spec(name) is None]
        if absent:
            return Availability(
                usable=False,
                reason=f"the packages {', '.join(absent)} are not installed ({_ADD} installs them)",
            )
        own = settings.musicgen
        found = locate(own.model, own)
        missing = found if isinstance(found, Missing) else None
        return Availability(
            usable=missing is None or (own.download and missing.card is not None),
            reason=missing.reason if missing else "",
            hears_audio=True,
            automatic=missing is None,
            jobs_at_once=own.max_takes,
            model=own.model,
        )

    def warm(self) -> Sequence[str]:
        """Return the models that are loaded now."""
        return self._shelf.warm.names

    def rest(self, idle_s: float) -> None:
        """Unload models that were idle for as long as the settings say."""
        if idle_s >= self._settings.musicgen.idle_unload_s:
            self._shelf.warm.rest(0.0)

    def close(self) -> None:
        """Unload everything."""
        self._shelf.warm.close()

    def generate(self, takes: Sequence[TakeSpec], control: Control) -> Iterator[tuple[int, RawAudio]]:
        """Make the takes of one job together; yield each as it is ready.

        Raises:
            EngineError: the model cannot be had or cannot do what is asked.
        """
        request = takes[0].request
        first = takes[0].index

        def still_wanted() -> None:
            control.progress(first, 0.0, "loading_model")

        still_wanted()
        with self._shelf.use(request, control, first) as model:
            control.progress(first, 0.0, "encoding_prompt")
            yield from self._decode(model, takes, control)

    def _decode(
        self, model: Model, takes: Sequence[TakeSpec], control: Control
    ) -> Iterator[tuple[int, RawAudio]]:
        from dgx_music.engines.musicgen.ears import hear  # noqa: PLC0415 - numpy

        request = takes[0].request
        heard = hear(model, request, (*self._settings.reading_roots, *takes[0].reading_roots))
        owner = object()
        runs: dict[int, TakeRun] = {}
        try:
            for take in takes:
                runs[take.index] = model.begin(heard, request, take.seed, owner)
            trimmed = dict.fromkeys(runs, heard.skip_samples)
            while runs:
                moved = False
                for index, run in list(runs.items()):
                    chunk = run.advance()
                    control.progress(index, run.fraction, "generating")
                    if chunk is None:
                        continue
                    moved = True
                    new = chunk[:, trimmed[index] :]
                    trimmed[index] = max(0, trimmed[index] - chunk.shape[1])
                    if new.shape[1]:
                        control.preview(index, new, model.architecture.codec.sample_rate_hz)
                    if run.finished:
                        del runs[index]
                        yield index, self._raw(model, heard, run, request)
                if runs and not moved:
                    next(iter(runs.values())).wait(_TURN_S)
        finally:
            for run in runs.values():
                run.cancel()

    def _raw(self, model: Model, heard: Heard, run: TakeRun, request: GenerationRequest) -> RawAudio:
        from dgx_music.engines.musicgen.loop import close_loop  # noqa: PLC0415 - numpy

        rate_hz = model.architecture.codec.sample_rate_hz
        audio = run.audio()[:, heard.skip_samples :]
        if request.loop:
            audio = close_loop(audio, math.floor(request.length_exact_s * rate_hz + Fraction(1, 2)))
        choice, identity = model.choice, model.identity
        return RawAudio(
            audio=audio,
            sample_rate_hz=rate_hz,
            info=EngineInfo(
                "musicgen",
                _VERSION,
                neural=True,
                model=identity.name,
                model_hash=identity.weights_sha256,
                device=choice.device_name,
                precision=choice.precision,
                licence=identity.licence,
            ),
            notes="; ".join([f"{choice.precision} on {choice.device_name}", *heard.notes]),
        )
