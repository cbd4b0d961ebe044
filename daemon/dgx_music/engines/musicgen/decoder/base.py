"""What a decoder is: it advances several takes together, one frame a step, each as if it were alone.

Shapes: K codebooks, C tokens a codebook (`card`), d the model's width, P positions. Tokens are int64, all else float32.
A take occupies one or more rows of the batch, one for each of its conditions; its next tokens are sampled from the
weighted sum of its rows' logits, which is classifier-free guidance in all its forms (Ho & Salimans 2022):

    unguided             weights (1,)             the conditional row alone
    guided               weights (c, 1 − c)       conditional, unconditional
    doubly guided        weights (c·b, c·(1 − b), 1 − c)   text and style, style alone, unconditional
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["Condition", "Decoder", "OutOfRoomError", "Sampling", "TakeInput"]


class OutOfRoomError(Exception):
    """Raised by `Decoder.admit` when the take's rows or positions do not fit now; they may after another has left."""


@dataclass(frozen=True)
class Condition:
    """What one row is conditioned on; both `None` is the unconditional row of a model with cross-attention."""

    cross: npt.NDArray[np.float32] | None = None
    """(S, d): projected text to attend to, no padding in it. `None`: cross-attention adds nothing."""
    prefix: npt.NDArray[np.float32] | None = None
    """(P, d): what stands before the tokens, before positions are added. Equally long in all rows of a take."""


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn from the logits."""

    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_k: int = 250
    """0 means all."""
    top_p: float = 0.0
    """0 means off; otherwise it goes before `top_k`, as in audiocraft."""


@dataclass(frozen=True)
class TakeInput:
    """One take's window of frames to decode."""

    conditions: tuple[Condition, ...]
    weights: tuple[float, ...]
    """One a condition; see the module's text."""
    sampling: Sampling
    frames: int
    """Length of the window, prompt included."""
    prompt: npt.NDArray[np.int64]
    """(K, frames given), the frames to continue from; (K, 0) to begin from nothing."""
    uniforms: npt.NDArray[np.float32]
    """(frames + max delay, K) in [0, 1): the random number of each token at each step. A take's own, so that it draws
    the same whoever is decoded beside it, and on whatever device. Row s belongs to step s (`delay.steps`)."""


class Decoder(Protocol):
    """A language model with its weights on a device. Not thread-safe; the batcher owns it."""

    architecture: LmArchitecture
    device: str
    """`cpu`, `cuda:0`, …"""
    precision: str
    """`fp32`, `bf16`, `fp16`, `int8`."""

    def bytes_needed(self, rows: int, positions: int) -> int:
        """Return the memory that so many rows of so many positions take on the device, cache and buffers, in bytes."""

    def admit(self, take: TakeInput) -> int:
        """Put a take into the batch, its prefix and prompt already read; return its handle.

        Raises:
            OutOfRoomError: it does not fit beside those that are there.
        """

    def step(self) -> Mapping[int, npt.NDArray[np.int64]]:
        """Advance every take by one step; return the (K,) tokens of each by handle, as `delay` interleaves them.

        Where the delay pattern has no token for a codebook at this step, it is `card`; where the prompt has one, it
        is the prompt's.
        """

    def logits(self, handle: int) -> npt.NDArray[np.float32]:
        """Return the weighted sum (K, C) that the take's last tokens were drawn from."""

    def finished(self, handle: int) -> bool:
        """Whether the take has had its last step."""

    def release(self, handle: int) -> None:
        """Take a take out of the batch, finished or not."""

    def close(self) -> None:
        """Give the memory back."""
