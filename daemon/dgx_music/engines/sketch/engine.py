"""The engine: request in, composed and rendered take out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dgx_music.engines.base import Availability, EngineInfo, RawAudio
from dgx_music.engines.sketch.brief import read_brief
from dgx_music.engines.sketch.score import SAMPLE_RATE_HZ, Score
from dgx_music.engines.sketch.soundfont import FluidSynth, file_sha256, find_fluidsynth
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction
    from pathlib import Path

    from dgx_music.engines.base import Control, EngineSettings, TakeSpec
    from dgx_music.engines.sketch.sounds import Sounds

__all__ = ["SketchEngine"]

_VERSION = "1"


class SketchEngine:
    """Composes by rules and renders with numpy, or with FluidSynth where that and a SoundFont are found."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._hashes: dict[tuple[Path, int, int], str] = {}

    @classmethod
    def availability(cls, settings: EngineSettings) -> Availability:
        """Say that the engine can be used; only a renderer that was asked for and is missing prevents it."""
        reason = _missing(settings)
        return Availability(usable=not reason, reason=reason)

    def generate(self, takes: Sequence[TakeSpec], control: Control) -> Iterator[tuple[int, RawAudio]]:
        """Make the takes one after the other.

        Raises:
            EngineError: when audio is to be continued or followed, which takes ears.
        """
        for take in takes:
            yield take.index, self._make(take, control)

    def _make(self, take: TakeSpec, control: Control) -> RawAudio:
        # The daemon imports this module to ask for availability; numpy comes in only here and in `_sounds`.
        from dgx_music.engines.sketch.compose import compose  # noqa: PLC0415
        from dgx_music.engines.sketch.render import render  # noqa: PLC0415

        request = take.request
        heard = "continue_from" if request.continue_from else "melody" if request.melody else ""
        if heard:
            raise EngineError(
                f"{heard} needs an engine that can hear audio; sketch only reads words. Use MusicGen for this, "
                f"or leave {heard} out"
            )

        def progress(fraction: float) -> None:
            control.progress(take.index, fraction, "generating")

        progress(0.0)
        fluidsynth = self._fluidsynth()
        info = self._info(fluidsynth)
        brief = read_brief(request.prompt)
        score = compose(request, take.seed, brief, lambda: progress(0.01))
        progress(0.02)
        made = render(
            score,
            brief.genre.mix,
            _sounds(fluidsynth, take.seed, score.key.pitch_class, brief.brightness),
            take.seed,
            samples=_samples(request.length_exact_s, loop=request.loop),
            crackle=brief.crackle,
            progress=lambda fraction: progress(0.02 + 0.97 * fraction),
        )
        progress(1.0)
        return RawAudio(
            audio=made.audio,
            sample_rate_hz=SAMPLE_RATE_HZ,
            info=info,
            stems=made.stems,
            bpm=float(score.bpm) if score.timeline.is_constant else None,
            meter=str(score.meter),
            key=str(score.key),
            notes=_notes(score),
        )

    def _fluidsynth(self) -> FluidSynth | None:
        """Choose the renderer, before anything is made: FluidSynth, or `None` for numpy."""
        reason = _missing(self._settings)
        if reason:
            raise EngineError(reason)
        return None if self._settings.renderer == "numpy" else find_fluidsynth(self._settings.soundfont)

    def _info(self, fluidsynth: FluidSynth | None) -> EngineInfo:
        if fluidsynth is None:
            return EngineInfo("sketch", _VERSION, neural=False, model="numpy-synth", model_hash="")
        status = fluidsynth.soundfont.stat()
        key = (fluidsynth.soundfont, status.st_mtime_ns, status.st_size)
        if key not in self._hashes:
            self._hashes[key] = file_sha256(fluidsynth.soundfont)
        return EngineInfo(
            "sketch", _VERSION, neural=False, model=fluidsynth.model, model_hash=self._hashes[key]
        )


def _sounds(fluidsynth: FluidSynth | None, seed: int, tonic: int, brightness: float) -> Sounds:
    from dgx_music.engines.sketch.fluid import SoundFontSounds  # noqa: PLC0415
    from dgx_music.engines.sketch.sounds import NumpySounds  # noqa: PLC0415

    return SoundFontSounds(fluidsynth) if fluidsynth else NumpySounds(seed, tonic, brightness)


def _missing(settings: EngineSettings) -> str:
    """Say what a setting asks for and is not there; empty when all is well."""
    if settings.renderer == "numpy":
        return ""
    if settings.soundfont is not None and not settings.soundfont.is_file():
        return f"the SoundFont {settings.soundfont} is not there; correct the path, or leave it out to use what is found"
    if settings.renderer == "fluidsynth" and find_fluidsynth(settings.soundfont) is None:
        return (
            'renderer = "fluidsynth" needs the program fluidsynth and a SoundFont '
            '(Debian: fluidsynth, fluid-soundfont-gm); install them, or set renderer = "auto"'
        )
    return ""


def _samples(length_s: Fraction, *, loop: bool) -> int:
    """Return the audio's length: a loop to the nearest sample, else up, so that it covers the request."""
    exact = length_s * SAMPLE_RATE_HZ
    return max(1, math.floor(exact + type(exact)(1, 2)) if loop else math.ceil(exact))


def _notes(score: Score) -> str:
    """Say on a line how the take was made."""
    said = ["procedural sketch, no neural model", f"{score.genre} in {score.key}"]
    if not score.timeline.is_constant:
        said.append(f"on the session's tempo map from {float(score.bpm):g} BPM")
    if any(part != "drums" for part in score.parts):
        phrase = 4 * score.meter.quarters_per_bar
        said.append(" | ".join(chord.symbol for chord in score.chords if chord.onset < phrase))
    said.append(", ".join(f"{part} ({score.instruments[part]})" for part in score.parts))
    return "; ".join(said)
