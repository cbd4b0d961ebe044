"""The reference engine: audiocraft's own MusicGen, for comparison and for whoever wants it."""

from __future__ import annotations

from dgx_music.engines.audiocraft.engine import AudiocraftEngine

__all__ = ["AudiocraftEngine"]
