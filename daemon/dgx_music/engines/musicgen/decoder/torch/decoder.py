"""MusicGen's language model in PyTorch: fp32, bf16 and fp16, on a CPU or as CUDA graphs on a GPU."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import torch

from dgx_music.engines.musicgen.decoder.base import OutOfRoomError
from dgx_music.engines.musicgen.decoder.torch.admission import check
from dgx_music.engines.musicgen.decoder.torch.batch import Batch
from dgx_music.engines.musicgen.decoder.torch.cache import (
    POSITION_BUCKET,
    TEXT_BUCKET,
    Cache,
    cache_bytes,
    round_up,
)
from dgx_music.engines.musicgen.decoder.torch.draw import draw
from dgx_music.engines.musicgen.decoder.torch.state import CONDITIONS, Rows, Takes
from dgx_music.engines.musicgen.decoder.torch.stepper import Stepper
from dgx_music.engines.musicgen.decoder.torch.transformer import Text, Transformer
from dgx_music.engines.musicgen.decoder.torch.weights import load
from dgx_music.engines.musicgen.delay import first_step, steps
from dgx_music.engines.musicgen.gpu_turns import working
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.base import TakeInput
    from dgx_music.engines.musicgen.decoder.torch.batch import Entry

__all__ = ["PRECISIONS", "TorchDecoder"]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_PREFILL_POSITIONS = 128
"""Positions read at a time when a take is admitted: bounds what attention holds."""
_SPAN_BUCKET = 64
"""By how many positions a CPU looks further into the cache."""


@dataclass(frozen=True)
class _Shape:
    """All that a step's shapes hang on; one graph each on a GPU."""

    rows: int
    takes: int
    texts: int
    """Rows with text."""
    span: int
    """Positions of the cache that are looked at."""


@dataclass
class _Pending:
    """A step whose tokens are on their way."""

    lines: dict[int, int]
    """Line by handle."""
    tokens: torch.Tensor
    """(T, K) in the host's memory."""
    ready: torch.cuda.Event | None


class TorchDecoder:
    """A `Decoder`. Keeps one CPU thread and, on a GPU, the current stream busy.

    On a GPU a step is queued before the tokens of the one before are handed out, so that the device never waits for
    Python; a take admitted meanwhile has its first token at the call after the next.

    Args:
        lm: weights by their canonical names (see `architecture`), copied to the device.
        architecture: their numbers.
        device: `cpu`, `cuda:0`, …
        precision: `fp32` computes as audiocraft does on a CPU; `bf16` and `fp16` keep the residual stream in fp32.
        max_rows: the most rows (conditions of takes) at once.
        max_positions: the most positions of a row: prefix, frames and the largest delay.
        threads: for the whole process, as torch has it; 0 leaves them as they are.
        fixed: whether all tensors have their full size from the start, shapes are few, and one step is queued ahead,
            as CUDA graphs want it. Always so on a GPU; a CPU only has it for tests, where it does nothing better.

    Raises:
        EngineError: weights that don't fit the architecture, or a precision that there is not.
    """

    def __init__(
        self,
        lm: Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.float16]],
        architecture: LmArchitecture,
        *,
        device: str,
        precision: str,
        max_rows: int,
        max_positions: int,
        threads: int = 0,
        fixed: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise EngineError(f"precision {precision!r}: the torch decoder has {', '.join(PRECISIONS)}")
        if threads:
            torch.set_num_threads(threads)
        self.architecture = architecture
        self.device = device
        self.precision = precision
        self._dtype = PRECISIONS[precision]
        self._on = torch.device(device)
        self._max_rows = max_rows
        self._max_positions = max_positions
        self._on_gpu = self._on.type == "cuda"
        if self._on_gpu:
            # torch 2.9 prefers cuDNN's attention on Hopper and Blackwell B200, and the cuDNN that came with it is wrong where
            # keys are not a multiple of 128 (pytorch/pytorch#169849), as text is not; the other kernels read a mask too.
            torch.backends.cuda.enable_cudnn_sdp(False)
        self._fixed = fixed or self._on_gpu
        self._steps_ahead = int(self._fixed)
        """How many steps are queued beyond the one whose tokens are handed out."""
        self._batch = Batch()
        self._pending: deque[_Pending] = deque()
        self._handles = count()
        weights = load(lm, architecture, self._on, self._dtype)
        with working(self._on):
            self._cache = Cache(architecture, self._on, self._dtype)
            self._takes = Takes(max_rows, max_positions, architecture, self._on)
            self._rows = Rows(max_rows, self._on)
            self._model = Transformer(architecture, weights, self._cache, max_positions, self._dtype)
            self._stepper = Stepper(self._step, self._takes.counters, self._on)
            self._outputs = [self._output() for _ in range(self._steps_ahead + 1)]
            if self._fixed:  # a graph holds addresses, so all has its full size before the first
                self._cache.grow(max_rows, round_up(max_positions, POSITION_BUCKET), TEXT_BUCKET)

    def bytes_needed(self, rows: int, positions: int) -> int:
        """See `Decoder`. Text beyond 64 positions is in it once it has come.

        On a GPU all is held from the start, and text beyond 64 is not counted: the cache never shrinks, so that one long
        text would close the batch to every later take. Whether there is memory for it, `admit` finds out.
        """
        text = max(TEXT_BUCKET, self._cache.text)
        if self._fixed:
            rows, positions, text = self._max_rows, self._max_positions, TEXT_BUCKET
        cache = cache_bytes(self.architecture, self._dtype, rows, round_up(positions, POSITION_BUCKET), text)
        outputs = sum(output.nbytes for output in self._outputs)
        return cache + self._takes.nbytes + self._rows.nbytes + self._model.nbytes + outputs

    def admit(self, take: TakeInput) -> int:
        """See `Decoder`.

        Raises:
            EngineError: more conditions than three, or not one weight each; prefixes of different lengths.
        """
        prefix = check(take, self.architecture)
        delays, rows = self.architecture.delays, len(take.conditions)
        count, first = steps(take.frames, delays), first_step(take.prompt.shape[1], delays)
        free = self._max_rows - self._batch.rows
        if rows > free or prefix + count > self._max_positions:
            raise OutOfRoomError(
                f"the take needs {rows} rows of {prefix + count} positions; of {self._max_rows} rows of "
                f"{self._max_positions} positions {free} are free"
            )
        with working(self._on):
            return self._join(take, prefix, count, first)

    def _join(self, take: TakeInput, prefix: int, count: int, first: int) -> int:
        rows = len(take.conditions)
        texts = self._texts(take)
        longest = max((text.shape[0] for _, text in texts), default=0)
        self._make_room(self._batch.rows + rows, prefix + first + 1, longest)
        with_text = [condition for condition, _ in texts]
        entry = self._batch.join(next(self._handles), rows, with_text, prefix, count, first)
        try:
            for row, (_, text) in zip(entry.texts, texts, strict=True):
                self._model.put_text(text, row)
            read = self._takes.put(self._batch.line(entry.handle), take, prefix)
            self._publish()
            self._prefill(entry, take, read[:-1])
        except torch.OutOfMemoryError as err:
            self.release(entry.handle)
            raise OutOfRoomError("the device's memory is full") from err
        return entry.handle

    def step(self) -> Mapping[int, npt.NDArray[np.int64]]:
        """See `Decoder`."""
        tokens: dict[int, npt.NDArray[np.int64]] = {}
        while not tokens:
            while len(self._pending) <= self._steps_ahead and not all(
                entry.last_queued for entry in self._batch
            ):
                self._queue()
            if not self._pending:
                break
            pending = self._pending.popleft()
            if pending.ready is not None:
                pending.ready.synchronize()
            for entry in self._batch:
                if entry.handle in pending.lines:
                    tokens[entry.handle] = pending.tokens[pending.lines[entry.handle]].numpy().copy()
                    entry.returned += 1
        return tokens

    def finished(self, handle: int) -> bool:
        """See `Decoder`."""
        entry = self._batch[handle]
        return entry.returned >= entry.steps

    def release(self, handle: int) -> None:
        """See `Decoder`. The last rows move into those that become free."""
        moves = self._batch.leave(handle)
        with working(self._on):
            for source, target in moves.lines:
                self._takes.move(source, target)
            for source, target, positions in moves.rows:
                self._cache.move_row(source, target, positions)
            for source, target in moves.texts:
                self._cache.move_text(source, target)
            self._publish()

    def logits(self, handle: int) -> npt.NDArray[np.float32]:
        """Return (K, C), after guidance, of the take's last step that was queued; waits for it."""
        logits: npt.NDArray[np.float32] = self._takes.logits[self._batch.line(handle)].cpu().numpy().copy()
        return logits

    def close(self) -> None:
        """See `Decoder`."""
        self._pending.clear()
        self._batch = Batch()
        for held in ("_model", "_cache", "_takes", "_rows", "_stepper", "_outputs"):
            vars(self).pop(held, None)
        if self._on_gpu:
            with working(self._on):
                torch.cuda.empty_cache()  # what torch keeps for later goes back to the device

    # -- one step, on the device ----------------------------------------------------------------------------------

    def _step(self, shape: _Shape) -> None:
        """Advance the first `shape.takes` takes, reading and writing tensors that stay in place alone."""
        takes, rows = self._takes, self._rows
        take = rows.take[: shape.rows]  # (R,)
        positions = (takes.start + takes.step)[take]
        text = Text(rows.with_text[: shape.texts], slice(shape.texts)) if shape.texts else None
        x = self._model.embed(takes.tokens[take][:, None])  # (R, 1, d)
        x = self._model.advance(x, positions[:, None], slice(shape.rows), shape.span, text)
        by_row = self._model.logits(x)  # (R, K, C)
        own = rows.of_take[: shape.takes]  # (T, 3)
        weights = takes.weights[: shape.takes, :, None, None]  # (T, 3, 1, 1)
        # Term by term, so that the order of the sum is the same in any company.
        logits = by_row[own[:, 0]] * weights[:, 0]
        for condition in range(1, CONDITIONS):
            logits = logits + by_row[own[:, condition]] * weights[:, condition]
        takes.logits[: shape.takes] = logits

        step = takes.step[: shape.takes]  # (T,)
        now = torch.minimum(step, (takes.steps[: shape.takes] - 1).clamp(min=0))
        each = torch.arange(shape.takes, device=step.device)
        drawn = draw(
            logits,
            takes.temperature[: shape.takes],
            takes.top_k[: shape.takes],
            takes.top_p[: shape.takes],
            takes.uniforms[each, now],
        )
        known = takes.laid[each, now]  # (T, K)
        takes.tokens[: shape.takes] = torch.where(known < 0, drawn, known)
        # A take that is through stays where it is until it is released; what it draws there is nobody's.
        takes.step[: shape.takes] = torch.minimum(step + 1, (takes.steps[: shape.takes] - 1).clamp(min=0))

    def _queue(self) -> None:
        self._make_room(self._batch.rows, max(entry.positions for entry in self._batch), 0)
        lines = {entry.handle: line for line, entry in enumerate(self._batch) if not entry.last_queued}
        self._stepper.run(self._shape())
        output = self._outputs.pop(0)
        self._outputs.append(output)
        ready = None
        with working(self._on):
            output.copy_(self._takes.tokens[: output.shape[0]], non_blocking=self._on_gpu)
            if self._on_gpu:
                # "CUDA semantics", pinned memory: the copy is asynchronous, and an event says when it is there.
                ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
                ready.record(torch.cuda.current_stream(self._on))
        for entry in self._batch:
            entry.queued += entry.handle in lines
        self._pending.append(_Pending(lines, output, ready))

    def _shape(self) -> _Shape:
        rows, takes, texts = self._batch.rows, len(self._batch), self._batch.texts
        if not self._fixed:
            filled = max(entry.positions for entry in self._batch)
            span = min(round_up(filled, _SPAN_BUCKET), self._max_positions)
            return _Shape(rows, takes, texts, span)
        # Few shapes, and the same one until a take joins or leaves: nothing is captured in between.
        bucket = min(1 << (rows - 1).bit_length(), self._max_rows)
        final = max(entry.final_positions for entry in self._batch)
        # Whole pieces, beyond the last position too: SDPA copies a mask in every layer whose rows are not a multiple of 8
        # long (aten/src/ATen/native/transformers/attention.cpp, `preprocess_mask`).
        span = round_up(final, POSITION_BUCKET)
        return _Shape(bucket, bucket, bucket if self._cache.text else 0, span)

    def _prefill(self, entry: Entry, take: TakeInput, read: torch.Tensor) -> None:
        """Read prefix and known tokens (steps, K) into the cache, all rows of the take together."""
        rows, first = slice(entry.rows[0], entry.rows[-1] + 1), entry.rows[0]
        text = None
        if entry.texts:
            own = torch.tensor([entry.rows[condition] - first for condition in entry.text_conditions])
            text = Text(own.to(self._on), slice(entry.texts[0], entry.texts[-1] + 1))
        x = self._model.embed(read.to(self._on)[None]).expand(len(entry.rows), -1, -1)  # (B, T, d)
        if entry.start:
            prefix = [torch.tensor(condition.prefix, device=self._on) for condition in take.conditions]
            x = torch.cat([torch.stack(prefix), x], dim=1)
        for start in range(0, x.shape[1], _PREFILL_POSITIONS):
            part = x[:, start : start + _PREFILL_POSITIONS]
            stop = start + part.shape[1]
            positions = torch.arange(start, stop, device=self._on).expand(len(entry.rows), -1)
            self._model.advance(part, positions, rows, stop, text)

    def _make_room(self, rows: int, positions: int, text: int) -> None:
        positions = min(round_up(positions, POSITION_BUCKET), round_up(self._max_positions, POSITION_BUCKET))
        text = round_up(max(text, 1), TEXT_BUCKET)
        try:
            moved = self._cache.grow(rows, positions, text)
        except torch.OutOfMemoryError as err:
            raise OutOfRoomError("the device's memory is full") from err
        if moved:
            self._stepper.forget()

    def _publish(self) -> None:
        self._rows.publish([entry.rows for entry in self._batch], self._batch.row_of_text)
        self._cache.cross_mask[self._batch.texts :] = False  # text that nobody reads must not fill a bucket

    def _texts(self, take: TakeInput) -> list[tuple[int, torch.Tensor]]:
        """Return (condition, (S, d) text) for each condition that attends to some."""
        if self.architecture.text_fuse != "cross":
            return []
        texts = []
        for number, condition in enumerate(take.conditions):
            if condition.cross is not None:
                texts.append((number, torch.tensor(condition.cross, device=self._on)))
            elif self.architecture.has_bias:  # attention to nothing is then the biases, as to a text of zeros
                texts.append((number, torch.zeros(1, self.architecture.dim, device=self._on)))
        return texts

    def _output(self) -> torch.Tensor:
        shape = (self._max_rows, self.architecture.codebooks)
        return torch.zeros(shape, dtype=torch.int64, pin_memory=self._on_gpu)
