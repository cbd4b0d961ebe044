"""The decoder: rows of several takes in one batch, advanced together by one run of the graph a step."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen import delay
from dgx_music.engines.musicgen.decoder.base import OutOfRoomError
from dgx_music.engines.musicgen.decoder.onnx.cache import RowCache
from dgx_music.engines.musicgen.decoder.onnx.graph import head_width, pad_heads
from dgx_music.engines.musicgen.sampling import draw
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture
    from dgx_music.engines.musicgen.decoder.base import Sampling, TakeInput

__all__ = ["OnnxDecoder"]

_CHUNK = 16
"""Positions that a prefill reads at a time: enough to use each weight well, few enough to keep the others waiting
for a moment only."""
_TEXT_STEP = 32
"""The cache of text grows by so many positions."""
_HIDDEN = np.float32(-1e9)


@dataclass
class _Take:
    """One take and how far it is."""

    given: TakeInput
    laid: npt.NDArray[np.int64]
    step: int
    prefix: int
    rows: list[int] = field(default_factory=list)
    logits: npt.NDArray[np.float32] | None = None
    """(K, C) of the last step."""

    @property
    def length(self) -> int:
        """Positions in the cache."""
        return self.prefix + self.step


class OnnxDecoder:
    """A `Decoder` on the CPU, from a folder that `prepare` made.

    Args:
        folder: the prepared weights.
        architecture: their numbers.
        max_rows: how many rows may be decoded together.
        max_positions: how long a row may be, prefix and all steps.
        threads: 0 for one a core that this process may use.
        precision: of the folder.

    Raises:
        EngineError: the folder's files cannot be read, or there is no room for the cache.
    """

    device = "cpu"

    def __init__(
        self,
        folder: Path,
        architecture: LmArchitecture,
        *,
        max_rows: int = 16,
        max_positions: int = 1504,
        threads: int = 0,
        precision: str = "int8",
    ) -> None:
        self.architecture = architecture
        self.precision = precision
        self._folder = folder
        self.max_rows = max_rows
        self.max_positions = max_positions
        a = architecture
        self._cross = a.text_fuse == "cross"
        width = head_width(a)
        try:
            self._embeddings = np.load(folder / "embeddings.npy", mmap_mode="r")
            bias = folder / "cross_bias.npy"
            self._cross_bias = np.load(bias) if bias.exists() else None
        except (OSError, ValueError) as error:
            raise EngineError(f"The prepared weights in {folder} cannot be read: {error}.") from error
        self._session = _open(folder / "graph.onnx", threads or len(os.sched_getaffinity(0)))
        self._positions = _sinusoids(max_positions, a.dim)
        self._cache = RowCache(max_rows, a.layers, a.heads, max_positions, width)
        self._text = RowCache(max_rows, a.layers, a.heads, _TEXT_STEP + _CHUNK, width)
        self._text_last = np.zeros((2, a.layers, max_rows, a.heads * width), np.float32)
        self._text_lengths: list[int] = []
        self._no_text = np.zeros((2, a.heads, 1 + _CHUNK, width), np.float32)
        self._zeros = np.zeros((_CHUNK, a.heads * width), np.float32)
        self._x = np.zeros((max_rows, a.dim), np.float32)
        self._past = np.zeros(max_rows, np.int32)
        self._logits = np.empty((max_rows, a.codebooks, a.card), np.float32)
        self._owners: list[tuple[_Take, int]] = []
        self._attending: list[int] = []
        """For each row of the text cache, the row that attends to it."""
        self._takes: dict[int, _Take] = {}
        self._handles = count()
        self._bound: Any = None
        self._total = np.zeros((), np.int32)

    def bytes_needed(self, rows: int, positions: int) -> int:
        """Return what the rows' caches take once they are full, text of common length and buffers included."""
        a = self.architecture
        page = 4096
        stripe = (positions * head_width(a) * 4 // page + 2) * page
        text = (_TEXT_STEP + _CHUNK) * a.heads * head_width(a) * 4 if self._cross else 0
        activations = (6 * a.dim + 3 * a.ffn_dim + 2 * a.codebooks * a.card) * 4
        return rows * (2 * a.layers * (a.heads * stripe + text) + activations)

    def admit(self, take: TakeInput) -> int:
        """Put a take into the batch; see `Decoder.admit`.

        The prefix and the prompt are read by themselves, in chunks, so what they come to does not hang on who else
        is there.

        Raises:
            OutOfRoomError: too few rows are free.
            EngineError: the take is longer than any that this decoder has room for.
        """
        a = self.architecture
        rows = len(take.conditions)
        prefix = 0 if take.conditions[0].prefix is None else len(take.conditions[0].prefix)
        needed = prefix + delay.steps(take.frames, a.delays)
        if needed > self.max_positions:
            raise EngineError(
                f"A take of {take.frames} frames after a prefix of {prefix} needs {needed} positions; "
                f"this decoder has room for {self.max_positions}."
            )
        if len(self._owners) + rows > self.max_rows:
            raise OutOfRoomError(f"{rows} rows do not fit beside {len(self._owners)} of {self.max_rows}")
        laid = delay.interleave(take.prompt, take.frames, a.delays, a.card)
        first = delay.first_step(take.prompt.shape[1], a.delays)
        state = _Take(take, laid, first, prefix)
        known = np.concatenate([np.full((1, a.codebooks), a.card, np.int64), laid[: max(first - 1, 0)]])[
            :first
        ]
        tokens = self._embed(known)
        for place, condition in enumerate(take.conditions):
            row = len(self._owners)
            self._owners.append((state, place))
            state.rows.append(row)
            text, cross = None, condition.cross
            if cross is None and a.has_bias:
                # No text is a single position of zeros; only biases make something of it.
                cross = np.zeros((1, a.dim), np.float32)
            if self._cross and cross is not None:
                text = len(self._attending)
                self._attending.append(row)
                self._store_text(text, cross)
            read = tokens if condition.prefix is None else np.concatenate([condition.prefix, tokens])
            read = (read + self._positions[: len(read)]).astype(np.float32)
            for start in range(0, len(read), _CHUNK):
                self._prefill(row, text, read[start : start + _CHUNK], start)
        self._bound = None
        handle = next(self._handles)
        self._takes[handle] = state
        return handle

    def step(self) -> Mapping[int, npt.NDArray[np.int64]]:
        """Advance every take by one step; see `Decoder.step`."""
        running = {handle: take for handle, take in self._takes.items() if take.rows}
        if not running:
            return {}
        a = self.architecture
        before = [
            take.laid[take.step - 1] if take.step else np.full(a.codebooks, a.card)
            for take in running.values()
        ]
        embedded = self._embed(np.stack(before))
        for take, x in zip(running.values(), embedded, strict=True):
            at = take.length
            self._x[take.rows] = x + self._positions[at]
            self._past[take.rows] = at
        self._total[()] = max(take.length for take in running.values()) + 1
        if self._bound is None:
            self._bound = self._bind()
        self._session.run_with_iobinding(self._bound)
        tokens = self._sample(running)
        for take in running.values():
            take.step += 1
        for take in running.values():
            if take.step == len(take.laid):
                self._remove(take)
        return tokens

    def finished(self, handle: int) -> bool:
        """Whether the take has had its last step."""
        take = self._takes[handle]
        return take.step == len(take.laid)

    def logits(self, handle: int) -> npt.NDArray[np.float32]:
        """Return what a take's last tokens were drawn from, after guidance: (K, C)."""
        logits = self._takes[handle].logits
        if logits is None:
            raise EngineError("No token of this take has been drawn yet.")
        return logits

    def release(self, handle: int) -> None:
        """Take a take out of the batch, finished or not."""
        self._remove(self._takes.pop(handle))

    def close(self) -> None:
        """Give the memory back."""
        self._takes.clear()
        for name in ("_session", "_bound", "_cache", "_text"):
            vars(self).pop(name, None)

    def _sample(self, running: Mapping[int, _Take]) -> dict[int, npt.NDArray[np.int64]]:
        groups: dict[Sampling, list[tuple[int, _Take]]] = {}
        for handle, take in running.items():
            groups.setdefault(take.given.sampling, []).append((handle, take))
        tokens: dict[int, npt.NDArray[np.int64]] = {}
        for sampling, members in groups.items():
            logits, uniforms = [], []
            for _, take in members:
                parts = zip(take.given.weights, take.rows, strict=True)
                weight, row = next(parts)
                mixed = self._logits[row] * np.float32(weight)
                for weight, row in parts:
                    mixed += self._logits[row] * np.float32(weight)
                take.logits = mixed
                logits.append(mixed)
                uniforms.append(take.given.uniforms[take.step])
            drawn = draw(np.concatenate(logits), sampling, np.concatenate(uniforms)).reshape(len(members), -1)
            for (handle, take), sampled in zip(members, drawn, strict=True):
                now = take.laid[take.step]
                np.copyto(now, sampled, where=now < 0)
                tokens[handle] = now.copy()
        return {handle: tokens[handle] for handle in running}

    def _embed(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Sum the codebooks' embeddings: (n, K) tokens to (n, d)."""
        total = np.zeros((len(tokens), self.architecture.dim), np.float32)
        for book in range(self.architecture.codebooks):
            total += self._embeddings[book, tokens[:, book]]
        return total

    def _store_text(self, row: int, cross: npt.NDArray[np.float32]) -> None:
        """Compute the keys and values of a text once for all steps, and put them into the text cache."""
        a = self.architecture
        length = len(cross)
        if length + _CHUNK > self._text.positions:
            longer = -(-length // _TEXT_STEP) * _TEXT_STEP + _CHUNK
            grown = RowCache(self.max_rows, a.layers, a.heads, longer, head_width(a))
            for key, array in self._text.arrays.items():
                grown.arrays[key][:row, :, : array.shape[2]] = array[:row]
            self._text = grown
        # Mapped for this moment only: what lies in files is counted among the process's memory while it is mapped.
        weights = np.load(self._folder / "cross.npy", mmap_mode="r")
        for layer in range(a.layers):
            projected = cross @ weights[layer].astype(np.float32).T
            if self._cross_bias is not None:
                projected += self._cross_bias[layer]
            for index, kind in enumerate(("k", "v")):
                part = projected[:, index * a.dim : (index + 1) * a.dim]
                heads = pad_heads(part.T, a).reshape(a.heads, -1, length).swapaxes(1, 2)
                self._text_last[index, layer, row] = heads[:, -1].reshape(-1)
                self._text.arrays[kind, layer][row, :, :length] = heads
        self._text_lengths[row:] = [length]

    def _remove(self, take: _Take) -> None:
        """Close the gaps that a take leaves, with the last rows."""
        for row in sorted(take.rows, reverse=True):
            if row in self._attending:
                self._remove_text(self._attending.index(row))
            last = len(self._owners) - 1
            if row != last:
                owner, place = self._owners[last]
                self._cache.move(last, row, owner.length)
                self._owners[row] = (owner, place)
                owner.rows[place] = row
                if last in self._attending:
                    self._attending[self._attending.index(last)] = row
            self._owners.pop()
            self._cache.drop(last)
        take.rows = []
        self._bound = None

    def _remove_text(self, row: int) -> None:
        last = len(self._attending) - 1
        if row != last:
            self._text.move(last, row, self._text_lengths[last])
            self._text_last[:, :, row] = self._text_last[:, :, last]
            self._attending[row] = self._attending[last]
            self._text_lengths[row] = self._text_lengths[last]
        self._attending.pop()
        self._text_lengths.pop()
        self._text.drop(last)

    def _bind(self) -> Any:
        """Bind the batch as it is now: every array is given by its address, nothing is copied."""
        a, rows, text = self.architecture, len(self._owners), len(self._attending)
        binding = _Binding(self._session)
        binding.give("x", self._x[:rows].reshape(rows, 1, a.dim))
        binding.give("past", self._past[:rows])
        binding.give("total", self._total)
        binding.take("logits", self._logits[:rows].reshape(rows, 1, -1))
        for layer in range(a.layers):
            for kind in ("k", "v"):
                binding.both(f"{kind}.{layer}", self._cache.arrays[kind, layer][:rows])
        if self._cross:
            attending = np.array(self._attending or [0], np.int64)
            back = np.full(rows, max(text, 1), np.int64)
            back[self._attending] = np.arange(text)
            past = np.array(self._text_lengths or [1], np.int32) - np.int32(1)
            binding.give("rows", attending)
            binding.give("back", back)
            binding.give("cross_past", past)
            binding.give("cross_total", np.array(past.max() + 1, np.int32))
            binding.give("cross_bias", np.zeros((1, 1, 1, past.max() + 1), np.float32))
            binding.give("nothing", np.zeros((1, 1, a.dim), np.float32))
            for layer in range(a.layers):
                for index, kind in enumerate(("k", "v")):
                    if text:
                        binding.both(f"c{kind}.{layer}", self._text.arrays[kind, layer][:text])
                        last = self._text_last[index, layer, :text].reshape(text, 1, -1)
                    else:
                        binding.both(f"c{kind}.{layer}", self._no_text[index : index + 1])
                        last = self._zeros[:1].reshape(1, 1, -1)
                    binding.give(f"c{kind}_last.{layer}", last)
        return binding.finished()

    def _prefill(self, row: int, text: int | None, x: npt.NDArray[np.float32], start: int) -> None:
        """Read several positions of one row."""
        a, new = self.architecture, len(x)
        binding = _Binding(self._session)
        binding.give("x", x.reshape(1, new, a.dim))
        binding.give("past", np.array([start + new - 1], np.int32))
        binding.give("total", np.array(start + new, np.int32))
        binding.take("logits", np.empty((1, new, a.codebooks * a.card), np.float32))
        for layer in range(a.layers):
            for kind in ("k", "v"):
                binding.both(f"{kind}.{layer}", self._cache.arrays[kind, layer][row : row + 1])
        if self._cross:
            length = 1 if text is None else self._text_lengths[text]
            bias = np.zeros((1, 1, new, length + new), np.float32)
            bias[..., length:] = _HIDDEN
            zeros = self._zeros[:new].reshape(1, new, -1)
            binding.give("rows", np.zeros(1, np.int64))
            binding.give("back", np.array([1 if text is None else 0]))
            binding.give("cross_past", np.array([length + new - 1], np.int32))
            binding.give("cross_total", np.array(length + new, np.int32))
            binding.give("cross_bias", bias)
            binding.give("nothing", np.zeros((1, new, a.dim), np.float32))
            for layer in range(a.layers):
                for index, kind in enumerate(("k", "v")):
                    cached = self._no_text[index : index + 1]
                    if text is not None:
                        cached = self._text.arrays[kind, layer][text : text + 1]
                    binding.both(f"c{kind}.{layer}", cached)
                    binding.give(f"c{kind}_last.{layer}", zeros)
        self._session.run_with_iobinding(binding.finished())


class _Binding:
    """Names of the graph bound to the memory of arrays."""

    def __init__(self, session: Any) -> None:
        self._binding = session.io_binding()
        self._binding.kept = []

    def give(self, name: str, array: npt.NDArray[Any]) -> None:
        """Bind an input."""
        self._binding.kept.append(array)
        self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def take(self, name: str, array: npt.NDArray[Any]) -> None:
        """Bind an output."""
        self._binding.kept.append(array)
        self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

    def both(self, name: str, array: npt.NDArray[Any]) -> None:
        """Bind a cache, which is appended to where it lies."""
        self.give(name, array)
        self.take(f"new_{name}", array)

    def finished(self) -> Any:
        """Return what the session runs; it keeps the arrays alive."""
        return self._binding


def _open(graph: Path, threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A step is some hundred short pieces of work. Threads that sleep between them wake late; threads that spin for
    # long take the processor from whoever else is at work on this machine. So they spin for as long as a piece takes.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "200")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Small blocks even out what other programs take from one of the cores.
    options.add_session_config_entry("session.dynamic_block_base", "4")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no base
        raise EngineError(f"ONNX Runtime cannot open {graph}: {error}") from error


def _sinusoids(positions: int, dim: int) -> npt.NDArray[np.float32]:
    """Return (positions, d): cosines, then sines (Vaswani et al. 2017), as audiocraft orders and rounds them."""
    half = dim // 2
    exponent = np.arange(half, dtype=np.float32) / np.float32(half - 1)
    phase = np.arange(positions, dtype=np.float32)[:, None] / np.float32(10000) ** exponent
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
