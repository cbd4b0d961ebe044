"""Open Sound Control over UDP: the way in for Ardour's scripts and for control surfaces."""

from __future__ import annotations

from dgx_music.surfaces.osc.surface import OscSurface

__all__ = ["OscSurface"]
