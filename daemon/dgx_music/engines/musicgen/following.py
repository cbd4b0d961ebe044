"""What audio a take follows: the melody or the style that stands before the text, for models that can hear one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dgx_music.engines.musicgen.checkpoint.folders import cached_snapshot, hub_caches
from dgx_music.engines.musicgen.conditioning import chroma, mert
from dgx_music.engines.musicgen.conditioning.conditions import AudioPrefix, melody_prefix, style_prefix
from dgx_music.engines.musicgen.conditioning.excerpt import Audio, convert, read_excerpt
from dgx_music.engines.musicgen.conditioning.separation import melody_part
from dgx_music.engines.musicgen.conditioning.style import StyleEncoder, middle
from dgx_music.engines.musicgen.conditioning.window import wrap
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import ModelArchitecture
    from dgx_music.engines.musicgen.conditioning.window import Window
    from dgx_music.request import AudioExcerpt

__all__ = ["Followed", "Follower"]

_STYLE_CFG_COEF_BETA = 5.0
"""Beside a style, text is hardly heard with plain guidance; the authors' own value (Rouard et al. 2024)."""


class Followed(NamedTuple):
    """What stands before the text of a take's windows."""

    prefix: Callable[[Window], AudioPrefix | None]
    notes: tuple[str, ...]
    """For the takes' notes."""
    cfg_coef_beta: float | None = None
    """How much more the text is to count than the audio; `None` for as much."""


class Follower:
    """One model's ears for melody or style, or for neither.

    Args:
        name: the model's, for messages.
        architecture: what it can hear.
        weights: `chroma_proj.…` and `style.…` of its language model.
        device: where the networks run that listen for it.
        models_dir: where MERT may lie, besides the hub's cache.
    """

    def __init__(
        self,
        name: str,
        architecture: ModelArchitecture,
        weights: Mapping[str, npt.NDArray[np.floating]],
        *,
        device: str,
        models_dir: Path | None,
    ) -> None:
        self._name = name
        self._architecture = architecture
        self._weights = weights
        self._device = device
        self._models_dir = models_dir

    def follow(self, excerpt: AudioExcerpt | None, roots: Sequence[Path], *, long: bool) -> Followed:
        """Listen to what a request names.

        Args:
            excerpt: the audio to follow; `None` for text alone.
            roots: the folders that audio may be read from.
            long: whether a take has several windows, each of which hears its own part of a melody.

        Raises:
            EngineError: the model cannot follow audio, or what it needs for that is missing.
            RequestError: the excerpt may not be read, or is no audio.
        """
        lm = self._architecture.lm
        if lm.chroma is None and lm.style is None:
            if excerpt is not None:
                raise EngineError(
                    f"melody: {self._name} follows no audio; choose a model that does, such as musicgen-melody or "
                    "musicgen-style, or leave melody out"
                )
            return Followed(lambda _window: None, ())
        if excerpt is None:
            nothing = style_prefix(lm, None) if lm.style else melody_prefix(lm, self._weights, None)
            return Followed(lambda _window: nothing, ())
        audio = read_excerpt(excerpt, roots)
        return self._style(audio) if lm.style else self._melody(audio, long=long)

    def _melody(self, audio: Audio, *, long: bool) -> Followed:
        lm, codec = self._architecture.lm, self._architecture.codec
        rate_hz = codec.sample_rate_hz
        tune = convert(audio, to_hz=rate_hz, channels=1)[0]
        if lm.chroma is None:
            raise EngineError(f"{self._name} follows no melody")
        if not long:  # separating costs time, and no more than this is listened to
            tune = tune[: lm.chroma.frames * lm.chroma.winhop + 2**lm.chroma.radix2_exp]
        part = melody_part(tune, rate_hz, device=self._device, models_dir=self._models_dir)
        architecture = lm.chroma

        def prefix(window: Window) -> AudioPrefix:
            wave = part.wave
            if long:
                length = round(self._architecture.window_s * rate_hz)
                wave = wrap(wave, window.start * codec.hop_samples, length)
            return melody_prefix(lm, self._weights, chroma.extract(wave, architecture, rate_hz))

        return Followed(prefix, (part.how,))

    def _style(self, audio: Audio) -> Followed:
        lm = self._architecture.lm
        if lm.style is None:
            raise EngineError(f"{self._name} follows no style")
        encoder = StyleEncoder(lm.style, self._weights)
        wave = convert(audio, to_hz=mert.SAMPLE_RATE_HZ, channels=1)[0]
        features = mert.load(self._mert(), device=self._device).features(
            middle(wave, mert.SAMPLE_RATE_HZ, encoder.length_s)
        )
        style = style_prefix(lm, encoder.encode(features))
        return Followed(
            lambda _window: style,
            (f"style of {encoder.length_s:g} s, {encoder.books} books",),
            _STYLE_CFG_COEF_BETA,
        )

    def _mert(self) -> Path:
        own = self._models_dir / mert.REPOSITORY.split("/")[1] if self._models_dir else None
        if own is not None and own.is_dir():
            return own
        caches = [*([self._models_dir] if self._models_dir else []), *hub_caches(os.environ)]
        for cache in caches:
            found = cached_snapshot(cache, mert.REPOSITORY)
            if found is not None:
                return found
        raise EngineError(
            f"melody: to hear a style, {self._name} needs {mert.REPOSITORY} besides; looked in "
            f"{', '.join(str(cache) for cache in caches)}. Fetch it with 'hf download {mert.REPOSITORY}'"
        )
