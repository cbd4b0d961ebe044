"""Brings audio files into a session folder, after checking that the session plays them as it says."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import SessionError
from .wav_header import read_wav_header
from .xml_file import rename_to_new, sync_folder, temporary_beside

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import AudioFile, Region


_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}
"""How a file system says that it cannot link these two places."""


def audio_folder(session_folder: Path, name: str | None = None) -> Path:
    """Where Ardour keeps and looks for the audio of a session.

    It takes the only folder inside `interchange/`, whatever its name, and else one named like the session folder.

    Args:
        session_folder: the folder of the session.
        name: the name that the session folder will have, if that is not its name yet.
    """
    interchange = session_folder / "interchange"
    present = [entry for entry in interchange.glob("[!.]*") if entry.is_dir()] if interchange.is_dir() else []
    inner = present[0].name if len(present) == 1 else (name or session_folder.name)
    return interchange / inner / "audiofiles"


def check_audio(files: Iterable[AudioFile], regions: Iterable[Region], sample_rate_hz: int) -> None:
    """Refuse audio that Ardour would play at another speed, cut short, or replace by silence.

    Raises:
        SessionError: a file is missing or no WAV, has another rate or fewer channels, or is shorter than a region.
    """
    frames: dict[str, int] = {}
    for file in files:
        path = location_of(file)
        try:
            header = read_wav_header(path)
        except FileNotFoundError:
            raise SessionError("the audio file is not there", path=path) from None
        if header.sample_rate_hz != sample_rate_hz:
            raise SessionError(
                f"the file has {header.sample_rate_hz} Hz, the session {sample_rate_hz} Hz: Ardour would play it at the"
                " wrong pitch",
                path=path,
            )
        if header.channel_count < file.channel_count:
            raise SessionError(
                f"the file has {header.channel_count} channels, the session uses {file.channel_count}",
                path=path,
            )
        frames[file.name] = header.frames
    for region in regions:
        for source in region.sources:
            end = region.start_samples + region.length_samples
            if source.file.name in frames and end > frames[source.file.name]:
                raise SessionError(
                    f"region {region.name!r} plays up to sample {end}, the file ends at {frames[source.file.name]}",
                    path=location_of(source.file),
                )


def location_of(file: AudioFile) -> Path:
    """Where the audio can be read before the session is written.

    Raises:
        SessionError: the file is to become part of the session, but nothing says where it comes from.
    """
    if file.is_outside:
        return Path(file.name)
    if file.origin is None:
        raise SessionError(
            f"audio file {file.name!r} has no origin: make it with AudioFile.taken_in(path), or refer to it where it is"
            " with AudioFile.left_outside(path)"
        )
    return file.origin


def take_all_in(files: Iterable[AudioFile], folder: Path, *, hard_link: bool) -> list[Path]:
    """Put files into the audio folder, all of them or none; those left outside stay there.

    A hard link costs no space and stays when the original is deleted; Ardour never writes into a file that it did not
    record. On another file system the file is copied instead.

    Returns:
        The paths of the new files.

    Raises:
        FileExistsError: the folder has a file of that name.
    """
    placed: list[Path] = []
    try:
        for file in files:
            if not file.is_outside:
                _take_in(location_of(file).resolve(), folder / file.name, hard_link=hard_link)
                placed.append(folder / file.name)
    except BaseException:
        for path in placed:
            path.unlink()
        raise
    sync_folder(folder)
    return placed


def _take_in(origin: Path, target: Path, *, hard_link: bool) -> None:
    if hard_link:
        try:
            os.link(origin, target)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            return
    temporary = temporary_beside(target)
    try:
        with origin.open("rb") as source, temporary.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        rename_to_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
