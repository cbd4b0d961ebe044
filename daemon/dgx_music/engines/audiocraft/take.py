"""One take by audiocraft: seed, sampling, length, what to go on from, progress. Imports torch."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dgx_music.engines.audiocraft.model import at_work
from dgx_music.engines.base import EngineInfo, RawAudio
from dgx_music.engines.musicgen.conditioning.excerpt import read_excerpt
from dgx_music.engines.musicgen.description import describe
from dgx_music.engines.musicgen.loop import OVERLAP_S, close_loop
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.engines.audiocraft.model import Model
    from dgx_music.engines.base import Control, TakeSpec
    from dgx_music.request import AudioExcerpt

__all__ = ["make"]

_STRIDE = Fraction(18, 30)
"""By how much of its window audiocraft advances in takes that are longer than that (its own default)."""


def make(model: Model, take: TakeSpec, roots: Sequence[Path], control: Control) -> RawAudio:
    """Make one take.

    Args:
        model: to make it with.
        take: what to make.
        roots: the folders that audio may be read from.
        control: hears of every decode step.

    Raises:
        EngineError: the model cannot do what is asked.
        RequestError: the audio to go on from may not be read, or is none.
    """
    request, musicgen = take.request, model.musicgen
    if request.continue_from is not None and request.melody is not None:
        raise EngineError("audiocraft cannot both continue audio and follow a melody; leave one out")
    if request.melody is not None and not model.hears_melodies:
        raise EngineError(
            f"{model.weights.name} cannot follow a melody; take musicgen-melody or leave melody out"
        )
    control.progress(take.index, 0.0, "encoding_prompt")
    hop = round(musicgen.sample_rate / musicgen.frame_rate)
    prompt = melody = None
    prompt_frames = 0
    if request.continue_from is not None:
        prompt, prompt_frames = _prompt(musicgen, request.continue_from, roots, hop)
    if request.melody is not None:
        heard = read_excerpt(request.melody, roots)
        melody = torch.from_numpy(heard.samples), heard.sample_rate_hz
    length_s = request.length_exact_s + (Fraction(OVERLAP_S).limit_denominator() if request.loop else 0)
    frames = math.ceil(length_s * musicgen.sample_rate / hop)
    musicgen.set_generation_params(
        use_sampling=True,
        top_k=request.top_k,
        top_p=request.top_p,
        temperature=request.temperature,
        # audiocraft rounds down to frames: half a frame more keeps floating point from losing one.
        duration=(prompt_frames + frames + 0.5) / musicgen.frame_rate,
        cfg_coef=request.cfg_coef,
        extend_stride=float(_STRIDE * Fraction(musicgen.max_duration).limit_denominator()),
    )
    count = _Steps(frames, control, take.index)
    musicgen.set_custom_progress_callback(count)
    text = describe(request)
    # "Sets the seed for generating random numbers on all devices" (torch.manual_seed): CUDA's as well.
    torch.manual_seed(take.seed)
    with at_work():
        if prompt is not None:
            made = musicgen.generate_continuation(prompt, musicgen.sample_rate, [text], progress=True)
        elif melody is not None:
            made = musicgen.generate_with_chroma([text], melody[0][None], melody[1], progress=True)
        else:
            made = musicgen.generate([text], progress=True)
    audio = np.ascontiguousarray(made[0, :, prompt_frames * hop :].float().cpu().numpy(), np.float32)
    if request.loop:
        audio = close_loop(audio, math.floor(request.length_exact_s * musicgen.sample_rate + Fraction(1, 2)))
    return RawAudio(
        audio=audio,
        sample_rate_hz=musicgen.sample_rate,
        info=_info(model),
        notes=f"audiocraft, {model.precision} on {model.device_name}"
        + ("" if text == request.prompt else f"; text: {text}"),
    )


def _prompt(
    musicgen: Any, excerpt: AudioExcerpt, roots: Sequence[Path], hop: int
) -> tuple[torch.Tensor, int]:
    """Return the end of an excerpt as `(1, channels, samples)` at the model's rate, whole frames, and their number."""
    from audiocraft.data.audio_utils import convert_audio  # noqa: PLC0415 - must be imported among the stand-ins

    heard = read_excerpt(excerpt, roots)
    audio = convert_audio(
        torch.from_numpy(heard.samples)[None],
        heard.sample_rate_hz,
        musicgen.sample_rate,
        musicgen.audio_channels,
    )
    # As much as a window of a long take knows of the one before it.
    window = math.floor(musicgen.max_duration * musicgen.frame_rate)
    frames = min(audio.shape[-1] // hop, math.floor(window * (1 - _STRIDE)))
    if frames == 0:
        raise EngineError(
            f"continue_from: {excerpt.path!r} gives {audio.shape[-1] / musicgen.sample_rate:.3f} s to go on from; some "
            "seconds are wanted"
        )
    return audio[..., audio.shape[-1] - frames * hop :], frames


class _Steps:
    """What audiocraft calls after each decode step: says how far the take is; a cancelled job's error passes through."""

    def __init__(self, frames: int, control: Control, take_index: int) -> None:
        self._frames = frames
        self._control = control
        self._take_index = take_index
        self._done = 0

    def __call__(self, *_: int) -> None:
        # audiocraft's own numbers start anew in each window of a long take. There are a few steps more than frames.
        self._done += 1
        self._control.progress(self._take_index, min(0.99, self._done / self._frames), "generating")


def _info(model: Model) -> EngineInfo:
    import audiocraft  # noqa: PLC0415

    return EngineInfo(
        "audiocraft",
        f"{audiocraft.__version__}, torch {torch.__version__}",
        neural=True,
        model=model.weights.name,
        model_hash=model.weights_sha256,
        device=model.device_name,
        precision=model.precision,
        licence=model.weights.licence,
    )
