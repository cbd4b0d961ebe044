"""MusicGen (Copet et al. 2023): the neural engine."""

from __future__ import annotations

from dgx_music.engines.musicgen.engine import MusicGenEngine

__all__ = ["MusicGenEngine"]
