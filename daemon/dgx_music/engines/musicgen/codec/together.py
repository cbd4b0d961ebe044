"""Several takes on one codec: their passes through the LSTM that wait at the same time are done in one.

The LSTM reads all its weights for every frame, so it takes hardly longer for eight takes than for one; the convolutions
gain nothing by company. Whoever gets the lock does the work of all that wait behind it with pieces of the same length,
which takes decoded in step have (flat combining, Hendler et al. 2010).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.musicgen.codec.stream import Network

    _Floats = npt.NDArray[np.float32]

__all__ = ["Together"]


class _Pass:
    def __init__(self, inputs: _Floats, state: _Floats, keep: tuple[int, int]) -> None:
        self.inputs = inputs
        self.state = state
        self.keep = keep
        self.made: tuple[_Floats, _Floats] | None = None
        self.error: BaseException | None = None

    def goes_with(self, other: _Pass) -> bool:
        return self.inputs.shape[1:] == other.inputs.shape[1:] and self.keep == other.keep


class Together:
    """A network for many threads; one pass at a time. See `stream.Network`."""

    def __init__(self, network: Network) -> None:
        self.seanet = network.seanet
        self.channels_out = network.channels_out
        self._network = network
        self._working = threading.Lock()
        self._waiting: list[_Pass] = []
        self._queueing = threading.Lock()

    def remember(self, inputs: _Floats, state: _Floats, keep: tuple[int, int]) -> tuple[_Floats, _Floats]:
        """Pass inputs through front and LSTM, alone or in company; see `stream.Network`."""
        mine = _Pass(inputs, state, keep)
        with self._queueing:
            self._waiting.append(mine)
        with self._working:
            if mine.made is None and mine.error is None:
                self._do(self._take(mine))
        if mine.error is not None:
            raise mine.error
        assert mine.made is not None
        return mine.made

    def express(self, frames: _Floats, keep: tuple[int, int]) -> _Floats:
        """Pass frames through the back; see `stream.Network`."""
        with self._working:
            return self._network.express(frames, keep)

    def _take(self, mine: _Pass) -> list[_Pass]:
        with self._queueing:
            group = [waiting for waiting in self._waiting if waiting.goes_with(mine)]
            self._waiting = [waiting for waiting in self._waiting if waiting not in group]
        return group

    def _do(self, group: list[_Pass]) -> None:
        try:
            frames, state = self._network.remember(
                np.concatenate([one.inputs for one in group]),
                np.concatenate([one.state for one in group], axis=2),
                group[0].keep,
            )
        except BaseException as err:  # noqa: BLE001 - each of those who wait has to hear it
            for one in group:
                one.error = err
            return
        ends = np.cumsum([len(one.inputs) for one in group])[:-1]
        parts = zip(group, np.split(frames, ends), np.split(state, ends, axis=2), strict=True)
        for one, its_frames, its_state in parts:
            one.made = (its_frames, its_state)
