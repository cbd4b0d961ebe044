"""Random numbers: one stream a purpose, so that leaving a part out changes nothing in the others."""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["Purpose", "stream"]

Purpose = Literal["plan", "harmony", "drums", "bass", "chords", "pad", "lead", "timbre", "room", "crackle"]
_ORDER: tuple[Purpose, ...] = (
    "plan", "harmony", "drums", "bass", "chords", "pad", "lead", "timbre", "room", "crackle",
)  # fmt: skip


def stream(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """Return the generator for one purpose of one take; `index` tells phrases or sounds apart."""
    sequence = np.random.SeedSequence(seed, spawn_key=(_ORDER.index(purpose), index))
    return np.random.Generator(np.random.PCG64(sequence))
