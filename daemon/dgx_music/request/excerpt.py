"""`AudioExcerpt`: the stretch of somebody's audio that the music goes on from, or follows."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dgx_music.request.structured import from_json_text

__all__ = ["MAX_CHANNELS", "AudioExcerpt", "FileChannel"]

MAX_CHANNELS = 64
"""Of an excerpt, and of a file that one is read from."""


class FileChannel(BaseModel):
    """One channel of an audio file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: str = Field(min_length=1, max_length=4096, description="an audio file inside an allowed folder")
    channel: int = Field(0, ge=0, le=MAX_CHANNELS - 1, description="which of its channels, from 0")


class AudioExcerpt(BaseModel):
    """A stretch of an audio file that the music is to continue or to follow.

    A DAW keeps a stereo recording as one mono file a channel, or takes a region's channels from several files: then
    `path` and `channel` name the first of them, and `more` those that follow it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: str = Field(min_length=1, max_length=4096, description="an audio file inside an allowed folder")
    start: int = Field(0, ge=0, description="first sample, in samples of that file")
    length: int | None = Field(None, ge=1, description="number of samples; to the file's end if left out")
    channel: int | None = Field(
        None, ge=0, le=MAX_CHANNELS - 1, description="one channel of the file, from 0; all if left out"
    )
    more: Annotated[tuple[FileChannel, ...], BeforeValidator(from_json_text)] = Field(
        (),
        max_length=MAX_CHANNELS - 1,
        description="further channels: the same stretch of other files, one channel each",
    )

    @property
    def sources(self) -> tuple[FileChannel, ...]:
        """The channels that were named one by one, in order; empty where the whole of one file is meant."""
        if self.channel is None and not self.more:
            return ()
        return (FileChannel(path=self.path, channel=self.channel or 0), *self.more)
