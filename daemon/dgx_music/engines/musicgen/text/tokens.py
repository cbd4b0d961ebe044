"""Words to the token numbers that T5 was trained on (SentencePiece, Kudo & Richardson 2018), without transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["load_tokenizer"]


def load_tokenizer(folder: Path) -> Callable[[str], list[int]]:
    """Return what turns a prompt into token numbers, the one for the end last.

    Args:
        folder: with `tokenizer.json` or `spiece.model`; the first is taken where both are there.

    Raises:
        EngineError: neither is there, or it cannot be read.
    """
    if (folder / "tokenizer.json").is_file():
        return _from_json(folder / "tokenizer.json")
    if (folder / "spiece.model").is_file():
        return _from_sentencepiece(folder / "spiece.model")
    raise EngineError(
        f"{folder}: neither tokenizer.json nor spiece.model is there; one of them belongs to the model, fetch it anew"
    )


def _from_json(path: Path) -> Callable[[str], list[int]]:
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415
    except ImportError as err:
        raise EngineError(
            f"{path}: reading it needs the package tokenizers; run install.sh --musicgen"
        ) from err

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as err:  # the library raises Exception itself
        raise EngineError(f"{path}: cannot be read as a tokenizer ({err}); fetch the model anew") from err
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: list(tokenizer.encode(text).ids)


def _from_sentencepiece(path: Path) -> Callable[[str], list[int]]:
    try:
        from sentencepiece import SentencePieceProcessor  # noqa: PLC0415
    except ImportError as err:
        raise EngineError(
            f"{path}: reading it needs the package sentencepiece; run install.sh --musicgen"
        ) from err

    try:
        processor = SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as err:
        raise EngineError(f"{path}: cannot be read as a tokenizer ({err}); fetch the model anew") from err
    return lambda text: [*processor.encode(text), processor.eos_id()]
