"""`JobControl`: what an engine gets to speak about its job with (`engines.base.Control`), in the worker."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from dgx_music.engines.base import CancelledByUserError
from dgx_music.host.messages import Loaded, Preview, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from dgx_music.host.line import Line
    from dgx_music.host.preview import PreviewFile

__all__ = ["JobControl"]

_SHARE_OF_GENERATING = 0.9
"""How much of a take's progress bar belongs to the engine; the rest is finishing."""
_PROGRESS_INTERVAL_S = 0.05


class JobControl:
    """Passes progress on, at most 20 times a second, writes previews, and stops the job when asked. Thread-safe."""

    def __init__(
        self, line: Line, job_id: str, takes: int, previews: Path, on_loaded: Callable[[], None]
    ) -> None:
        self._line = line
        self._job_id = job_id
        self._done = [0.0] * takes
        self._last_sent_s = 0.0
        self._last_step = ""
        self._folder = previews
        self._previews: dict[int, PreviewFile] | None = {}
        self._on_loaded = on_loaded
        self._lock = threading.Lock()

    def progress(self, take_index: int, fraction: float, step: str) -> None:
        """See `Control.progress`."""
        self._at(take_index, min(max(fraction, 0.0), 1.0) * _SHARE_OF_GENERATING, step)

    def finishing(self, take_index: int) -> None:
        """Say that a take's audio is there and is being finished."""
        self._at(take_index, _SHARE_OF_GENERATING, "finishing")

    def finished(self, take_index: int) -> None:
        """Say that a take is finished."""
        self._at(take_index, 1.0, "finishing")

    def preview(self, take_index: int, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> None:
        """See `Control.preview`."""
        from dgx_music.host.preview import PreviewFile  # noqa: PLC0415 - numpy: few engines preview

        with self._lock:
            if self._previews is None:
                return
            file = self._previews.get(take_index)
            if file is None:
                file = self._previews[take_index] = PreviewFile(self._folder / f"take{take_index + 1}.wav")
            try:
                seconds = file.append(audio, sample_rate_hz)
            except (OSError, ValueError) as err:
                print(f"{self._job_id}: no more previews: {err}", file=sys.stderr)
                self._previews = None
                return
        self._line.send(Preview(self._job_id, take_index, str(file.path), seconds))

    def loaded(self, model: str, seconds: float) -> None:
        """See `Control.loaded`."""
        self._line.send(Loaded(self._job_id, model, seconds))
        self._on_loaded()

    def _at(self, take_index: int, share: float, step: str) -> None:
        if self._line.cancelled(self._job_id):
            raise CancelledByUserError
        with self._lock:
            self._done[take_index] = share
            now_s = time.monotonic()
            if step == self._last_step and now_s - self._last_sent_s < _PROGRESS_INTERVAL_S:
                return
            self._last_sent_s, self._last_step = now_s, step
            # Sent while holding the lock: progress must not arrive in another order than it was made in.
            self._line.send(Progress(self._job_id, sum(self._done) / len(self._done), step))
