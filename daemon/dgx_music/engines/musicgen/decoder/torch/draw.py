"""Drawing tokens on the device, all takes at once, by the rule of `musicgen.sampling.draw`."""

from __future__ import annotations

import torch

__all__ = ["draw"]


def draw(
    logits: torch.Tensor,
    temperature: torch.Tensor,
    top_k: torch.Tensor,
    top_p: torch.Tensor,
    uniform: torch.Tensor,
) -> torch.Tensor:
    """Draw one token a codebook for each of T takes by inverse transform.

    No shape depends on a value and nothing is read back, so that it can be captured in a graph; numbers go in as
    arguments of kernels (`masked_fill`), never as tensors that would have to be copied to the device.

    Args:
        logits: (T, K, C) float32.
        temperature: (T,) float64; 0 takes the likeliest.
        top_k: (T,) int64; 0 for all.
        top_p: (T,) float64; 0 for off, otherwise `top_k` has no say.
        uniform: (T, K) float32 in [0, 1).

    Returns:
        (T, K) int64.
    """
    card = logits.shape[-1]
    temperature, top_k, top_p = (value[:, None, None] for value in (temperature, top_k, top_p))  # (T, 1, 1)
    # Stable: equal logits stay in the order of their tokens.
    ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)
    scaled = ordered.double() / temperature.masked_fill(temperature <= 0, 1.0)
    keep = top_k.clamp(max=card).masked_fill((top_k <= 0) | (top_p > 0), card)
    ranks = torch.arange(card, device=logits.device)
    weights = torch.exp(scaled - scaled[..., :1]).masked_fill(ranks >= keep, 0.0)  # (T, K, C)
    mass = weights.cumsum(dim=-1)
    # How many are below is where a sorted search would land.
    nucleus = (mass <= top_p * mass[..., -1:]).sum(dim=-1, keepdim=True)  # (T, K, 1): its last rank
    last = torch.where(top_p > 0, nucleus, keep - 1).clamp(max=card - 1)
    total = mass.gather(-1, last)
    rank = (mass <= uniform[..., None].double() * total).sum(dim=-1, keepdim=True)
    rank = torch.minimum(rank, last).masked_fill(temperature <= 0, 0)
    return order.gather(-1, rank).squeeze(-1)
