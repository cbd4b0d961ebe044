"""Runs a SEANet in pieces such that the pieces joined are what it makes of the whole.

The front and the back are convolutions: an output depends on the inputs a few frames to either side (`front_margin`,
`back_margin`). The LSTM depends on all that went before and keeps it in its state. So a piece is computed from its
frames and the margins around them, what the margins spoil is cut off, and the LSTM's state and the last frames of its
output are carried over. The padding at the ends of the piece falls into place by itself: where there is no margin to
take, the network pads as it would for the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.musicgen.codec.seanet import Seanet

__all__ = ["Network", "Stream"]

_Floats: TypeAlias = "npt.NDArray[np.float32]"
Range: TypeAlias = tuple[int, int]
"""Half open."""


class Network(Protocol):
    """A SEANet on a device. The LSTM's state is (2, layers, batch, width): what it says, and what it keeps to itself."""

    seanet: Seanet
    channels_out: int

    def remember(self, inputs: _Floats, state: _Floats, keep: Range) -> tuple[_Floats, _Floats]:
        """Pass inputs through the front, and of that the frames to keep through the LSTM.

        Args:
            inputs: (batch, channels, time), time in whole frames but for the end of a piece.
            state: the LSTM's before.
            keep: frames of the front's output.

        Returns:
            The LSTM's output (batch, width, frames) and its state afterwards.
        """

    def express(self, frames: _Floats, keep: Range) -> _Floats:
        """Pass frames of the LSTM's output through the back; return the outputs to keep (batch, channels_out, n)."""


class Stream:
    """One piece on its way through a network. Inputs are (batch, channels, time), whole frames until the last."""

    def __init__(self, network: Network, batch: int) -> None:
        self._network = network
        self._batch = batch
        seanet = network.seanet
        layers = seanet.lstm.layers if seanet.lstm else 0
        self._state = np.zeros((2, layers, batch, seanet.width), np.float32)
        self._tail = np.zeros((batch, seanet.width, 0), np.float32)
        """The last frames of the LSTM's output, which the back needs once more."""
        self._kept: _Floats | None = None
        """The last inputs, which the front needs once more."""
        self._came = 0
        """Frames that came in so far."""
        self._kept_from = 0
        """The first frame in `_kept`."""
        self._remembered = 0
        """Frames that the LSTM has had."""
        self._made = 0
        """Frames that were returned."""

    def push(self, inputs: _Floats, *, last: bool = False) -> _Floats:
        """Take the next inputs; return the outputs that have become final (batch, channels, samples)."""
        seanet = self._network.seanet
        self._kept = inputs if self._kept is None else np.concatenate([self._kept, inputs], axis=-1)
        self._came += -(-inputs.shape[-1] // seanet.hop_in)
        (front_left, front_right), (back_left, back_right) = seanet.front_margin, seanet.back_margin
        known = self._came if last else max(self._came - front_right, self._remembered)
        made = self._came if last else max(known - back_right, self._made)
        if made == self._made:
            return np.zeros((self._batch, self._network.channels_out, 0), np.float32)

        new, self._state = self._network.remember(
            self._kept, self._state, (self._remembered - self._kept_from, known - self._kept_from)
        )
        frames = np.concatenate([self._tail, new], axis=-1)
        left = max(self._made - back_left, 0)
        outputs = self._network.express(
            frames, ((self._made - left) * seanet.hop_out, (made - left) * seanet.hop_out)
        )
        # Copies, lest all that they are cut out of stays alive with them.
        self._tail = frames[..., max(made - back_left, 0) - left :].copy()
        kept_from = max(known - front_left, 0)
        self._kept = self._kept[..., (kept_from - self._kept_from) * seanet.hop_in :].copy()
        self._kept_from, self._remembered, self._made = kept_from, known, made
        return outputs

    @property
    def lag_frames(self) -> int:
        """By how many frames the outputs are behind the inputs."""
        return self._network.seanet.front_margin[1] + self._network.seanet.back_margin[1]
