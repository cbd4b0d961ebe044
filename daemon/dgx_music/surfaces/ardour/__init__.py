"""The desk: answers what Ardour's scripts ask. They ask by OSC, and are answered by a file in their session's spool."""

from __future__ import annotations

from dgx_music.surfaces.ardour.desk import Desk

__all__ = ["Desk"]
