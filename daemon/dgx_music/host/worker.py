"""The worker process: takes jobs from standard input, makes them with an engine, finishes and stages them.

It ends when its standard input does, so it never outlives the daemon. Messages leave on the standard output
that it was started with; whatever a library prints goes to standard error instead.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dgx_music.engines.base import CancelledByUserError, EngineSettings, TakeSpec
from dgx_music.engines.registry import engine_class
from dgx_music.errors import DgxMusicError
from dgx_music.host.messages import (
    Cancel,
    Cancelled,
    Done,
    Failed,
    Message,
    Progress,
    Ready,
    Run,
    TakeMade,
    decode,
    encode,
)
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from dgx_music.engines.base import Engine, RawAudio
    from dgx_music.library.take import Take

__all__ = ["main"]

_IDLE_S = 0.5
"""How long a fresh worker waits for a job before it uses the time to load what finishing needs."""
_SHARE_OF_GENERATING = 0.9
"""How much of a take's progress bar belongs to the engine; the rest is finishing."""


class _Line:
    """The line to the daemon: sends messages, collects jobs, remembers which were cancelled."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self.jobs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()

    def listen(self) -> None:
        """Read until the daemon closes the line, then end the process at once."""
        for line in self._incoming:
            message = decode(line)
            if isinstance(message, Run):
                self.jobs.put(message)
            elif isinstance(message, Cancel):
                self._cancelled.add(message.job_id)
        os._exit(0)

    def send(self, message: Message) -> None:
        with self._sending:
            self._outgoing.write(encode(message))
            self._outgoing.flush()

    def cancelled(self, job_id: str) -> bool:
        return job_id in self._cancelled

    def forget(self, job_id: str) -> None:
        self._cancelled.discard(job_id)


class _JobControl:
    """An engine's `Control` for one job: passes progress on, at most 20 times a second, and stops when asked."""

    def __init__(self, line: _Line, job_id: str, takes: int) -> None:
        self._line = line
        self._job_id = job_id
        self._done = [0.0] * takes
        self._last_sent_s = 0.0
        self._last_step = ""

    def progress(self, take_index: int, fraction: float, step: str) -> None:
        self._at(take_index, min(max(fraction, 0.0), 1.0) * _SHARE_OF_GENERATING, step)

    def finishing(self, take_index: int) -> None:
        self._at(take_index, _SHARE_OF_GENERATING, "finishing")

    def finished(self, take_index: int) -> None:
        self._at(take_index, 1.0, "finishing")

    def _at(self, take_index: int, share: float, step: str) -> None:
        if self._line.cancelled(self._job_id):
            raise CancelledByUserError
        self._done[take_index] = share
        now_s = time.monotonic()
        if step != self._last_step or now_s - self._last_sent_s >= 0.05:
            self._line.send(Progress(self._job_id, sum(self._done) / len(self._done), step))
            self._last_sent_s = now_s
            self._last_step = step


def main() -> None:
    """Run until standard input closes."""
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    line = _Line(sys.stdin.buffer, outgoing)
    threading.Thread(target=line.listen, daemon=True).start()
    line.send(Ready(os.getpid()))
    engines: dict[str, Engine] = {}
    try:
        _serve(line.jobs.get(timeout=_IDLE_S), line, engines)
    except queue.Empty:
        _warm_up()
    while True:
        _serve(line.jobs.get(), line, engines)


def _serve(run: Run, line: _Line, engines: dict[str, Engine]) -> None:
    line.send(_run(run, line, engines))
    line.forget(run.job_id)


def _warm_up() -> None:
    """Load finishing and have its analysis compiled, so that nobody waits for it later (numba: some 10 s, once)."""
    import numpy as np  # noqa: PLC0415

    from dgx_music.finishing.analyse import analyse  # noqa: PLC0415
    from dgx_music.finishing.finish import finish  # noqa: F401, PLC0415

    click = np.zeros((1, 4 * 48_000), np.float32)
    click[:, ::24_000] = 0.5
    analyse(click, 48_000)


def _run(run: Run, line: _Line, engines: dict[str, Engine]) -> Message:
    request = GenerationRequest.model_validate(run.request)
    control = _JobControl(line, run.job_id, request.takes)
    try:
        engine = engines.get(run.engine)
        if engine is None:
            settings = EngineSettings(Path(run.soundfont) if run.soundfont else None, run.renderer)
            engine = engines[run.engine] = engine_class(run.engine)(settings)  # type: ignore[call-arg]
        specs = [TakeSpec(index, request.seed + index, request) for index in range(request.takes)]
        began_s = time.monotonic()
        for index, raw in engine.generate(specs, control):
            generation_s = time.monotonic() - began_s
            control.finishing(index)
            take = _finish(run, specs[index], raw, generation_s)
            line.send(TakeMade(run.job_id, take.to_json()))
            control.finished(index)
            began_s = time.monotonic()
    except CancelledByUserError:
        return Cancelled(run.job_id)
    except DgxMusicError as err:
        return Failed(run.job_id, err.code, str(err))
    except MemoryError:
        return Failed(
            run.job_id, "out_of_memory", "the machine has too little memory for this; ask for fewer seconds"
        )
    except OSError as err:
        return Failed(run.job_id, "io", f"{err.filename or run.staging}: {err.strerror or err}")
    except Exception as err:  # noqa: BLE001 - an engine may raise anything; the worker must go on
        traceback.print_exc()
        return Failed(run.job_id, "engine", f"{run.engine} failed: {type(err).__name__}: {err}")
    return Done(run.job_id)


def _finish(run: Run, spec: TakeSpec, raw: RawAudio, generation_s: float) -> Take:
    from dgx_music.finishing.finish import finish  # noqa: PLC0415 - scipy and librosa: 2 s that no other
    from dgx_music.library.staging import stage_take  # noqa: PLC0415 - process should pay for

    began_s = time.monotonic()
    master = finish(raw, spec)
    return stage_take(
        master,
        raw,
        spec,
        job_id=run.job_id,
        staging_dir=Path(run.staging),
        library_root=Path(run.library),
        made_at=datetime.fromisoformat(run.created_at).astimezone(),
        generation_s=generation_s,
        finishing_s=time.monotonic() - began_s,
    )


if __name__ == "__main__":
    main()
