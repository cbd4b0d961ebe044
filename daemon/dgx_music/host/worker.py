"""The worker process: takes jobs from standard input, makes them with engines, finishes and stages them.

Each job has a thread of its own; how many of an engine's jobs come at once is the daemon's business. Finishing is one
at a time. The process ends when its standard input does, so it never outlives the daemon. Messages leave on the
standard output that it was started with; whatever a library prints goes to standard error instead.
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
from typing import TYPE_CHECKING

from dgx_music.engines.base import CancelledByUserError, KeepsModels, TakeSpec
from dgx_music.engines.registry import engine_class
from dgx_music.errors import DgxMusicError
from dgx_music.host.control import JobControl
from dgx_music.host.line import Line
from dgx_music.host.messages import Cancelled, Done, Failed, Ready, TakeMade, Warm, settings_from_json
from dgx_music.reading.permissions import session_roots
from dgx_music.request import GenerationRequest

if TYPE_CHECKING:
    from dgx_music.engines.base import Engine, RawAudio
    from dgx_music.host.messages import Ending, Run
    from dgx_music.library.take import Take

__all__ = ["main"]

_IDLE_S = 0.5
"""How long a fresh worker waits for a job before it uses the time to load what finishing needs."""
_REST_S = 2.0
"""How often an idle worker asks engines that keep models whether to give them back."""


def main() -> None:
    """Run until standard input closes."""
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    line = Line(sys.stdin.buffer, outgoing)
    threading.Thread(target=line.listen, name="line", daemon=True).start()
    line.send(Ready(os.getpid()))
    _Worker(line).serve()


class _Worker:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._engines = _Engines(line)
        self._finishing = threading.Lock()  # numba's own threads stand no second caller
        self._running = 0
        self._counting = threading.Lock()
        self._idle_since_s = time.monotonic()

    def serve(self) -> None:
        try:
            self._start(self._line.jobs.get(timeout=_IDLE_S))
        except queue.Empty:
            threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()
        while True:
            try:
                self._start(self._line.jobs.get(timeout=self._patience_s()))
            except queue.Empty:
                self._rest()

    def _patience_s(self) -> float | None:
        """Wait for ever only where nothing runs and nothing is kept that could be given back."""
        return _REST_S if self._running or self._engines.any_warm() else None

    def _start(self, run: Run) -> None:
        with self._counting:
            self._running += 1
        threading.Thread(target=self._do, args=(run,), name=run.job_id, daemon=True).start()

    def _do(self, run: Run) -> None:
        try:
            last_word = self._run(run)
        except BaseException as err:  # noqa: BLE001 - one job's trouble, whatever it is, is not the others'
            last_word = _failure(run, err)
        with self._counting:
            self._running -= 1
            self._idle_since_s = time.monotonic()
        self._line.forget(run.job_id)
        self._engines.tell_warm()
        self._line.send(last_word)

    def _rest(self) -> None:
        # Jobs start in this same thread, so none comes in between.
        if not self._running:
            self._engines.rest(time.monotonic() - self._idle_since_s)
        self._engines.tell_warm()

    def _warm_up(self) -> None:
        """Load finishing and have its analysis compiled, so that nobody waits for it later (numba: 10 s, once)."""
        with self._finishing:
            import numpy as np  # noqa: PLC0415

            from dgx_music.finishing.analyse import analyse  # noqa: PLC0415
            from dgx_music.finishing.finish import finish  # noqa: F401, PLC0415

            click = np.zeros((1, 4 * 48_000), np.float32)
            click[:, ::24_000] = 0.5
            analyse(click, 48_000)

    def _run(self, run: Run) -> Ending:
        request = GenerationRequest.model_validate(run.request)
        control = JobControl(
            self._line, run.job_id, request.takes, Path(run.previews), self._engines.tell_warm
        )
        roots = session_roots(request.session.path if request.session else None)
        specs = [TakeSpec(index, request.seed + index, request, roots) for index in range(request.takes)]
        making = None
        try:
            began_s = time.monotonic()
            making = self._engines.get(run).generate(specs, control)
            for index, raw in making:
                generation_s = time.monotonic() - began_s
                control.finishing(index)
                take = self._finish(run, specs[index], raw, generation_s)
                self._line.send(TakeMade(run.job_id, take.to_json()))
                control.finished(index)
                began_s = time.monotonic()
        except CancelledByUserError:
            return Cancelled(run.job_id)
        finally:
            # An engine's generator gives back what the job holds; waiting for the garbage collector would be too long.
            if (close := getattr(making, "close", None)) is not None:
                close()
        return Done(run.job_id)

    def _finish(self, run: Run, spec: TakeSpec, raw: RawAudio, generation_s: float) -> Take:
        from dgx_music.library.staging import stage_take  # noqa: PLC0415 - numpy, which no other process pays for

        with self._finishing:
            from dgx_music.finishing.finish import finish  # noqa: PLC0415 - scipy and librosa: 2 s

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


class _Engines:
    """The engines that were wanted so far, made once each, and which models they keep."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._made: dict[str, Engine] = {}
        self._told: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def get(self, run: Run) -> Engine:
        with self._lock:
            if run.engine not in self._made:
                settings = settings_from_json(run.settings)
                self._made[run.engine] = engine_class(run.engine)(settings)  # type: ignore[call-arg]
            return self._made[run.engine]

    def any_warm(self) -> bool:
        return any(_warm(engine) for _, engine in self._keepers())

    def rest(self, idle_s: float) -> None:
        for _, engine in self._keepers():
            try:
                engine.rest(idle_s)
            except Exception:  # noqa: BLE001 - what an engine cannot give back it may still work with
                traceback.print_exc()

    def tell_warm(self) -> None:
        for name, engine in self._keepers():
            # Asked without holding a lock, since the engine has locks of its own; so ask until nothing changes.
            while self._tell(name, _warm(engine)):
                pass

    def _tell(self, name: str, models: list[str]) -> bool:
        with self._lock:
            if models == self._told.get(name, []):
                return False
            self._told[name] = models
            self._line.send(Warm(name, models))
            return True

    def _keepers(self) -> list[tuple[str, KeepsModels]]:
        with self._lock:
            return [(name, engine) for name, engine in self._made.items() if isinstance(engine, KeepsModels)]


def _warm(engine: KeepsModels) -> list[str]:
    try:
        return list(engine.warm())
    except Exception:  # noqa: BLE001 - only an estimate hangs on it
        traceback.print_exc()
        return []


def _failure(run: Run, err: BaseException) -> Failed:
    if isinstance(err, DgxMusicError):
        return Failed(run.job_id, err.code, str(err))
    if isinstance(err, MemoryError) or "OutOfMemoryError" in {kind.__name__ for kind in type(err).__mro__}:
        said = str(err).split("\n", 1)[0]
        return Failed(
            run.job_id,
            "out_of_memory",
            f"{run.engine} has too little memory for this{f' ({said})' if said else ''}; ask for fewer seconds or takes, "
            "choose a smaller model, or end what else uses the memory",
        )
    if isinstance(err, OSError):
        return Failed(run.job_id, "io", f"{err.filename or run.staging}: {err.strerror or err}")
    traceback.print_exception(err)
    return Failed(run.job_id, "engine", f"{run.engine} failed: {type(err).__name__}: {err}")


if __name__ == "__main__":
    main()
