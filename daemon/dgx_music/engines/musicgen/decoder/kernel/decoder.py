"""The decoder: rows of several takes in one batch, advanced together by one call into C a step."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.musicgen import delay
from dgx_music.engines.musicgen.decoder.base import OutOfRoomError
from dgx_music.engines.musicgen.decoder.kernel.binding import BOOKS, LANE, Kernel
from dgx_music.engines.musicgen.decoder.kernel.check import MOST_TEXT, check
from dgx_music.engines.musicgen.decoder.kernel.rows import RowMemory, row_bytes
from dgx_music.engines.musicgen.sampling import draw
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.base import Condition, Sampling, TakeInput

__all__ = ["KernelDecoder"]

_TEXT_POSITIONS = 64
"""What `bytes_needed` counts for a row's text."""


@dataclass
class _Take:
    """One take and how far it is."""

    given: TakeInput
    laid: npt.NDArray[np.int64]
    """(steps, K)"""
    step: int
    prefix: int
    caches: list[RowMemory] = field(default_factory=list)
    texts: list[RowMemory | None] = field(default_factory=list)
    first_row: int = 0
    logits: npt.NDArray[np.float32] | None = None
    """(K, C) of its last step."""

    @property
    def running(self) -> bool:
        """Whether it has steps to come."""
        return self.step < len(self.laid)


class KernelDecoder:
    """A `Decoder` on the CPU: 8-bit weights and activations, keys and values in fp16, all else fp32.

    Args:
        prepared: the folder of weights that `prepare` made.
        architecture: their numbers.
        library: the compiled `decoder.c` that `build_kernel` made.
        max_rows: how many rows may be decoded together.
        max_positions: how long a row may be, prefix and all steps.
        threads: 0 for one a core that this process may use.

    Raises:
        EngineError: the files cannot be read, or there is no memory.
    """

    device = "cpu"
    precision = "int8"

    def __init__(
        self,
        prepared: Path,
        architecture: LmArchitecture,
        *,
        library: Path,
        max_rows: int,
        max_positions: int,
        threads: int = 0,
    ) -> None:
        if architecture.codebooks > BOOKS:
            raise EngineError(
                f"the compiled decoder has room for {BOOKS} codebooks, not {architecture.codebooks}"
            )
        self.architecture = architecture
        self.max_rows = max_rows
        self.max_positions = max_positions
        self._kernel = Kernel(
            library,
            prepared,
            architecture,
            positions=_sinusoids(max_positions, architecture.dim),
            longest=max(max_positions, MOST_TEXT),
            threads=threads or len(os.sched_getaffinity(0)),
        )
        self._lanes = np.zeros(max_rows, LANE)
        self._logits = np.zeros((max_rows, architecture.codebooks, architecture.card), np.float32)
        self._takes: dict[int, _Take] = {}
        self._rows = 0
        self._handles = count()

    def bytes_needed(self, rows: int, positions: int) -> int:
        """Return what the rows' keys and values take once they are full, text of common length included."""
        a = self.architecture
        text = row_bytes(a, _TEXT_POSITIONS) if a.text_fuse == "cross" else 0
        each = row_bytes(a, positions) + text + 4 * a.codebooks * a.card
        return rows * each + 4 * self.max_positions * a.dim

    def admit(self, take: TakeInput) -> int:
        """Put a take into the batch, prefix and prompt already read; see `Decoder.admit`.

        Raises:
            OutOfRoomError: too few rows are free.
            EngineError: the take is longer than any that this decoder has room for, or its arrays do not fit the model.
        """
        a = self.architecture
        check(take, a)
        prefix = 0 if take.conditions[0].prefix is None else len(take.conditions[0].prefix)
        positions = prefix + delay.steps(take.frames, a.delays)
        if positions > self.max_positions:
            raise EngineError(
                f"a take of {take.frames} frames after a prefix of {prefix} needs {positions} positions; "
                f"this decoder has room for {self.max_positions}"
            )
        rows = len(take.conditions)
        if self._rows + rows > self.max_rows:
            raise OutOfRoomError(f"{rows} rows do not fit beside {self._rows} of {self.max_rows}")
        laid = delay.interleave(take.prompt, take.frames, a.delays, a.card)
        state = _Take(take, laid, delay.first_step(take.prompt.shape[1], a.delays), prefix)
        try:
            for condition in take.conditions:
                state.caches.append(RowMemory(a, positions))
                state.texts.append(self._text(condition))
                self._read(state, condition)
        except BaseException:
            _free(state)
            raise
        handle = next(self._handles)
        self._takes[handle] = state
        self._arrange()
        return handle

    def step(self) -> Mapping[int, npt.NDArray[np.int64]]:
        """Advance every take by one step; see `Decoder.step`."""
        running = {handle: take for handle, take in self._takes.items() if take.running}
        if not running:
            return {}
        a = self.architecture
        lanes = self._lanes[: self._rows]
        for take in running.values():
            own = slice(take.first_row, take.first_row + len(take.caches))
            lanes["position"][own] = take.prefix + take.step
            lanes["tokens"][own, : a.codebooks] = take.laid[take.step - 1] if take.step else a.card
        self._kernel.step(lanes, self._logits)
        tokens = self._sample(running)
        for take in running.values():
            take.step += 1
        if not all(take.running for take in running.values()):
            self._arrange()
        return tokens

    def logits(self, handle: int) -> npt.NDArray[np.float32]:
        """Return (K, C), what the take's last tokens were drawn from: the weighted sum of its rows."""
        logits = self._takes[handle].logits
        if logits is None:
            raise EngineError("the take has had no step yet")
        return logits

    def finished(self, handle: int) -> bool:
        """Whether the take has had its last step."""
        return not self._takes[handle].running

    def release(self, handle: int) -> None:
        """Take a take out of the batch, finished or not."""
        _free(self._takes.pop(handle))
        self._arrange()

    def close(self) -> None:
        """Give the memory back."""
        self._kernel.close()
        for take in self._takes.values():
            _free(take)
        self._takes.clear()

    def _arrange(self) -> None:
        """Give every running take its rows. What a row holds stays where it is, and no row sees the others."""
        self._rows = 0
        for take in self._takes.values():
            if not take.running:
                continue
            take.first_row = self._rows
            for condition in range(len(take.caches)):
                _place(self._lanes[self._rows : self._rows + 1], take, condition, self._rows)
                self._rows += 1

    def _text(self, condition: Condition) -> RowMemory | None:
        """Compute a text's keys and values, once for all steps."""
        a = self.architecture
        if a.text_fuse != "cross":
            return None
        vectors = _cross(condition, a)
        if vectors is None:
            return None
        memory = RowMemory(a, len(vectors))
        lanes = np.zeros(len(vectors), LANE)
        lanes["cache"], lanes["capacity"] = memory.address, memory.capacity
        lanes["position"] = np.arange(len(vectors))
        lanes["vector"] = _addresses(vectors)
        self._kernel.text(lanes)
        return memory

    def _read(self, take: _Take, condition: Condition) -> None:
        """Read a row's prefix and the steps that its prompt knows."""
        a = self.architecture
        count = take.prefix + take.step
        if not count:
            return
        lanes = np.zeros(count, LANE)
        _place(lanes, take, len(take.caches) - 1, -1)
        lanes["position"] = np.arange(count)
        prefix = None
        if condition.prefix is not None:
            prefix = np.ascontiguousarray(condition.prefix, np.float32)
            lanes["vector"][: take.prefix] = _addresses(prefix)
        lanes["tokens"][take.prefix :, : a.codebooks] = np.concatenate(
            [np.full((1, a.codebooks), a.card, np.int64), take.laid[: max(take.step - 1, 0)]]
        )[: take.step]
        self._kernel.step(lanes, self._logits)

    def _sample(self, running: Mapping[int, _Take]) -> dict[int, npt.NDArray[np.int64]]:
        alike: dict[Sampling, list[_Take]] = {}
        for take in running.values():
            alike.setdefault(take.given.sampling, []).append(take)
        for sampling, takes in alike.items():
            for take in takes:
                take.logits = self._mixed(take)
            logits = np.concatenate([take.logits for take in takes if take.logits is not None])
            uniforms = np.concatenate([take.given.uniforms[take.step] for take in takes])
            for take, drawn in zip(
                takes, draw(logits, sampling, uniforms).reshape(len(takes), -1), strict=True
            ):
                now = take.laid[take.step]
                np.copyto(now, drawn, where=now < 0)
        return {handle: take.laid[take.step].copy() for handle, take in running.items()}

    def _mixed(self, take: _Take) -> npt.NDArray[np.float32]:
        """Return (K, C), the weighted sum of the take's rows."""
        weights = take.given.weights
        mixed: npt.NDArray[np.float32] = self._logits[take.first_row] * np.float32(weights[0])
        for row, weight in enumerate(weights[1:], take.first_row + 1):
            mixed += self._logits[row] * np.float32(weight)
        return mixed


def _place(lane: npt.NDArray[np.void], take: _Take, condition: int, wanted: int) -> None:
    """Point lanes at a row of a take."""
    cache, text = take.caches[condition], take.texts[condition]
    lane["cache"], lane["capacity"], lane["wanted"] = cache.address, cache.capacity, wanted
    lane["vector"] = lane["cross"] = 0
    if text is not None:
        lane["cross"], lane["cross_capacity"], lane["cross_length"] = (
            text.address,
            text.capacity,
            text.positions,
        )


def _cross(condition: Condition, a: LmArchitecture) -> npt.NDArray[np.float32] | None:
    """Return (S, d) to attend to; with biases, attention to nothing is attention to zeros, and adds something."""
    if condition.cross is not None and len(condition.cross):
        return np.ascontiguousarray(condition.cross, np.float32)
    return np.zeros((1, a.dim), np.float32) if a.has_bias else None


def _addresses(lines: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Where each line of a contiguous array begins."""
    starts: npt.NDArray[np.uint64] = np.arange(len(lines), dtype=np.uint64) * np.uint64(lines.strides[0])
    return starts + np.uint64(lines.ctypes.data)


def _free(take: _Take) -> None:
    for memory in (*take.caches, *take.texts):
        if memory is not None:
            memory.close()
    take.caches, take.texts = [], []


def _sinusoids(positions: int, dim: int) -> npt.NDArray[np.float32]:
    """Return (positions, d): cosines, then sines, both ends of the range of periods reached, in fp32 as in training."""
    half = dim // 2
    exponent = np.arange(half, dtype=np.float32) / np.float32(half - 1)
    phase = np.arange(positions, dtype=np.float32)[:, None] / np.float32(10000) ** exponent
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
