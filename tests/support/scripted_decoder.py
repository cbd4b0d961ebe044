"""A decoder without a model, for tests of who is decoded when: a take's tokens are its uniforms, scaled."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np

from dgx_music.engines.musicgen.decoder.base import Condition, Sampling, TakeInput
from dgx_music.engines.musicgen.delay import first_step, interleave, steps
from dgx_music.engines.musicgen.sampling import uniforms

DELAYS = (0, 1, 2, 3)
CARD = 64


def take(seed, frames, *, prompt_frames=0, rows=2):
    prompt = np.random.default_rng(seed).integers(0, CARD, (len(DELAYS), prompt_frames))
    return TakeInput(
        conditions=(Condition(),) * rows,
        weights=(1.0 / rows,) * rows,
        sampling=Sampling(),
        frames=frames,
        prompt=prompt,
        uniforms=uniforms(seed, steps(frames, DELAYS), len(DELAYS)),
    )


def expected(take):
    """The codes that the decoder makes of a take."""
    codes = np.stack([(take.uniforms[d : d + take.frames, k] * CARD) for k, d in enumerate(DELAYS)])
    codes = codes.astype(np.int64)
    codes[:, : take.prompt.shape[1]] = take.prompt
    return codes


class ScriptedDecoder:
    """Needs a byte a row and position; `gate` holds a step back until it is set."""

    architecture = SimpleNamespace(delays=DELAYS, card=CARD)
    device = "cpu"
    precision = "fp32"

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[set[int]] = []
        self.admitted: list[TakeInput] = []
        self.fail: BaseException | None = None
        self.closed = False
        self._takes: dict[int, TakeInput] = {}
        self._at: dict[int, int] = {}

    def bytes_needed(self, rows, positions):
        return rows * positions

    def admit(self, take):
        handle = len(self.admitted)
        self.admitted.append(take)
        self._takes[handle] = take
        self._at[handle] = first_step(take.prompt.shape[1], DELAYS)
        return handle

    def step(self):
        assert self.gate.wait(10)
        if self.fail is not None:
            raise self.fail
        self.batches.append(set(self._takes))
        out = {}
        for handle, take in self._takes.items():
            laid = interleave(take.prompt, take.frames, DELAYS, CARD)[self._at[handle]]
            drawn = (take.uniforms[self._at[handle]] * CARD).astype(np.int64)
            out[handle] = np.where(laid == -1, drawn, laid)
            self._at[handle] += 1
        return out

    def finished(self, handle):
        return self._at[handle] >= steps(self._takes[handle].frames, DELAYS)

    def release(self, handle):
        del self._takes[handle]

    def close(self):
        self.closed = True
