"""Which files make a model, as `locate` finds them and `load_checkpoint` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.engines.musicgen.catalogue import ModelCard

__all__ = ["Missing", "ModelFiles"]


@dataclass(frozen=True)
class ModelFiles:
    """A model that is here."""

    name: str
    """The catalogue's name, or the folder's."""
    format: Literal["hub", "audiocraft"]
    folder: Path
    weights: tuple[Path, ...]
    """Every file that holds weights, those of codec and text encoder too: what `weights_sha256` is made of."""
    lm: tuple[Path, ...]
    """The files that hold the language model; in the hub's format all else too."""
    codec: Path | None
    """`compression_state_dict.bin`, or the folder of an EnCodec in the hub's format. `None`: it stands in `lm`."""
    text: Path | None
    """The folder of the T5 encoder in the hub's format. `None`: it stands in `lm`."""
    tokenizer: Path
    """The folder with `tokenizer.json` or `spiece.model`."""
    licence: str
    """Of the weights, as an SPDX name; empty where it is not known."""


@dataclass(frozen=True)
class Missing:
    """A model that cannot be used as it is, and why."""

    name: str
    reason: str
    """What was looked for, where, and what would help."""
    card: ModelCard | None = None
    """What `download` would fetch; `None` where that would not help."""
