"""What a precision costs: its logits against those of fp32, after the same text and the same frames."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.benchmark.steps import opened, take_input
from dgx_music.engines.musicgen.choice import choose, free_bytes
from dgx_music.engines.musicgen.decoder.agreement import compare_logits
from dgx_music.engines.musicgen.footprint import room_for

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.benchmark.task import Task
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["measure"]

_CONTEXTS = 24
_FRAMES = 24


def measure(task: Task) -> dict[str, Any]:
    """Return `kl` (nats), `top1`, `top10`, `cosine`, `max_abs`; see `agreement`."""
    reference = _logits(replace(task.settings, precision="fp32"))
    return asdict(compare_logits(reference, _logits(task.settings)))


def _logits(settings: MusicGenSettings) -> npt.NDArray[np.float32]:
    """Return the guided logits (contexts, K, C) after random frames."""
    parts = opened(settings)
    choice = choose(settings)
    decoder = parts.decoder(room_for(parts.architecture, choice.precision, 1, free_bytes(choice.device)))
    logits = []
    try:
        for number in range(_CONTEXTS):
            known = _FRAMES + number
            take = take_input(parts.architecture, known, known + 8, number)
            handle = decoder.admit(take)
            while handle not in decoder.step():
                pass
            logits.append(decoder.logits(handle).copy())
            decoder.release(handle)
    finally:
        decoder.close()
    return np.stack(logits)
