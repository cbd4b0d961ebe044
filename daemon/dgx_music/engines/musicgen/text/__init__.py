"""T5: from prompts to what the language model attends to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.engines.musicgen.text.encoder import TextEncoder
from dgx_music.engines.musicgen.text.tokens import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import TextArchitecture

__all__ = ["TextEncoder", "mapped_text", "torch_text"]

_PREPARATION_VERSION = 1


def mapped_text(
    architecture: TextArchitecture,
    weights: Mapping[str, npt.NDArray[Any]],
    lm: Mapping[str, npt.NDArray[Any]],
    tokenizer: Path,
    *,
    weights_sha256: str,
    cache_dir: Path,
) -> TextEncoder:
    """Return a text encoder that computes in numpy and keeps nothing in memory between prompts.

    Args:
        architecture: of the checkpoint.
        weights: `Checkpoint.text`; read when the cache has them not yet.
        lm: `Checkpoint.lm`, for the projection.
        tokenizer: `Checkpoint.tokenizer`.
        weights_sha256: names the weights in the cache.
        cache_dir: where the weights are kept in the form that is mapped into memory.

    Raises:
        EngineError: the tokenizer cannot be read, or the cache cannot be written.
    """
    from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder  # noqa: PLC0415
    from dgx_music.engines.musicgen.text.mapped import MappedWeights, write_weights  # noqa: PLC0415
    from dgx_music.engines.musicgen.text.t5_numpy import NumpyT5  # noqa: PLC0415

    key = PreparedKey("text", weights_sha256, _PREPARATION_VERSION)
    folder = prepared_folder(cache_dir, key, lambda folder: write_weights(folder, weights))
    return TextEncoder(load_tokenizer(tokenizer), NumpyT5(architecture, MappedWeights(folder)), lm)


def torch_text(
    architecture: TextArchitecture,
    weights: Mapping[str, npt.NDArray[Any]],
    lm: Mapping[str, npt.NDArray[Any]],
    tokenizer: Path,
    *,
    device: str,
) -> TextEncoder:
    """Return a text encoder that keeps its weights on a device, in float32.

    Args:
        architecture: of the checkpoint.
        weights: `Checkpoint.text`.
        lm: `Checkpoint.lm`, for the projection.
        tokenizer: `Checkpoint.tokenizer`.
        device: `cpu`, `cuda:0`, …

    Raises:
        EngineError: the tokenizer cannot be read.
    """
    from dgx_music.engines.musicgen.text.t5_torch import TorchT5  # noqa: PLC0415 - torch

    return TextEncoder(load_tokenizer(tokenizer), TorchT5(architecture, weights, device), lm)
