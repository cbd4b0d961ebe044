"""Continuous batching: takes join and leave the running batch at any step, each with its own everything.

One thread owns the decoder and steps it while anybody is in the batch. Callers submit takes from their own threads and
wait for frames. Who waits is admitted in turn: the owner with the fewest takes in the batch comes first, among equals
the earliest; nobody overtakes a take that does not fit yet, so a large one is not starved by small ones.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.decoder.base import OutOfRoomError
from dgx_music.engines.musicgen.delay import first_step, interleave, steps, undo
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.decoder.base import Decoder, TakeInput

__all__ = ["Batcher", "Decoding"]


class Decoding:
    """One window of one take, on its way through the batch. Read it from the thread that submitted it."""

    def __init__(self, batcher: Batcher, take: TakeInput, owner: Hashable) -> None:
        delays = batcher.delays
        self.take = take
        self.owner = owner
        self._batcher = batcher
        self._delays = delays
        # The batcher writes these, holding its lock.
        self.laid = interleave(take.prompt, take.frames, delays, batcher.card)
        self.step = first_step(take.prompt.shape[1], delays)
        self.cancelled = False
        self.error: BaseException | None = None

    @property
    def frames_done(self) -> int:
        """How many frames, prompt included, are complete in all codebooks."""
        return min(max(self.step - max(self._delays), int(self.take.prompt.shape[1])), self.take.frames)

    @property
    def finished(self) -> bool:
        """Whether all frames are there."""
        return self.step >= steps(self.take.frames, self._delays)

    def frames(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Return the codes (K, stop − start) of complete frames."""
        return undo(self.laid, start, stop, self._delays)

    def wait(self, frames: int, timeout_s: float) -> bool:
        """Wait until so many frames are complete, the next step at the latest; return whether they are.

        Raises:
            EngineError: the decoder failed, or the take can never fit.
        """
        return self._batcher.wait(self, frames, timeout_s)

    def cancel(self) -> None:
        """Leave the batch before its next step."""
        self._batcher.cancel(self)


class Batcher:
    """Runs a decoder for many callers. `close` ends its thread and closes the decoder.

    Args:
        decoder: nobody else may touch it from now on.
        max_takes: how many takes may be in the batch at once.
        memory_bytes: what the decoder's caches and buffers may take of the device's memory.
    """

    def __init__(self, decoder: Decoder, *, max_takes: int, memory_bytes: int) -> None:
        self.delays = decoder.architecture.delays
        self.card = decoder.architecture.card
        self._decoder = decoder
        self._max_takes = max_takes
        self._memory_bytes = memory_bytes
        self._waiting: list[Decoding] = []
        self._running: dict[int, Decoding] = {}
        self._closing = False
        self._failed: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="musicgen-batch", daemon=True)
        self._thread.start()

    def submit(self, take: TakeInput, owner: Hashable) -> Decoding:
        """Queue a window of a take; `owner` is whoever is to have a fair share of the batch, such as its job."""
        decoding = Decoding(self, take, owner)
        with self._changed:
            self._check()
            self._waiting.append(decoding)
            self._changed.notify_all()
        return decoding

    def wait(self, decoding: Decoding, frames: int, timeout_s: float) -> bool:
        """See `Decoding.wait`."""
        with self._changed:
            before = decoding.step
            self._changed.wait_for(
                lambda: (
                    decoding.frames_done >= frames or decoding.step != before or decoding.error is not None
                ),
                timeout_s,
            )
            if decoding.error is not None:
                raise decoding.error
            return decoding.frames_done >= frames

    def cancel(self, decoding: Decoding) -> None:
        """See `Decoding.cancel`."""
        with self._changed:
            decoding.cancelled = True
            self._waiting = [waiting for waiting in self._waiting if waiting is not decoding]
            self._changed.notify_all()

    @property
    def failed(self) -> bool:
        """Whether the decoder has stopped for good."""
        return self._failed is not None

    @property
    def takes(self) -> int:
        """How many takes are in the batch or wait for it."""
        with self._changed:
            return len(self._running) + len(self._waiting)

    def close(self) -> None:
        """Stop after the current step; whoever still waits gets an error."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._drop_cancelled()
                self._admit()
                self._advance()
            self._give_up(EngineError("the model was unloaded while the take was being made; ask again"))
        except BaseException as err:  # noqa: BLE001 - whatever it is, everybody who waits has to hear it
            self._give_up(err)
        finally:
            self._decoder.close()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._waiting or self._running)
            return not self._closing

    def _drop_cancelled(self) -> None:
        for handle, decoding in list(self._running.items()):
            if decoding.cancelled:
                self._leave(handle)

    def _admit(self) -> None:
        while len(self._running) < self._max_takes:
            with self._changed:
                decoding = self._next()
            if decoding is None:
                return
            try:
                self._check_memory(decoding.take)
                handle = self._decoder.admit(decoding.take)
            except OutOfRoomError as err:
                if self._running:
                    return
                self._refuse(
                    decoding, EngineError(f"{err}; ask for fewer seconds, or raise musicgen.memory_mb")
                )
                continue
            except EngineError as err:
                self._refuse(decoding, err)
                continue
            with self._changed:
                self._running[handle] = decoding
                self._waiting = [waiting for waiting in self._waiting if waiting is not decoding]

    def _check_memory(self, take: TakeInput) -> None:
        """Refuse what would not fit beside the running takes; all rows of the cache are as long as the longest."""
        takes = [take, *(decoding.take for decoding in self._running.values())]
        rows = sum(len(each.conditions) for each in takes)
        positions = max(_positions(each, self.delays) for each in takes)
        needed = self._decoder.bytes_needed(rows, positions)
        if needed > self._memory_bytes:
            raise OutOfRoomError(
                f"{rows} rows of {positions} positions need {needed / 1e6:.0f} MB of the {self._memory_bytes / 1e6:.0f} MB "
                "that decoding may take"
            )

    def _next(self) -> Decoding | None:
        shares = Counter(decoding.owner for decoding in self._running.values())
        return min(self._waiting, key=lambda waiting: shares[waiting.owner], default=None)

    def _advance(self) -> None:
        if not self._running:
            return
        tokens = self._decoder.step()
        with self._changed:
            for handle, row in tokens.items():
                decoding = self._running[handle]
                decoding.laid[decoding.step] = row
                decoding.step += 1
                if decoding.finished:
                    self._leave(handle)
            self._changed.notify_all()

    def _leave(self, handle: int) -> None:
        self._decoder.release(handle)
        with self._changed:
            del self._running[handle]

    def _refuse(self, decoding: Decoding, err: BaseException) -> None:
        with self._changed:
            decoding.error = err
            self._waiting = [waiting for waiting in self._waiting if waiting is not decoding]
            self._changed.notify_all()

    def _give_up(self, err: BaseException) -> None:
        with self._changed:
            self._failed = err
            for decoding in (*self._running.values(), *self._waiting):
                decoding.error = err
            self._running.clear()
            self._waiting.clear()
            self._changed.notify_all()

    def _check(self) -> None:
        if self._failed is not None:
            raise EngineError(f"the decoder has stopped: {self._failed}") from self._failed


def _positions(take: TakeInput, delays: Sequence[int]) -> int:
    prefix = take.conditions[0].prefix
    return steps(take.frames, delays) + (0 if prefix is None else prefix.shape[0])
