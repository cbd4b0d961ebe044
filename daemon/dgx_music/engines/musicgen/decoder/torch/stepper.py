"""Running one and the same step again and again: on a CPU by calling it, on a GPU by replaying it as a CUDA graph.

A step of 24 layers is more than six hundred kernels, most of them shorter than their launch; a graph launches all at once
(PyTorch's documentation, "CUDA semantics", section "CUDA Graphs").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from dgx_music.engines.musicgen.gpu_turns import capturing, working

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

__all__ = ["Stepper"]

ShapeT = TypeVar("ShapeT", bound="Hashable")

_WARM_UPS = 3
"""Runs before a capture: PyTorch's examples take three, for libraries that choose or allocate at first use."""


class Stepper(Generic[ShapeT]):
    """Runs `step(shape)`, whose inputs and outputs are tensors that stay where they are.

    Args:
        step: reads and writes such tensors alone; must neither wait for the device nor let a shape hang on a value.
        counters: those that a step advances. Put back after the warm-up, so that a capture leaves no trace; whatever
            else it writes has to come out the same when written again.
        device: on a CPU, steps are plain calls.
    """

    def __init__(
        self, step: Callable[[ShapeT], None], counters: Sequence[torch.Tensor], device: torch.device
    ) -> None:
        self._step = step
        self._counters = counters
        self._device = device
        self._graphs: dict[ShapeT, torch.cuda.CUDAGraph] = {}
        # All graphs share one pool of memory. "Sharing memory across captures", in the same section: that is safe for
        # graphs that do not depend on each other's outputs and never run concurrently. A step's results are copied
        # to tensors outside of the pool within the graph, and all replays are on one stream.
        self._side: torch.cuda.Stream | None = None
        self._pool = self._new_pool()

    def run(self, shape: ShapeT) -> None:
        """Run one step, which on a GPU is only queued."""
        if self._device.type != "cuda":
            self._step(shape)
            return
        if shape not in self._graphs:
            self.capture(shape)
        with working(self._device):
            self._graphs[shape].replay()

    def warm_up(self, shape: ShapeT) -> None:
        """Run the step a few times for what libraries do at first use, and put the counters back."""
        before = [counter.clone() for counter in self._counters]
        for _ in range(_WARM_UPS):
            self._step(shape)
        for counter, value in zip(self._counters, before, strict=True):
            counter.copy_(value)

    def capture(self, shape: ShapeT) -> None:
        """Capture the step for one shape; on a CPU, only warm up."""
        if self._device.type != "cuda":
            self.warm_up(shape)
            return
        # The device is made current because entering `torch.cuda.graph` synchronises with the current one.
        with capturing(), torch.cuda.device(self._device):
            self._graphs[shape] = self._captured(shape)

    def forget(self) -> None:
        """Drop what was captured: a graph holds addresses, and tensors have moved."""
        self._graphs.clear()
        # The pool is gone with its last graph, and its handle good for nothing: a capture that shares a pool wants one
        # that is in use (c10/cuda/CUDACachingAllocator.cpp, `create_or_incref_pool`, asserts `use_count > 0`).
        self._pool = self._new_pool()

    def _new_pool(self) -> Any:
        return torch.cuda.graph_pool_handle() if self._device.type == "cuda" else None

    def _captured(self, shape: ShapeT) -> torch.cuda.CUDAGraph:
        # PyTorch's notes on CUDA graphs want the warm-up on a side stream, and that stream to wait for what is queued
        # before. It is the stream of the capture too, so that what libraries keep for each stream (cuBLAS's handle and
        # workspace) is made in the warm-up; and one stream serves all captures, as the documentation of
        # `torch.cuda.graph` asks where they share a pool.
        if self._side is None:
            self._side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        side = self._side
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            self.warm_up(shape)
        torch.cuda.current_stream(self._device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # "thread_local": the default would fail the capture for what another thread does (documentation of
        # `torch.cuda.graph`, `capture_error_mode`). Ours wait for their turn, but torch may have threads of its own.
        with torch.cuda.graph(graph, pool=self._pool, stream=side, capture_error_mode="thread_local"):
            self._step(shape)
        return graph
