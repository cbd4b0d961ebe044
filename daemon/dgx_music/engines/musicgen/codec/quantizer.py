"""Residual vector quantisation (Zeghidour et al. 2021, algorithm 1), in numpy: it is little work beside the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

__all__ = ["Quantizer"]


class Quantizer:
    """Between codes (channels, K, frames) and latent frames (channels, dimension, frames); K codebooks a channel."""

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]], codebooks: int) -> None:
        self._books = [np.asarray(weights[f"codebooks.{book}"], np.float32) for book in range(codebooks)]

    def decode(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the latent frames: the sum of the codebooks' entries.

        Raises:
            EngineError: a code is not of its codebook.
        """
        bins, dimension = self._books[0].shape
        if codes.size and (codes.min() < 0 or codes.max() >= bins):
            raise EngineError(
                f"codes from {codes.min()} to {codes.max()} came to the codec, whose codebooks have 0 to {bins - 1}"
            )
        channels, _, frames = codes.shape
        latent = np.zeros((channels, frames, dimension), np.float32)
        for book, entries in enumerate(self._books):
            latent += entries[codes[:, book]]
        return np.ascontiguousarray(latent.transpose(0, 2, 1))

    def encode(self, latent: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the codes: of each codebook in turn the entry that is nearest to what is left.

        Where two entries are equally near but for rounding, another implementation may choose the other one.
        """
        rest = latent.transpose(0, 2, 1).astype(np.float32)  # (channels, frames, dimension)
        codes = []
        for entries in self._books:
            # |x − e|² without |x|², which is the same for all entries
            distance = (entries**2).sum(axis=1) - 2.0 * (rest @ entries.T)
            nearest = distance.argmin(axis=-1)
            rest = rest - entries[nearest]
            codes.append(nearest)
        return np.stack(codes, axis=1).astype(np.int64)
