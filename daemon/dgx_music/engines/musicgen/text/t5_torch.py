"""T5's encoder in PyTorch, float32, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from dgx_music.engines.musicgen.gpu_turns import working
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

__all__ = ["TorchT5"]


class TorchT5:
    """Token numbers in, hidden states (S, dim) out. See `encoder.HiddenStates`."""

    def __init__(
        self, architecture: TextArchitecture, weights: Mapping[str, npt.NDArray[Any]], device: str
    ) -> None:
        self._arch = architecture
        self._device = torch.device(device)
        self._embedding = weights[EMBEDDING]  # stays where it is: a prompt reads a few rows of it
        names = [FINAL_NORM, RELATIVE_BIAS]
        for layer in range(architecture.layers):
            for name in vars(LayerNames.of(architecture, layer)).values():
                names += [name] if isinstance(name, str) else name
        with working(self._device):
            self._weights = {
                name: torch.from_numpy(np.array(weights[name], np.float32)).to(self._device) for name in names
            }

    def __call__(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the last layer's output, normed."""
        with working(self._device), torch.inference_mode():
            return self._read(tokens)

    def _read(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        arch = self._arch
        embedded = np.asarray(self._embedding[np.asarray(tokens)], np.float32)
        hidden = torch.from_numpy(embedded).to(self._device)
        buckets = torch.from_numpy(position_buckets(arch, len(tokens))).to(self._device)
        bias = self._weights[RELATIVE_BIAS][buckets].permute(2, 0, 1)
        for layer in range(arch.layers):
            names = LayerNames.of(arch, layer)
            hidden = hidden + self._attention(names, self._norm(names.attention_norm, hidden), bias)
            hidden = hidden + self._feed_forward(names, self._norm(names.feed_norm, hidden))
        return self._norm(FINAL_NORM, hidden).cpu().numpy().copy()

    def _norm(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(hidden, hidden.shape[-1:], self._weights[name], self._arch.norm_eps)

    def _attention(self, names: LayerNames, hidden: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        def heads(name: str) -> torch.Tensor:
            projected = functional.linear(hidden, self._weights[name])
            return projected.view(len(hidden), self._arch.heads, self._arch.head_dim).transpose(0, 1)

        # T5 does not divide by the root of the head's width: its initialisation takes care of that.
        scores = heads(names.query) @ heads(names.key).transpose(1, 2) + bias
        mixed = scores.softmax(dim=-1) @ heads(names.value)
        return functional.linear(mixed.transpose(0, 1).flatten(1), self._weights[names.attention_out])

    def _feed_forward(self, names: LayerNames, hidden: torch.Tensor) -> torch.Tensor:
        inner = [functional.linear(hidden, self._weights[name]) for name in names.feed_in]
        active = (
            functional.gelu(inner[0], approximate="tanh") * inner[1]
            if self._arch.gated_gelu
            else inner[0].relu()
        )
        return functional.linear(active, self._weights[names.feed_out])
