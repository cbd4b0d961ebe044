"""The error of everything that can be wrong with a model's files."""

from __future__ import annotations

from dgx_music.errors import EngineError

__all__ = ["ModelError"]


class ModelError(EngineError):
    """Raised when a model's files are absent, incomplete, damaged or of a kind that this engine cannot play."""

    code = "model"
