"""From a prompt to what the language model attends to: tokens, T5, projection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

__all__ = ["HiddenStates", "TextEncoder"]


class HiddenStates(Protocol):
    """A T5 encoder."""

    def __call__(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the hidden states (S, text dim) of S tokens."""


class TextEncoder:
    """Encodes prompts for one language model. Not thread-safe."""

    def __init__(
        self,
        tokenize: Callable[[str], list[int]],
        hidden_states: HiddenStates,
        lm: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        """Take the tokenizer, T5, and the language model's `text_proj.weight` (d, text dim) and `.bias` (d,)."""
        self._tokenize = tokenize
        self._hidden_states: HiddenStates | None = hidden_states
        self._weight = np.array(lm["text_proj.weight"], np.float32)
        self._bias = np.array(lm["text_proj.bias"], np.float32)

    def encode(self, prompt: str) -> npt.NDArray[np.float32]:
        """Return the projected hidden states (S, d) of the prompt's tokens, the one for the end last.

        Nothing is done to the prompt before. Of an empty one nothing is left but zeros, which is how the language model
        was trained to do without a prompt.

        Raises:
            EngineError: the encoder has been closed.
        """
        if self._hidden_states is None:
            raise EngineError("the text encoder has been closed; load it again")
        if not prompt:
            return np.zeros((1, len(self._bias)), np.float32)
        return self._hidden_states(self._tokenize(prompt)) @ self._weight.T + self._bias

    def close(self) -> None:
        """Give the memory back."""
        self._hidden_states = None
