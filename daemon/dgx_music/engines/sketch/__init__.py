"""The engine without weights: a composer made of rules, and instruments made of numpy."""

from __future__ import annotations

from dgx_music.engines.sketch.engine import SketchEngine

__all__ = ["SketchEngine"]
