"""The published MusicGen models, by name. Imports nothing heavy.

Sources: the model cards and file lists on the hub (huggingface.co/facebook/musicgen-…) and audiocraft's
`docs/MUSICGEN.md`, `docs/MUSICGEN_STYLE.md` and `model_cards/`, which give the licence of the weights as CC-BY-NC 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CATALOGUE", "ModelCard", "find_card"]


@dataclass(frozen=True)
class ModelCard:
    """What is known of a published model before it is here."""

    name: str
    """`musicgen-small`"""
    repository: str
    """Where it lies on the hub."""
    parameters: str
    """Parameters of the language model, as published."""
    channels: int = 1
    hears: Literal["", "melody", "style"] = ""
    """What it takes from audio besides a beginning to continue."""
    licence: str = "CC-BY-NC-4.0"
    """Of the weights, as an SPDX name: not for commercial use. audiocraft's code has another (MIT)."""


def _card(
    name: str, parameters: str, channels: int = 1, hears: Literal["", "melody", "style"] = ""
) -> tuple[str, ModelCard]:
    return name, ModelCard(name, f"facebook/{name}", parameters, channels, hears)


CATALOGUE: dict[str, ModelCard] = dict(
    [
        _card("musicgen-small", "300M"),
        _card("musicgen-medium", "1.5B"),
        _card("musicgen-large", "3.3B"),
        _card("musicgen-melody", "1.5B", hears="melody"),
        _card("musicgen-melody-large", "3.3B", hears="melody"),
        _card("musicgen-stereo-small", "300M", channels=2),
        _card("musicgen-stereo-medium", "1.5B", channels=2),
        _card("musicgen-stereo-large", "3.3B", channels=2),
        _card("musicgen-stereo-melody", "1.5B", channels=2, hears="melody"),
        _card("musicgen-stereo-melody-large", "3.3B", channels=2, hears="melody"),
        _card("musicgen-style", "1.5B", hears="style"),
    ]
)


def find_card(name: str) -> ModelCard | None:
    """Return a model's card by its name, with or without `facebook/` and `musicgen-`; `None` where there is none."""
    plain = name.strip().lower().removeprefix("facebook/").removeprefix("musicgen-")
    return CATALOGUE.get(f"musicgen-{plain}")
