"""What the rows of a take are conditioned on, and with which weights their logits are added.

Three rows can make up a take: the whole request; its audio without its text; neither. Where something is left out,
a model with cross-attention attends to nothing, and in a model whose conditions stand before the tokens, what is left
out is replaced by what stood there in training: zero vectors for text and style, the chroma of silence for a melody.

Shapes: S text positions, P audio positions, d the model's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dgx_music.engines.musicgen.conditioning import chroma
from dgx_music.engines.musicgen.decoder.base import Condition

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["AudioPrefix", "Guidance", "conditions", "melody_prefix", "style_prefix"]


@dataclass(frozen=True)
class AudioPrefix:
    """What audio puts before the text of a melody or style model."""

    given: npt.NDArray[np.float32] | None
    """(P, d); `None` where the request has no audio."""
    null: npt.NDArray[np.float32]
    """What stands there instead; of the same length where there is audio."""


class Guidance(NamedTuple):
    """One take's rows and the weights of their logits (`TakeInput.conditions`, `TakeInput.weights`)."""

    conditions: tuple[Condition, ...]
    weights: tuple[float, ...]


def melody_prefix(
    architecture: LmArchitecture,
    lm: Mapping[str, npt.NDArray[np.floating]],
    melody: npt.NDArray[np.float32] | None,
) -> AudioPrefix:
    """Project a melody's chroma, and that of silence, for a model with `chroma`.

    Args:
        architecture: of the language model.
        lm: its weights, by their canonical names.
        melody: (T, bins), as `chroma.extract` gives it; fitted to the length of training. `None` for no melody.
    """
    if architecture.chroma is None:
        raise ValueError("this model follows no melody")
    weight, bias = lm["chroma_proj.weight"], lm["chroma_proj.bias"]
    given = None
    if melody is not None:
        given = chroma.project(chroma.fit(melody, architecture.chroma.frames), weight, bias)
    return AudioPrefix(given, chroma.project(chroma.null(architecture.chroma), weight, bias))


def style_prefix(architecture: LmArchitecture, style: npt.NDArray[np.float32] | None) -> AudioPrefix:
    """Put an encoded style (P, d), or none, before the text of a model with `style`.

    Without a style there is one zero vector, with which such a model was trained to be text alone.
    """
    length = 1 if style is None else len(style)
    return AudioPrefix(style, np.zeros((length, architecture.dim), np.float32))


def conditions(
    architecture: LmArchitecture,
    text: npt.NDArray[np.float32] | None,
    audio: AudioPrefix | None = None,
    *,
    cfg_coef: float,
    cfg_coef_beta: float | None = None,
) -> Guidance:
    """Lay out the rows of a take. Rows without weight are left out: with `cfg_coef` 1 there is one.

    Args:
        architecture: of the language model.
        text: (S, d) projected, without padding; `None` where there is no prompt, which leaves a take without audio
            unguided.
        audio: for a melody or style model, always, even where the request has no audio; `None` for all others.
        cfg_coef: classifier-free guidance (Ho & Salimans 2022); 1 means unguided.
        cfg_coef_beta: by how much text counts more than audio, where both are given ("double guidance", Rouard et al.
            2024, section 4.3); 1 or `None` for plain guidance.
    """
    has_audio = audio is not None and audio.given is not None
    if (architecture.chroma is not None or architecture.style is not None) != (audio is not None):
        raise ValueError("an audio prefix goes with melody and style models, and with them always")
    none = _row(architecture, text, audio, with_text=False, with_audio=False)
    if text is None and not has_audio:
        return Guidance((none,), (1.0,))
    whole = _row(architecture, text, audio, with_text=True, with_audio=True)
    rows = [(whole, cfg_coef), (none, 1 - cfg_coef)]
    if cfg_coef_beta is not None and text is not None and has_audio:
        audio_alone = _row(architecture, text, audio, with_text=False, with_audio=True)
        rows[:1] = [(whole, cfg_coef * cfg_coef_beta), (audio_alone, cfg_coef * (1 - cfg_coef_beta))]
    kept = [(row, weight) for row, weight in rows if weight]
    return Guidance(tuple(row for row, _ in kept), tuple(weight for _, weight in kept))


def _row(
    architecture: LmArchitecture,
    text: npt.NDArray[np.float32] | None,
    audio: AudioPrefix | None,
    *,
    with_text: bool,
    with_audio: bool,
) -> Condition:
    before = None
    if audio is not None:
        before = audio.given if with_audio and audio.given is not None else audio.null
    words = text if with_text else None
    if architecture.text_fuse == "cross":
        if words is None and architecture.has_bias:
            # One zero vector stands for any number: all give the same value, which is the projections' bias.
            words = np.zeros((1, architecture.dim), np.float32)
        return Condition(cross=words, prefix=before)
    if words is None:
        words = np.zeros((1 if text is None else len(text), architecture.dim), np.float32)
    # The audio stands in front of the text, which is nearest to the tokens.
    return Condition(prefix=words if before is None else np.concatenate([before, words]))
