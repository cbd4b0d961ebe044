"""Decode steps of our own decoders: at the beginning of takes, or with so many frames decoded before."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.checkpoint import Missing, ModelError, locate
from dgx_music.engines.musicgen.checkpoint.hashes import weights_sha256
from dgx_music.engines.musicgen.choice import choose, free_bytes
from dgx_music.engines.musicgen.decoder.base import Condition, Sampling, TakeInput
from dgx_music.engines.musicgen.delay import steps as steps_of
from dgx_music.engines.musicgen.footprint import cache_bytes, parameters_read, room_for, weight_bytes
from dgx_music.engines.musicgen.loading import open_parts
from dgx_music.engines.musicgen.sampling import uniforms

if TYPE_CHECKING:
    from dgx_music.benchmark.task import Task
    from dgx_music.engines.musicgen.architecture import ModelArchitecture
    from dgx_music.engines.musicgen.checkpoint import ModelFiles
    from dgx_music.engines.musicgen.loading import Parts
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["files_of", "measure", "opened", "take_input"]

_WARM_UP = 5
_TEXT_TOKENS = 16


def measure(task: Task) -> dict[str, Any]:
    """Return `load_s`, `ms` (the median step), `steps_s`, `audio_s_s`, and `read_gb`, what a step must read at least."""
    settings = task.settings
    began_s = time.perf_counter()
    parts = opened(settings)
    choice = choose(settings)
    architecture = parts.architecture
    room = room_for(architecture, choice.precision, task.batch, free_bytes(choice.device))
    decoder = parts.decoder(room)
    load_s = time.perf_counter() - began_s
    frames = min(architecture.window_frames, task.at_frame + _WARM_UP + task.steps + 8)
    try:
        for number in range(task.batch):
            decoder.admit(take_input(architecture, task.at_frame, frames, number))
        times_s = []
        for _ in range(_WARM_UP + task.steps):
            began_s = time.perf_counter()
            decoder.step()
            times_s.append(time.perf_counter() - began_s)
    finally:
        decoder.close()
    median_s = statistics.median(times_s[_WARM_UP:])
    lm = architecture.lm
    rows = 2 * task.batch
    read = parameters_read(lm) * weight_bytes(choice.precision) + cache_bytes(
        lm, choice.precision, rows, task.at_frame + task.steps // 2
    )
    return {
        "load_s": load_s,
        "ms": median_s * 1000,
        "steps_s": 1 / median_s,
        "audio_s_s": task.batch / median_s / architecture.codec.frame_rate_hz,
        "read_gb": read / 1e9,
    }


def take_input(architecture: ModelArchitecture, known: int, frames: int, seed: int) -> TakeInput:
    """Return a guided take whose text and first frames are random."""
    lm = architecture.lm
    random = np.random.default_rng(seed)
    text = random.standard_normal((_TEXT_TOKENS, lm.dim)).astype(np.float32)
    if lm.text_fuse == "cross":
        conditions = (Condition(cross=text), Condition())
    else:
        conditions = (Condition(prefix=text), Condition(prefix=np.zeros_like(text)))
    return TakeInput(
        conditions=conditions,
        weights=(3.0, -2.0),
        sampling=Sampling(),
        frames=frames,
        prompt=random.integers(0, lm.card, (lm.codebooks, known)),
        uniforms=uniforms(seed, steps_of(frames, lm.delays), lm.codebooks),
    )


def opened(settings: MusicGenSettings) -> Parts:
    """Return the parts of the model that the settings name, for the device and precision that they choose."""
    files = files_of(settings)
    sha256 = weights_sha256(files.weights, settings.cache_dir)
    return open_parts(files, sha256, choose(settings), settings, lambda _share: None)


def files_of(settings: MusicGenSettings) -> ModelFiles:
    """Return the model's files; nothing is downloaded for a benchmark.

    Raises:
        ModelError: they are not here.
    """
    found = locate(settings.model, settings)
    if isinstance(found, Missing):
        raise ModelError(found.reason)
    return found
