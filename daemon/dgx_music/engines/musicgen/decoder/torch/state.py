"""The small tensors that a step reads and writes, all of them where they were from the first step to the last.

One line a take in those of `Takes`; T takes, R rows, K codebooks, S steps. The last line of each belongs to nobody:
rows that only fill a bucket read it and stay at step 0 for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dgx_music.engines.musicgen.delay import first_step, interleave, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.base import TakeInput

__all__ = ["CONDITIONS", "Rows", "Takes"]

CONDITIONS = 3
"""The most conditions of a take."""


class Takes:
    """What a step has to know of each take."""

    def __init__(
        self, takes: int, max_steps: int, architecture: LmArchitecture, device: torch.device
    ) -> None:
        self._architecture = architecture
        books, lines = architecture.codebooks, takes + 1

        def zeros(*shape: int, dtype: torch.dtype) -> torch.Tensor:
            return torch.zeros(lines, *shape, device=device, dtype=dtype)

        self.step = zeros(dtype=torch.int64)
        """(T,) the step to come."""
        self.steps = zeros(dtype=torch.int64)
        """(T,) how many there are."""
        self.start = zeros(dtype=torch.int64)
        """(T,) the position of step 0, after the prefix."""
        self.tokens = zeros(books, dtype=torch.int64)
        """(T, K) what the step to come reads, and the step before it has drawn."""
        self.laid = zeros(max_steps, books, dtype=torch.int64)
        """(T, S, K) as `delay.interleave` lays them out: known tokens, −1 where one is to be drawn."""
        self.uniforms = zeros(max_steps, books, dtype=torch.float32)
        """(T, S, K)"""
        self.weights = zeros(CONDITIONS, dtype=torch.float32)
        """(T, 3) of the conditions' logits, 0 where there is none."""
        self.temperature = zeros(dtype=torch.float64)
        self.top_k = zeros(dtype=torch.int64)
        self.top_p = zeros(dtype=torch.float64)
        self.logits = zeros(books, architecture.card, dtype=torch.float32)
        """(T, K, C) after guidance, of the step before."""

    @property
    def counters(self) -> tuple[torch.Tensor, ...]:
        """Those that a step advances."""
        return self.step, self.tokens

    @property
    def nbytes(self) -> int:
        """What they take, in bytes."""
        return sum(tensor.nbytes for tensor in self._all())

    def put(self, line: int, take: TakeInput, prefix: int) -> torch.Tensor:
        """Write a take into its line.

        Returns:
            (first step + 1, K): what the model reads up to and with the first step that draws.
        """
        delays, card = self._architecture.delays, self._architecture.card
        laid = torch.from_numpy(interleave(take.prompt, take.frames, delays, card))
        first, count = first_step(take.prompt.shape[1], delays), steps(take.frames, delays)
        read = torch.cat([torch.full((1, laid.shape[1]), card), laid[:first]])
        self.step[line] = first
        self.steps[line] = count
        self.start[line] = prefix
        self.tokens[line] = read[-1].to(self.tokens.device)
        self.laid[line, :count] = laid.to(self.laid.device)
        self.uniforms[line, :count] = torch.tensor(take.uniforms[:count], device=self.uniforms.device)
        self.weights[line] = 0.0
        self.weights[line, : len(take.weights)] = torch.tensor(take.weights, device=self.weights.device)
        self.temperature[line] = take.sampling.temperature
        self.top_k[line] = take.sampling.top_k
        self.top_p[line] = take.sampling.top_p
        return read

    def move(self, source: int, target: int) -> None:
        """Copy a take's line over another."""
        for tensor in self._all():
            tensor[target].copy_(tensor[source])

    def _all(self) -> tuple[torch.Tensor, ...]:
        return (
            *self.counters,
            *(self.steps, self.start, self.laid, self.uniforms, self.weights),
            *(self.temperature, self.top_k, self.top_p, self.logits),
        )


class Rows:
    """Which row belongs to which take, for the step to look up."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self.take = torch.full((rows,), rows, device=device, dtype=torch.int64)
        """(R,) the take's line; the last where the row is nobody's."""
        self.of_take = torch.zeros(rows, CONDITIONS, device=device, dtype=torch.int64)
        """(T, 3) rows of the take's conditions."""
        self.with_text = torch.zeros(rows, device=device, dtype=torch.int64)
        """(R,) the row that each row of the cache's text belongs to."""

    @property
    def nbytes(self) -> int:
        """What they take, in bytes."""
        return self.take.nbytes + self.of_take.nbytes + self.with_text.nbytes

    def publish(self, rows_of_takes: Sequence[Sequence[int]], rows_with_text: Sequence[int]) -> None:
        """Write down who has which rows now."""
        rows = self.take.shape[0]
        take = [rows] * rows
        of_take = [[0] * CONDITIONS for _ in range(rows)]
        for line, own in enumerate(rows_of_takes):
            # A condition that is not there has weight 0 and reads a row that is.
            of_take[line] = [*own, *[own[0]] * (CONDITIONS - len(own))]
            for row in own:
                take[row] = line
        self.take.copy_(torch.tensor(take))
        self.of_take.copy_(torch.tensor(of_take))
        self.with_text.copy_(torch.tensor([*rows_with_text, *[0] * (rows - len(rows_with_text))]))
