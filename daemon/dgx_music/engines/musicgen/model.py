"""A model that is loaded and ready: decoder in its batch, codec, text encoder, and ears for melody or style."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from dgx_music.engines.musicgen.conditioning.conditions import conditions
from dgx_music.engines.musicgen.decoder.base import Sampling
from dgx_music.engines.musicgen.take_run import TakeRun

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import ModelArchitecture
    from dgx_music.engines.musicgen.batcher import Batcher
    from dgx_music.engines.musicgen.choice import Choice
    from dgx_music.engines.musicgen.codec.base import Codec
    from dgx_music.engines.musicgen.conditioning.conditions import Guidance
    from dgx_music.engines.musicgen.conditioning.window import Window
    from dgx_music.engines.musicgen.ears import Heard
    from dgx_music.engines.musicgen.following import Follower
    from dgx_music.engines.musicgen.text import TextEncoder
    from dgx_music.request import GenerationRequest

__all__ = ["Model", "ModelIdentity"]


class ModelIdentity(NamedTuple):
    """What a take's record says of the model that made it."""

    name: str
    weights_sha256: str
    licence: str


class Model:
    """Thread-safe: many jobs use it at once. The batch takes care of the decoder, a lock each of text encoder and ears."""

    def __init__(
        self,
        identity: ModelIdentity,
        architecture: ModelArchitecture,
        choice: Choice,
        *,
        batcher: Batcher,
        codec: Codec,
        text: TextEncoder,
        follower: Follower,
    ) -> None:
        self.identity = identity
        self.architecture = architecture
        self.choice = choice
        self._batcher = batcher
        self._codec = codec
        self._text = text
        self._follower = follower
        self._reading = threading.Lock()
        self._listening = threading.Lock()  # listening takes long, and most jobs have words only

    @property
    def broken(self) -> bool:
        """Whether the decoder has failed, so that the model must be loaded anew."""
        return self._batcher.failed

    def close(self) -> None:
        """Give the memory back."""
        self._batcher.close()
        self._codec.close()
        with self._reading:
            self._text.close()

    def encode(self, audio: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the codes (K, frames) of audio (channels, samples) at the codec's rate."""
        return self._codec.encode(audio)

    def conditioning(
        self, text: str, request: GenerationRequest, roots: Sequence[Path], *, long: bool
    ) -> tuple[Callable[[Window], Guidance], tuple[str, ...]]:
        """Encode what the takes of a job are conditioned on.

        Args:
            text: what the text encoder reads.
            request: of the job.
            roots: the folders that audio may be read from.
            long: whether a take has several windows.

        Returns:
            What gives a window's conditions, and lines for the takes' notes.

        Raises:
            EngineError: the model cannot follow audio.
            RequestError: the excerpt may not be read, or is no audio.
        """
        lm = self.architecture.lm
        with self._reading:
            words = self._text.encode(text)
        if request.melody is None:
            followed = self._follower.follow(None, roots, long=long)
        else:
            with self._listening:
                followed = self._follower.follow(request.melody, roots, long=long)
        beta = followed.cfg_coef_beta if request.cfg_coef != 1 else None
        return (
            lambda window: conditions(
                lm, words, followed.prefix(window), cfg_coef=request.cfg_coef, cfg_coef_beta=beta
            )
        ), followed.notes

    def begin(self, heard: Heard, request: GenerationRequest, seed: int, owner: Hashable) -> TakeRun:
        """Send a take on its way."""
        return TakeRun(
            self._batcher,
            owner,
            seed=seed,
            sampling=Sampling(request.temperature, request.top_k, request.top_p),
            windows=heard.windows,
            prompt=heard.prompt,
            conditioned=heard.conditioned,
            decoder=self._codec.decoder(),
            frame_rate_hz=self.architecture.codec.frame_rate_hz,
        )
