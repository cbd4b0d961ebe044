"""What a job gives the model to hear, once for all its takes: the words, the audio to go on from, the melody."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.musicgen.conditioning.excerpt import convert, read_excerpt
from dgx_music.engines.musicgen.conditioning.window import STRIDE_S, Window, plan
from dgx_music.engines.musicgen.description import describe
from dgx_music.engines.musicgen.loop import OVERLAP_S
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.decoder.base import Condition
    from dgx_music.engines.musicgen.model import Model
    from dgx_music.request import GenerationRequest

__all__ = ["Heard", "hear"]

_EDGE_FRAMES = 4
"""The codec hears a few frames ahead, and after an excerpt's end there is only silence to hear: its last frames would
fade towards that, and so would the music. They are decoded anew instead."""


@dataclass(frozen=True)
class Heard:
    """Everything that the takes of a job have in common."""

    windows: tuple[Window, ...]
    prompt: npt.NDArray[np.int64]
    """(K, frames) codes to go on from."""
    skip_samples: int
    """How much of the decoded audio is what was there before, at the codec's rate."""
    conditioned: Callable[[Window], tuple[tuple[Condition, ...], tuple[float, ...]]]
    notes: tuple[str, ...]


def hear(model: Model, request: GenerationRequest, roots: Sequence[Path]) -> Heard:
    """Encode what a request says and names.

    Args:
        model: the model that will make it.
        request: of the job.
        roots: the folders that audio may be read from.

    Raises:
        EngineError: the model has no ears for a melody.
        RequestError: an excerpt may not be read, or is no audio.
    """
    architecture = model.architecture
    codec = architecture.codec
    prompt, before = _prompt(model, request, roots)
    made_s = request.length_exact_s + (Fraction(OVERLAP_S).limit_denominator() if request.loop else 0)
    new_frames = math.ceil(made_s * codec.sample_rate_hz / codec.hop_samples)
    windows = plan(
        before + new_frames,
        window=architecture.window_frames,
        stride=round(STRIDE_S / 30 * architecture.window_frames),
        prompt=prompt.shape[1],
    )
    text = describe(request)
    conditioned, notes = model.conditioning(text, request, roots, long=len(windows) > 1)
    return Heard(
        windows,
        prompt,
        before * codec.hop_samples,
        conditioned,
        notes if text == request.prompt else (f"text: {text}", *notes),
    )


def _prompt(
    model: Model, request: GenerationRequest, roots: Sequence[Path]
) -> tuple[npt.NDArray[np.int64], int]:
    """Return the codes (K, frames) to go on from, and how many frames of audio lie before the take."""
    architecture = model.architecture
    codec = architecture.codec
    if request.continue_from is None:
        return np.zeros((architecture.lm.codebooks, 0), np.int64), 0
    audio = convert(
        read_excerpt(request.continue_from, roots), to_hz=codec.sample_rate_hz, channels=codec.channels
    )
    # As much as a window of a long take knows of the one before; whole frames, counted back from the excerpt's end,
    # so that the new audio starts on the very next sample.
    context = architecture.window_frames - round(STRIDE_S / 30 * architecture.window_frames)
    frames = min(audio.shape[1] // codec.hop_samples, context)
    if frames <= _EDGE_FRAMES:
        raise EngineError(
            f"continue_from: {request.continue_from.path!r} gives {audio.shape[1] / codec.sample_rate_hz:.2f} s to go on "
            f"from; at least {(_EDGE_FRAMES + 1) / codec.frame_rate_hz:.1f} s are needed, some seconds are better"
        )
    codes = model.encode(np.ascontiguousarray(audio[:, audio.shape[1] - frames * codec.hop_samples :]))
    return codes[:, : frames - _EDGE_FRAMES], frames
