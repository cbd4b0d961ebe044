"""Checkpoints: finding them, fetching them, and reading both public formats under one set of names."""

from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.files import Missing, ModelFiles
from dgx_music.engines.musicgen.checkpoint.load import Checkpoint, load_checkpoint
from dgx_music.engines.musicgen.checkpoint.locate import locate

__all__ = ["Checkpoint", "Missing", "ModelError", "ModelFiles", "load_checkpoint", "locate"]
