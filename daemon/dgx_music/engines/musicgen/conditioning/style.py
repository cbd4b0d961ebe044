"""The style encoder of MusicGen-Style (Rouard et al. 2024): a few seconds of music as a few coarse vectors.

Features of MERT → projection → transformer over all of them (pre-norm, sinusoidal positions, no mask) → normalisation
by the statistics of training → residual vector quantiser, of which the first books are used → every 15th → projection to
the language model's width. Fewer books let through less of the music than its style.

Shapes: T frames of features (75 a second), F their width (768), w the encoder's width, P = ⌈T / 15⌉, d the language
model's width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from dgx_music.engines.musicgen.checkpoint.expected import STYLE_SCALES
from dgx_music.errors import EngineError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import StyleArchitecture

__all__ = ["StyleEncoder", "middle"]

_NORM_EPS = 1e-5
_SHORTEST_S = 1.5
"""The shortest excerpt of training."""


def middle(wave: npt.NDArray[np.float32], sample_rate_hz: int, length_s: float) -> npt.NDArray[np.float32]:
    """Cut the middle out of (samples,): all of it where it is not longer than `length_s`.

    audiocraft cuts at random instead; the same request has to give the same take here.

    Raises:
        RequestError: it is shorter than the shortest excerpt of training.
    """
    if len(wave) < _SHORTEST_S * sample_rate_hz:
        raise RequestError(
            f"a style needs {_SHORTEST_S} s of music; the excerpt has {len(wave) / sample_rate_hz:.2f} s"
        )
    length = min(len(wave), int(length_s * sample_rate_hz))
    start = (len(wave) - length) // 2
    return wave[start : start + length]


class StyleEncoder:
    """Turns features into a style, with weights by their canonical names (`style.…`).

    Args:
        architecture: the checkpoint's own settings.
        lm: the language model's weights.

    Raises:
        EngineError: the checkpoint's encoder takes other features than MERT's.
    """

    def __init__(self, architecture: StyleArchitecture, lm: Mapping[str, npt.NDArray[np.floating]]) -> None:
        options = dict(architecture.options)
        features = options["model_name"]
        if features != "mert":
            raise EngineError(
                f"this style encoder takes features of {features!r}; only those of MERT can be made"
            )
        _, self._heads, self._layers = STYLE_SCALES[options["transformer_scale"]]
        self._factor = int(options.get("ds_factor", "15"))
        self.books = int(options.get("eval_q", "3"))
        """How many books of the quantiser are used where nothing else is asked for."""
        self.length_s = float(options.get("length", "3.0"))
        """How much music is listened to."""
        prefix = "style."
        self._weights = {
            name.removeprefix(prefix): np.asarray(lm[name], np.float32)
            for name in lm
            if name.startswith(prefix)
        }
        self.most_books = int(options["n_q_out"])
        """How many books there are."""

    def encode(
        self, features: npt.NDArray[np.float32], *, books: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Turn features (T, F) into a style (P, d).

        Args:
            features: MERT's last hidden states.
            books: how many books of the quantiser to use; fewer are a narrower bottleneck.

        Raises:
            RequestError: there are not so many books.
        """
        books = self.books if books is None else books
        if not 1 <= books <= max(1, self.most_books):
            raise RequestError(f"the style can be quantised with 1 to {self.most_books} books, not {books}")
        hidden = self._linear("embed", features)
        if self._layers:
            hidden += _sinusoids(*hidden.shape)
        for layer in range(self._layers):
            at = f"transformer.layers.{layer}"
            hidden += self._attend(f"{at}.self_attn", self._norm(f"{at}.norm1", hidden))
            inner = self._linear(f"{at}.linear1", self._norm(f"{at}.norm2", hidden))
            inner *= scipy.special.ndtr(inner)  # GELU, not approximated
            hidden += self._linear(f"{at}.linear2", inner)
        if "batch_norm.running_mean" in self._weights:
            variance = self._weights["batch_norm.running_var"] + _NORM_EPS
            hidden = (hidden - self._weights["batch_norm.running_mean"]) / np.sqrt(variance)
        # Each frame is quantised by itself, so those that are left out need not be.
        return self._linear("output_proj", self._quantise(hidden[:: self._factor], books))

    def _quantise(self, hidden: npt.NDArray[np.float32], books: int) -> npt.NDArray[np.float32]:
        if not self.most_books:
            return hidden
        residual = hidden
        for book in range(books):
            entries = self._weights[f"rvq.vq.layers.{book}._codebook.embed"]  # (bins, w)
            distances = np.square(entries).sum(axis=1) - 2 * residual @ entries.T
            residual = residual - entries[distances.argmin(axis=1)]
        quantised: npt.NDArray[np.float32] = hidden - residual
        return quantised

    def _attend(self, name: str, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        frames, width = hidden.shape
        projected = hidden @ self._weights[f"{name}.in_proj_weight"].T
        if f"{name}.in_proj_bias" in self._weights:
            projected += self._weights[f"{name}.in_proj_bias"]
        # (T, 3w) → three of (heads, T, w / heads)
        query, key, value = projected.reshape(frames, 3, self._heads, -1).transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(width // self._heads))
        attended = scipy.special.softmax(scores, axis=-1) @ value
        return self._linear(f"{name}.out_proj", attended.transpose(1, 0, 2).reshape(frames, width))

    def _norm(self, name: str, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        centred = hidden - hidden.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + np.float32(_NORM_EPS))
        normed: npt.NDArray[np.float32] = (
            centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        )
        return normed

    def _linear(self, name: str, hidden: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        product: npt.NDArray[np.float32] = hidden @ self._weights[f"{name}.weight"].T
        if f"{name}.bias" in self._weights:
            product += self._weights[f"{name}.bias"]
        return product


def _sinusoids(frames: int, width: int) -> npt.NDArray[np.float32]:
    """Return positions as cosines and sines of w / 2 frequencies from 1 to 1 / 10000, (T, w)."""
    half = width // 2
    rates = 10_000.0 ** -(np.arange(half) / (half - 1))
    phases = np.arange(frames)[:, None] * rates
    return np.concatenate([np.cos(phases), np.sin(phases)], axis=1).astype(np.float32)
