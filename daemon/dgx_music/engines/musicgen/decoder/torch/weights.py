"""The language model's weights as torch tensors, laid out as the steps read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from dgx_music.engines.musicgen.gpu_turns import working
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["Cross", "Layer", "Linear", "Norm", "Weights", "load"]

_BLOCK_VALUES = 512 * 1024
"""Weights a block: 2 MB in fp32, which stays in a processor's cache while every row of the batch is multiplied by it."""


@dataclass(frozen=True)
class Linear:
    """A linear layer."""

    weight: torch.Tensor
    """(out, in)"""
    bias: torch.Tensor | None
    """(out,)"""
    blocks: tuple[torch.Tensor, ...]
    """The same weight in views of some of its rows each; see `transformer.linear_by_row`."""


@dataclass(frozen=True)
class Norm:
    """A layer norm, always in fp32."""

    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class Cross:
    """One layer's attention to the text."""

    norm: Norm
    query: Linear
    """(d, d)"""
    key_value: Linear
    """(2d, d)"""
    out: Linear
    """(d, d)"""


@dataclass(frozen=True)
class Layer:
    """One layer of the transformer."""

    norm1: Norm
    query_key_value: Linear
    """(3d, d)"""
    out: Linear
    """(d, d)"""
    cross: Cross | None
    norm2: Norm
    widen: Linear
    """(ffn_dim, d)"""
    narrow: Linear
    """(d, ffn_dim)"""


@dataclass(frozen=True)
class Weights:
    """The whole model."""

    embedding: torch.Tensor
    """(K·(C + 1), d) fp32, the codebooks' tables one below the other."""
    layers: tuple[Layer, ...]
    out_norm: Norm
    heads: Linear
    """(K·C, d), the codebooks' heads one below the other."""


def load(
    lm: Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.float16]],
    architecture: LmArchitecture,
    device: torch.device,
    dtype: torch.dtype,
) -> Weights:
    """Put the weights on a device: linear layers in `dtype`, norms and embeddings in fp32.

    Args:
        lm: arrays by their canonical names, see `architecture`.
        architecture: its numbers; every weight must fit them.
        device: where to.
        dtype: of the linear layers.

    Raises:
        EngineError: a weight is missing or has another shape.
    """
    dim, books, card = architecture.dim, architecture.codebooks, architecture.card

    def tensor(name: str, shape: tuple[int, ...], to: torch.dtype) -> torch.Tensor:
        try:
            array = np.array(lm[name])  # a copy: what is mapped into memory read-only stays as it is
        except KeyError as err:
            raise EngineError(
                f"the checkpoint has no weight {name!r}, which its configuration implies"
            ) from err
        if array.shape != shape:
            raise EngineError(f"the weight {name!r} is {array.shape}; its configuration implies {shape}")
        with working(device):
            return torch.from_numpy(array).to(device, to)

    def linear(names: list[str], out: int, into: int, part: slice = slice(None)) -> Linear:
        parts = [tensor(f"{name}.weight", (out, into), dtype)[part] for name in names]
        with working(device):
            weight = torch.cat(parts)
        biases = [f"{name}.bias" for name in names]
        bias = None
        if biases[0] in lm:
            parts = [tensor(name, (out,), dtype)[part] for name in biases]
            with working(device):
                bias = torch.cat(parts)
        return Linear(weight, bias, torch.split(weight, max(1, _BLOCK_VALUES // into)))

    def norm(name: str) -> Norm:
        return Norm(*(tensor(f"{name}.{part}", (dim,), torch.float32) for part in ("weight", "bias")))

    def cross(name: str) -> Cross:
        projection = [f"{name}.cross_attn.in_proj"]
        return Cross(
            norm=norm(f"{name}.norm_cross"),
            query=linear(projection, 3 * dim, dim, slice(dim)),
            key_value=linear(projection, 3 * dim, dim, slice(dim, None)),
            out=linear([f"{name}.cross_attn.out_proj"], dim, dim),
        )

    def layer(name: str) -> Layer:
        return Layer(
            norm1=norm(f"{name}.norm1"),
            query_key_value=linear([f"{name}.self_attn.in_proj"], 3 * dim, dim),
            out=linear([f"{name}.self_attn.out_proj"], dim, dim),
            cross=cross(name) if architecture.text_fuse == "cross" else None,
            norm2=norm(f"{name}.norm2"),
            widen=linear([f"{name}.linear1"], architecture.ffn_dim, dim),
            narrow=linear([f"{name}.linear2"], dim, architecture.ffn_dim),
        )

    tables = [tensor(f"emb.{book}.weight", (card + 1, dim), torch.float32) for book in range(books)]
    with working(device):
        embedding = torch.cat(tables)
    return Weights(
        embedding=embedding,
        layers=tuple(layer(f"layers.{number}") for number in range(architecture.layers)),
        out_norm=norm("out_norm"),
        heads=linear([f"linears.{book}" for book in range(books)], card, dim),
    )
