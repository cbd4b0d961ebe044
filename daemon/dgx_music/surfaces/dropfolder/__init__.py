"""The drop folder: a way in for everything that can save a file."""

from __future__ import annotations

from dgx_music.surfaces.dropfolder.surface import DropFolder

__all__ = ["DropFolder"]
