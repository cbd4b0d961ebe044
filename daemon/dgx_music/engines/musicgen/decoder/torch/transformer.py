"""The transformer itself: pre-norm layers over a cache of keys and values that stays in place (Copet et al. 2023).

B rows of the pass, T positions each, d the model's width, H heads of width D, K codebooks of C tokens. The residual
stream and the norms are fp32 in every precision; what is narrower are the linear layers, the cache and attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere

from dgx_music.engines.musicgen.decoder.torch.cache import POSITION_BUCKET, round_up

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.torch.cache import Cache
    from dgx_music.engines.musicgen.decoder.torch.weights import Layer, Linear, Norm, Weights

__all__ = ["Text", "Transformer", "linear_by_row", "sinusoids"]


@dataclass(frozen=True)
class Text:
    """Which rows of a pass attend to text, and where theirs is in the cache."""

    rows: torch.Tensor
    """(N,) int64: numbers of rows within the pass."""
    texts: slice
    """N rows of the cache's text."""


def sinusoids(positions: int, dim: int, device: torch.device) -> torch.Tensor:
    """Return (positions, dim): cosines in the first half, sines in the second, with periods from 2π to 10000 · 2π.

    Both ends of that range are reached (the exponent runs to 1), unlike in Vaswani et al. 2017, and `dim` is even.
    """
    exponent = torch.arange(dim // 2, dtype=torch.float32) / (dim // 2 - 1)
    phase = torch.arange(positions, dtype=torch.float32)[:, None] / torch.tensor(10000.0) ** exponent
    return torch.cat([phase.cos(), phase.sin()], dim=-1).to(device)


def linear_by_row(x: torch.Tensor, layer: Linear) -> torch.Tensor:
    """Multiply (B, 1, in) by a layer, row by row: a row's result is then the same to the bit in any company.

    A product of a matrix and a vector at a time, over blocks of the weights that stay in the processor's cache from
    row to row: for few rows that is also faster than a product of two matrices as the CPU libraries make it.
    """
    out = x.new_empty(x.shape[0], layer.weight.shape[0])
    rows = x[:, 0].unbind(0)
    parts = [torch.split(row, layer.blocks[0].shape[0]) for row in out.unbind(0)]
    for number, block in enumerate(layer.blocks):
        for row, part in zip(rows, parts, strict=True):
            torch.mv(block, row, out=part[number])
    if layer.bias is not None:
        out += layer.bias
    return out[:, None]


class Transformer:
    """Weights and cache, and the passes over them."""

    def __init__(
        self,
        architecture: LmArchitecture,
        weights: Weights,
        cache: Cache,
        max_positions: int,
        dtype: torch.dtype,
    ) -> None:
        device = weights.embedding.device
        self._architecture = architecture
        self._weights = weights
        self._cache = cache
        self._dtype = dtype
        self._by_row = device.type == "cpu" and dtype == torch.float32
        self._sinusoids = sinusoids(max_positions, architecture.dim, device)
        # The tables of the codebooks stand one below the other.
        self._table_starts = torch.arange(architecture.codebooks, device=device) * (
            architecture.card + 1
        )  # (K,)
        self._span = torch.arange(round_up(max_positions, POSITION_BUCKET), device=device)

    @property
    def nbytes(self) -> int:
        """What its own tables take beside weights and cache, in bytes."""
        return self._sinusoids.nbytes + self._table_starts.nbytes + self._span.nbytes

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, K) tokens to (B, T, d), without positions."""
        return F.embedding(tokens + self._table_starts, self._weights.embedding).sum(dim=2)

    def advance(
        self, x: torch.Tensor, positions: torch.Tensor, rows: slice, span: int, text: Text | None
    ) -> torch.Tensor:
        """Read T positions of each row into the cache.

        Args:
            x: (B, T, d) fp32, without positions.
            positions: (B, T) int64, below `span`.
            rows: B rows of the cache.
            span: how many positions of the cache are looked at; those after a token's own are masked.
            text: which rows attend to text; None where the model has no cross-attention, or no row of these text.

        Returns:
            (B, T, d) fp32, before the last norm.
        """
        x = x + self._sinusoids[positions]
        mask = self._mask(self._span[:span] <= positions[..., None])  # (B, 1, T, span)
        index = torch.arange(x.shape[0], device=x.device)[:, None]  # (B, 1)
        masks = None if text is None else self._text_masks(text)
        for number, layer in enumerate(self._weights.layers):
            # Query, key, value of each new position: (B, T, 3, H, D).
            packed = self._linear(self._norm(x, layer.norm1), layer.query_key_value)
            query, key, value = packed.view(*packed.shape[:2], 3, self._architecture.heads, -1).unbind(2)
            keys, values = self._cache.keys[number][rows], self._cache.values[number][rows]
            keys[index, :, positions] = key  # (B, H, P, D) at (B, 1), (B, T)
            values[index, :, positions] = value
            heard = self._attend(query, keys[:, :, :span], values[:, :, :span], mask)
            x = x + self._linear(heard, layer.out)
            if text is not None and masks is not None:
                x = self._read_text(x, number, layer, text, *masks)
            inner = F.gelu(self._linear(self._norm(x, layer.norm2), layer.widen))  # (B, T, ffn_dim)
            x = x + self._linear(inner, layer.narrow)
        return x

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, d) to (B, K, C) fp32."""
        flat = self._linear(self._norm(x, self._weights.out_norm), self._weights.heads)  # (B, 1, K·C)
        return flat.view(x.shape[0], self._architecture.codebooks, self._architecture.card).float()

    def put_text(self, text: torch.Tensor, row: int) -> None:
        """Fill a row of the cache's text with the keys and values of (S, d) text, which are the same at every step."""
        length = text.shape[0]
        self._cache.cross_mask[row, :length] = True
        for number, layer in enumerate(self._weights.layers):
            assert layer.cross is not None
            packed = self._linear(text[None].to(self._dtype), layer.cross.key_value, whole=True)  # (1, S, 2d)
            # (2, H, S, D)
            key, value = packed.view(length, 2, self._architecture.heads, -1).permute(1, 2, 0, 3)
            self._cache.cross_keys[number][row, :, :length] = key
            self._cache.cross_values[number][row, :, :length] = value

    def _read_text(
        self,
        x: torch.Tensor,
        number: int,
        layer: Layer,
        text: Text,
        mask: torch.Tensor,
        textless: torch.Tensor,
    ) -> torch.Tensor:
        assert layer.cross is not None
        chosen = x.index_select(0, text.rows)  # (N, T, d)
        packed = self._linear(self._norm(chosen, layer.cross.norm), layer.cross.query)
        query = packed.view(*packed.shape[:2], self._architecture.heads, -1)  # (N, T, H, D)
        keys = self._cache.cross_keys[number][text.texts]  # (N, H, S, D)
        values = self._cache.cross_values[number][text.texts]
        heard = self._linear(self._attend(query, keys, values, mask), layer.cross.out)
        return x.index_add(0, text.rows, heard.masked_fill(textless, 0.0).float())

    def _text_masks(self, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is added to scores, (N, 1, 1, S), and which rows only fill a bucket, (N, 1, 1).

        Those have no text, so that their softmax is 0/0.
        """
        there = self._cache.cross_mask[text.texts]  # (N, S)
        return self._mask(there[:, None]), ~there.any(dim=1)[:, None, None]

    def _attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """(B, T, H, D) queries over (B, H, P, D) to (B, T, d); the softmax is in fp32 in every backend of SDPA."""
        heard = F.scaled_dot_product_attention(query.transpose(1, 2), keys, values, attn_mask=mask)
        return heard.transpose(1, 2).flatten(2)

    def _mask(self, visible: torch.Tensor) -> torch.Tensor:
        """Turn (B, T, P) booleans into what is added to scores, (B, 1, T, P), once for all layers."""
        mask = torch.zeros(visible.shape, device=visible.device, dtype=self._dtype)
        return mask.masked_fill(~visible, float("-inf"))[:, None]

    def _norm(self, x: torch.Tensor, norm: Norm) -> torch.Tensor:
        shape = (self._architecture.dim,)
        return F.layer_norm(x, shape, norm.weight, norm.bias, self._architecture.norm_eps).to(self._dtype)

    def _linear(self, x: torch.Tensor, layer: Linear, *, whole: bool = False) -> torch.Tensor:
        """(B, T, in) to (B, T, out)."""
        if self._by_row and x.shape[1] == 1 and not whole:
            return linear_by_row(x, layer)
        return F.linear(x, layer.weight, layer.bias)
