"""What a codec is: EnCodec (Défossez et al. 2022) between frames of codes and audio.

Shapes: codes are `(K, frames)` int64, K codebooks in all (`channels` × `codebooks`; of a stereo codec the even ones are
left and the odd ones right); audio is `(channels, samples)` float32 at `architecture.sample_rate_hz`, nominally within
±1, `hop_samples` samples a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import CodecArchitecture

__all__ = ["Codec", "StreamDecoder"]


class StreamDecoder(Protocol):
    """Turns one take's codes into audio as they come. However they are cut, the audio joined is that of the whole.

    It lags behind by `lag_frames`: how a frame sounds depends on a few frames after it.
    """

    @property
    def lag_frames(self) -> int:
        """By how many frames."""

    def push(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Take the next frames (K, any number); return the audio that has become final, maybe none.

        Raises:
            EngineError: the codes are not the codec's, or the decoder was finished.
        """

    def finish(self) -> npt.NDArray[np.float32]:
        """Say that there are no more frames; return the rest of the audio."""


class Codec(Protocol):
    """A codec with its weights on a device. Thread-safe; each of its decoders belongs to one thread at a time.

    Takes that are pushed from threads of their own at about the same time, by equally many frames, share work: do not
    hold a lock around `push`.
    """

    architecture: CodecArchitecture

    def decoder(self) -> StreamDecoder:
        """Begin a take. Any number of decoders share the weights."""

    def decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the audio of a whole piece."""

    def encode(self, audio: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the codes of audio, its last frame padded as the codec does it.

        The encoder's weights are loaded for this call only.

        Raises:
            EngineError: the audio is not of the codec's channels, or empty.
        """

    def close(self) -> None:
        """Give the memory back."""
