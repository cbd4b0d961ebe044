"""Who may give work to the GPUs: everybody at any time, but for the moments in which a CUDA graph is captured.

PyTorch's notes, "CUDA semantics", section "CUDA Graphs", constraints: "Within a process, only one capture may be underway
at a time" and "No non-captured CUDA work may run in this process (on any thread) while capture is underway"; to violate
these will "likely cause silent numerical errors or undefined behavior". Several models may be loaded at once, each with a
thread that captures, and jobs encode text and decode audio in threads of their own.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["capturing", "working"]


class _Mine(threading.local):
    depth = 0
    """How many blocks of `working` or `capturing` the thread is in."""


_changed = threading.Condition()
_at_work = 0
"""Threads within `working`."""
_captures = 0
"""Threads that capture or wait for it; new work lets them go first."""
_captured = threading.Lock()
_mine = _Mine()


@contextmanager
def working(device: object) -> Iterator[None]:
    """Give work to a device within the block; waits while a graph is captured. May be nested; free on a CPU.

    Args:
        device: as torch names it, `cuda:0`, or a `torch.device`.
    """
    if not str(device).startswith("cuda"):
        yield
        return
    if _mine.depth == 0:
        _enter()
    _mine.depth += 1
    try:
        yield
    finally:
        _mine.depth -= 1
        if _mine.depth == 0:
            _leave()


@contextmanager
def capturing() -> Iterator[None]:
    """Be alone within the block. Within `working`, the thread's own work counts as paused meanwhile."""
    global _captures  # noqa: PLW0603 - it counts threads of the whole process
    inside = _mine.depth > 0
    with _changed:
        _captures += 1
    if inside:
        _leave()
    _mine.depth += 1
    try:
        with _captured:
            with _changed:
                _changed.wait_for(lambda: _at_work == 0)
            yield
    finally:
        _mine.depth -= 1
        with _changed:
            _captures -= 1
            _changed.notify_all()
        if inside:
            _enter()


def _enter() -> None:
    global _at_work  # noqa: PLW0603
    with _changed:
        _changed.wait_for(lambda: _captures == 0)
        _at_work += 1


def _leave() -> None:
    global _at_work  # noqa: PLW0603
    with _changed:
        _at_work -= 1
        _changed.notify_all()
