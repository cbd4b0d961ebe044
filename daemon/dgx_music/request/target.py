"""`SessionTarget`: where takes land in a running Ardour, and how they lie there."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReplacedRegion", "SessionTarget"]

_FARTHEST_SAMPLES = 10**14 - 1
"""Ardour's clock overflows at some 2.6 · 10^14 samples of 32 kHz, and later at higher rates."""


class ReplacedRegion(BaseModel):
    """A region that a take stands in for: where it lies in the session, and what it is called there."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    position: int = Field(
        ge=0, le=_FARTHEST_SAMPLES, description="where the region starts, in samples of the session"
    )
    length: int = Field(ge=1, le=_FARTHEST_SAMPLES, description="the region's length in samples")
    name: str = Field("", max_length=1000, description="the region's name")


class SessionTarget(BaseModel):
    """Where a take is to land in a running Ardour."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: str = Field(min_length=1, max_length=4096, description="the Ardour session's folder")
    position: int = Field(
        0, ge=0, le=_FARTHEST_SAMPLES, description="where the take starts, in samples of the session"
    )
    track: str | None = Field(None, max_length=200, description="an existing track; a new one if left out")
    playlist: str | None = Field(None, max_length=200, description="the name of the playlist")
    playlists: Literal["new", "copy", "join"] = Field(
        "new",
        description="on an existing track: new empty playlists, copies of its active one, or the one of that name",
    )
    on_top: Literal["take", "mine"] = Field(
        "take", description="what is heard after landing: the take, or the track's own playlist as before"
    )
    stems: bool = Field(default=False, description="the stems land too, one track each")
    replace: ReplacedRegion | None = Field(
        None, description="the region that the take stands in for, in a copy of the track's playlist"
    )
