"""Whether a take fits a model: what C reads by address has to be what it takes it for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.engines.musicgen import delay
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.base import TakeInput

__all__ = ["MOST_TEXT", "check"]

MOST_TEXT = 1024
"""Positions of text that can be attended to."""


def check(take: TakeInput, a: LmArchitecture) -> None:
    """Raise `EngineError` where an array of the take has another shape or other numbers than the model reads."""
    if not take.conditions or len(take.weights) != len(take.conditions):
        raise EngineError(
            f"a take has a weight for each of its {len(take.conditions)} conditions, not {take.weights}"
        )
    prefixes = [(0, a.dim) if one.prefix is None else one.prefix.shape for one in take.conditions]
    if any(shape != (prefixes[0][0], a.dim) for shape in prefixes):
        raise EngineError(f"the prefixes of a take are all (P, {a.dim}); these are {prefixes}")
    for condition in take.conditions:
        if condition.cross is None:
            continue
        if a.text_fuse != "cross":
            raise EngineError("this model takes its text as a prefix; it has no cross-attention")
        shape = condition.cross.shape
        if len(shape) != 2 or shape[0] > MOST_TEXT or shape[1] != a.dim:
            raise EngineError(f"text is (S, {a.dim}) with S up to {MOST_TEXT}; this is {shape}")
    if take.prompt.ndim != 2 or len(take.prompt) != a.codebooks or take.prompt.shape[1] > take.frames:
        raise EngineError(
            f"the prompt is {take.prompt.shape}; it is to be ({a.codebooks}, up to {take.frames})"
        )
    if take.prompt.size and not 0 <= take.prompt.min() <= take.prompt.max() <= a.card:
        raise EngineError(f"the prompt holds tokens beyond 0 to {a.card}")
    wanted = (delay.steps(take.frames, a.delays), a.codebooks)
    if take.uniforms.shape[0] < wanted[0] or take.uniforms.shape[1:] != wanted[1:]:
        raise EngineError(f"the take's uniforms are {take.uniforms.shape}; its frames need {wanted}")
