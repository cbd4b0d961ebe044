"""Whether a take makes sense to this model, before anything is done for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.decoder.torch.state import CONDITIONS
from dgx_music.engines.musicgen.delay import steps
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.base import TakeInput

__all__ = ["check"]


def check(take: TakeInput, architecture: LmArchitecture) -> int:
    """Return the length of the take's prefix, in positions.

    Raises:
        EngineError: the take contradicts itself or the model.
    """
    if not 1 <= len(take.conditions) <= CONDITIONS or len(take.weights) != len(take.conditions):
        raise EngineError(
            f"a take has 1 to {CONDITIONS} conditions and a weight for each; "
            f"these are {len(take.conditions)} and {len(take.weights)}"
        )
    prefixes = {0 if one.prefix is None else one.prefix.shape[0] for one in take.conditions}
    if len(prefixes) != 1:
        raise EngineError(f"the prefixes of a take are equally long; these are {sorted(prefixes)} positions")
    if architecture.text_fuse != "cross" and any(one.cross is not None for one in take.conditions):
        raise EngineError("this model takes its text as a prefix; it has no cross-attention")
    needed = (steps(take.frames, architecture.delays), architecture.codebooks)
    if take.uniforms.shape[0] < needed[0] or take.uniforms.shape[1:] != needed[1:]:
        raise EngineError(f"the take's uniforms are {take.uniforms.shape}; its frames need {needed}")
    if take.prompt.shape[0] != architecture.codebooks or take.prompt.shape[1] >= take.frames:
        raise EngineError(
            f"the prompt is {take.prompt.shape}; it has {architecture.codebooks} codebooks "
            f"and fewer than the window's {take.frames} frames"
        )
    return prefixes.pop()
