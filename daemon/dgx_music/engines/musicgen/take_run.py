"""One take on its way through the batch: window after window, its audio decoded as its frames come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.musicgen.decoder.base import TakeInput
from dgx_music.engines.musicgen.delay import steps
from dgx_music.engines.musicgen.sampling import uniforms

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy.typing as npt

    from dgx_music.engines.musicgen.batcher import Batcher, Decoding
    from dgx_music.engines.musicgen.codec.base import StreamDecoder
    from dgx_music.engines.musicgen.conditioning.window import Window
    from dgx_music.engines.musicgen.decoder.base import Condition, Sampling

__all__ = ["TakeRun"]

_FIRST_S = 1.0
_FIRST_PARTS = 3
_CHUNK_S = 1.0
"""Audio is decoded by the second: more at a time would be heard later, less costs more. Only the first second is decoded
in parts, so that little is left to do when its last frame comes."""


class TakeRun:
    """Drives one take. `advance` does what can be done now; `wait` sleeps until there is more.

    Args:
        batcher: the running batch.
        owner: whose share of the batch it uses.
        seed: of the take; each window draws from a stream of its own.
        sampling: how tokens are drawn.
        windows: what is decoded, in order; the first one knows the prompt.
        prompt: (K, frames) codes to go on from; its audio is not given back.
        conditioned: gives a window's conditions and weights.
        decoder: turns codes into audio; this take's own.
        frame_rate_hz: frames a second.
    """

    def __init__(
        self,
        batcher: Batcher,
        owner: Hashable,
        *,
        seed: int,
        sampling: Sampling,
        windows: Sequence[Window],
        prompt: npt.NDArray[np.int64],
        conditioned: Callable[[Window], tuple[tuple[Condition, ...], tuple[float, ...]]],
        decoder: StreamDecoder,
        frame_rate_hz: float,
    ) -> None:
        self._batcher = batcher
        self._owner = owner
        self._seed = seed
        self._sampling = sampling
        self._windows = list(windows)
        self._conditioned = conditioned
        self._decoder = decoder
        self._prompt_frames = int(prompt.shape[1])
        self._total = self._windows[-1].stop
        self._codes = np.zeros((prompt.shape[0], self._total), np.int64)
        self._codes[:, : prompt.shape[1]] = prompt
        self._known = self._prompt_frames
        self._pushed = 0
        self._audio: list[npt.NDArray[np.float32]] = []
        # Where audio is decoded depends on the frame alone, never on when it came: the same seed, the same samples.
        self._borders = _borders(
            self._prompt_frames, self._total, frame_rate_hz, lag_frames=decoder.lag_frames
        )
        self._window = 0
        self._decoding: Decoding | None = self._begin(self._windows[0])

    @property
    def fraction(self) -> float:
        """How much of what is to be decoded has been, 0 to 1."""
        return (self._known - self._prompt_frames) / (self._total - self._prompt_frames)

    @property
    def finished(self) -> bool:
        """Whether all audio is there."""
        return self._pushed == self._total

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """(K, frames) all codes, prompt included; whole once finished."""
        return self._codes

    def audio(self) -> npt.NDArray[np.float32]:
        """Return what was decoded so far, prompt included, (channels, samples)."""
        # Kept joined, lest minutes of audio be there twice while they are finished.
        self._audio = [np.concatenate(self._audio, axis=1)]
        return self._audio[0]

    def advance(self) -> npt.NDArray[np.float32] | None:
        """Take in the frames that have come; return newly decoded audio (channels, samples), or `None`.

        Raises:
            EngineError: the decoder failed.
        """
        decoding = self._decoding
        if decoding is not None:
            window = self._windows[self._window]
            # Asked before the frames are counted: the batch goes on meanwhile, and none may come in between unseen.
            finished = decoding.finished
            done = window.start + decoding.frames_done
            if done > self._known:
                self._codes[:, self._known : done] = decoding.frames(
                    self._known - window.start, done - window.start
                )
                self._known = done
            if finished:
                self._window += 1
                more = self._window < len(self._windows)
                self._decoding = self._begin(self._windows[self._window]) if more else None
        return self._decode()

    def wait(self, timeout_s: float) -> None:
        """Sleep until the batch has made a step."""
        if self._decoding is not None:
            window = self._windows[self._window]
            self._decoding.wait(self._known + 1 - window.start, timeout_s)

    def cancel(self) -> None:
        """Leave the batch."""
        if self._decoding is not None:
            self._decoding.cancel()
            self._decoding = None

    def _begin(self, window: Window) -> Decoding:
        conditions, weights = self._conditioned(window)
        books = self._codes.shape[0]
        number = self._windows.index(window)
        return self._batcher.submit(
            TakeInput(
                conditions=conditions,
                weights=weights,
                sampling=self._sampling,
                frames=window.frames,
                prompt=self._codes[:, window.start : window.start + window.known].copy(),
                uniforms=uniforms(
                    self._seed, steps(window.frames, self._batcher.delays), books, window=number
                ),
            ),
            self._owner,
        )

    def _decode(self) -> npt.NDArray[np.float32] | None:
        if self.finished or self._borders[0] > self._known:
            return None
        border = self._borders.pop(0)
        parts = [self._decoder.push(self._codes[:, self._pushed : border])]
        self._pushed = border
        if border == self._total:
            parts.append(self._decoder.finish())
        audio = np.concatenate(parts, axis=1)
        self._audio.append(audio)
        return audio


def _borders(prompt: int, total: int, frame_rate_hz: float, *, lag_frames: int) -> list[int]:
    """Return up to which frames audio is decoded at a time, the last one `total`."""
    second = round(_FIRST_S * frame_rate_hz) + lag_frames
    parts = [prompt + second * part // _FIRST_PARTS for part in range(1, _FIRST_PARTS)]
    seconds = range(prompt + second, total, round(_CHUNK_S * frame_rate_hz))
    return [*(border for border in (*parts, *seconds) if border < total), total]
