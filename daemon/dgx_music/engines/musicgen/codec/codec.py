"""The codec over any back end: stereo, cutting long pieces, checking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.codec.quantizer import Quantizer
from dgx_music.engines.musicgen.codec.stream import Stream
from dgx_music.engines.musicgen.codec.together import Together
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import CodecArchitecture
    from dgx_music.engines.musicgen.codec.stream import Network

__all__ = ["EncodecCodec"]

_PIECE_FRAMES = 50
"""How much is decoded or encoded at a time (1 s): memory grows with it and speed hardly does."""


class EncodecCodec:
    """See `base.Codec`."""

    def __init__(
        self,
        architecture: CodecArchitecture,
        weights: Mapping[str, npt.NDArray[Any]],
        decoder: Network,
        make_encoder: Callable[[], Network],
    ) -> None:
        """Take the decoder's network and a maker of the encoder's."""
        self.architecture = architecture
        self._quantizer = Quantizer(weights, architecture.codebooks)
        self._decoder: Network | None = Together(decoder)
        self._make_encoder = make_encoder

    def decoder(self) -> EncodecStreamDecoder:
        """Begin a take; see `base.Codec`."""
        if self._decoder is None:
            raise EngineError("the codec has been closed; load it again")
        return EncodecStreamDecoder(self.architecture, self._quantizer, self._decoder)

    def decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the audio of a whole piece; see `base.Codec`."""
        decoder = self.decoder()
        made = [
            decoder.push(codes[:, start : start + _PIECE_FRAMES])
            for start in range(0, codes.shape[1], _PIECE_FRAMES)
        ]
        return np.concatenate([*made, decoder.finish()], axis=1)

    def encode(self, audio: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the codes of audio; see `base.Codec`."""
        channels = self.architecture.channels
        if audio.ndim != 2 or audio.shape[0] != channels or not audio.shape[1]:
            raise EngineError(
                f"audio of shape {audio.shape} came to a codec that takes ({channels}, samples)"
            )
        stream = Stream(self._make_encoder(), channels)
        piece = _PIECE_FRAMES * self.architecture.hop_samples
        inputs = np.ascontiguousarray(audio[:, None], np.float32)
        latent = [
            stream.push(inputs[..., start : start + piece], last=start + piece >= audio.shape[1])
            for start in range(0, audio.shape[1], piece)
        ]
        codes = self._quantizer.encode(np.concatenate(latent, axis=-1))  # (channels, K a channel, frames)
        return codes.transpose(1, 0, 2).reshape(-1, codes.shape[-1])

    def close(self) -> None:
        """Give the memory back."""
        self._decoder = None


class EncodecStreamDecoder:
    """See `base.StreamDecoder`."""

    def __init__(self, architecture: CodecArchitecture, quantizer: Quantizer, network: Network) -> None:
        self._architecture = architecture
        self._quantizer = quantizer
        self._stream = Stream(network, architecture.channels)
        self._finished = False

    @property
    def lag_frames(self) -> int:
        """How many frames the audio lags behind the codes."""
        return self._stream.lag_frames

    def push(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Take the next frames; return the audio that has become final."""
        if self._finished:
            raise EngineError("frames came to a take that was finished; begin another one")
        return self._push(codes, last=False)

    def finish(self) -> npt.NDArray[np.float32]:
        """Return the rest of the audio."""
        self._finished = True
        books = self._architecture.codebooks * self._architecture.channels
        return self._push(np.zeros((books, 0), np.int64), last=True)

    def _push(self, codes: npt.NDArray[np.int64], *, last: bool) -> npt.NDArray[np.float32]:
        arch = self._architecture
        books = arch.codebooks * arch.channels
        if codes.ndim != 2 or codes.shape[0] != books:
            raise EngineError(f"codes of shape {codes.shape} came to a codec that takes ({books}, frames)")
        by_channel = codes.reshape(arch.codebooks, arch.channels, -1).transpose(1, 0, 2)
        return self._stream.push(self._quantizer.decode(by_channel), last=last)[:, 0]
