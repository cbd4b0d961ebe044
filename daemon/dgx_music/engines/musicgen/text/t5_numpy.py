"""T5's encoder in numpy, float32: a prompt has some tens of tokens, so it is a short read over the weights.

Weights are asked for layer by layer and let go of, so that no more than one layer of them is in memory at a time where
the mapping behind them gives files.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.text.t5 import (
    EMBEDDING,
    FINAL_NORM,
    RELATIVE_BIAS,
    LayerNames,
    position_buckets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import TextArchitecture

    _Floats = npt.NDArray[np.float32]

__all__ = ["NumpyT5"]


class NumpyT5:
    """Token numbers in, hidden states (S, dim) out. See `encoder.HiddenStates`."""

    def __init__(self, architecture: TextArchitecture, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._arch = architecture
        self._weights = weights

    def __call__(self, tokens: Sequence[int]) -> _Floats:
        """Return the last layer's output, normed."""
        arch = self._arch
        hidden = self._weights[EMBEDDING][np.asarray(tokens)].astype(np.float32)
        bias = self._get(RELATIVE_BIAS)[position_buckets(arch, len(tokens))].transpose(2, 0, 1)
        for layer in range(arch.layers):
            names = LayerNames.of(arch, layer)
            hidden = hidden + self._attention(names, self._norm(names.attention_norm, hidden), bias)
            hidden = hidden + self._feed_forward(names, self._norm(names.feed_norm, hidden))
        return self._norm(FINAL_NORM, hidden)

    def _get(self, name: str) -> _Floats:
        return np.asarray(self._weights[name], np.float32)

    def _norm(self, name: str, hidden: _Floats) -> _Floats:
        """Scale to a mean square of 1, then by the weight; no mean is taken off, no bias added."""
        mean_square = np.square(hidden).mean(axis=-1, keepdims=True)
        normed: _Floats = self._get(name) * (hidden / np.sqrt(mean_square + np.float32(self._arch.norm_eps)))
        return normed

    def _attention(self, names: LayerNames, hidden: _Floats, bias: _Floats) -> _Floats:
        def heads(name: str) -> _Floats:
            projected: _Floats = hidden @ self._get(name).T
            return projected.reshape(len(hidden), self._arch.heads, self._arch.head_dim).transpose(1, 0, 2)

        # T5 does not divide by the root of the head's width: its initialisation takes care of that.
        scores = heads(names.query) @ heads(names.key).transpose(0, 2, 1) + bias
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ heads(names.value)).transpose(1, 0, 2).reshape(len(hidden), -1)
        made: _Floats = mixed @ self._get(names.attention_out).T
        return made

    def _feed_forward(self, names: LayerNames, hidden: _Floats) -> _Floats:
        inner = [hidden @ self._get(name).T for name in names.feed_in]
        active = _gelu(inner[0]) * inner[1] if self._arch.gated_gelu else np.maximum(inner[0], 0)
        made: _Floats = active @ self._get(names.feed_out).T
        return made


def _gelu(x: _Floats) -> _Floats:
    """GELU (Hendrycks & Gimpel 2016) in its approximation by tanh, which is the one that T5 was trained with."""
    inner = np.tanh(np.float32(sqrt(2 / pi)) * (x + np.float32(0.044715) * x**3))
    made: _Floats = np.float32(0.5) * x * (1 + inner)
    return made
