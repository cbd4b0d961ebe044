"""Puts a delivery where Ardour finds it: the audio first, then the manifest, which appears whole. Blocking."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from dgx_music.delivery.ardour.fnv import fingerprint
from dgx_music.delivery.ardour.layout import NO_LINKS, write_once
from dgx_music.delivery.ardour.lua_text import lua_chunk
from dgx_music.delivery.ardour.manifest import manifest_of, offered_files

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from dgx_music.delivery.ardour.layout import SessionSpool
    from dgx_music.jobs import Job
    from dgx_music.jobs.deliveries import Delivery
    from dgx_music.library.take import StagedFile

__all__ = ["TakeLostError", "check_library", "clean_audio", "clean_old", "prepare", "put_up"]

_OLD_S = 3600.0


class TakeLostError(Exception):
    """Raised when the library no longer holds what was recorded; `code` is `vanished` or `damaged`."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def check_library(job: Job, delivery: Delivery, library: Path) -> None:
    """Compare the files of a delivery with their records.

    Raises:
        TakeLostError: one of them is gone, or not what it was.
    """
    for entry in offered_files(job, delivery, 1):
        _check(library / entry.file.final, entry.file)


def prepare(spool: SessionSpool, job: Job, delivery: Delivery, offer: int, library: Path) -> bytes:
    """Put the audio of an offer into the spool; return the manifest to put up. May be done again.

    Raises:
        TakeLostError: the library no longer holds what was recorded.
        OSError: the spool cannot be written.
        ValueError: the manifest holds what cannot be written for Lua.
    """
    spool.make()
    folder = spool.offer_folder(delivery.id, offer)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    files = []
    try:
        for entry in offered_files(job, delivery, offer):
            original = library / entry.file.final
            _check(original, entry.file)
            path = folder / entry.name
            _bring(original, path)
            files.append((entry, str(path), fingerprint(path)))
    except BaseException:  # copies that fill the disk must not stay there until it has room
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return lua_chunk(manifest_of(job, delivery, offer, files))


def put_up(spool: SessionSpool, manifest: bytes) -> bool:
    """Let Ardour find what was prepared; False where it has just given an offer back, which stays.

    Raises:
        OSError: the spool cannot be written.
    """
    return write_once(spool.next, manifest)


def clean_audio(spool: SessionSpool, keep: Collection[tuple[str, int]]) -> None:
    """Remove the audio of all offers but these, each a delivery and the offer's number."""
    kept = {spool.offer_folder(*offer) for offer in keep}
    with contextlib.suppress(OSError):
        for folder in list(spool.audio.iterdir()):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def clean_old(spool: SessionSpool) -> None:
    """Remove answers that nobody fetched and what broken writes left, when they are an hour old."""
    oldest = time.time() - _OLD_S
    for pattern in ("answer.*", "part.*"):
        for path in spool.folder.glob(pattern):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    path.unlink()


def _check(path: Path, file: StagedFile) -> None:
    try:
        with path.open("rb") as opened:
            whole = (
                os.fstat(opened.fileno()).st_size == file.size_bytes
                and hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
            )
    except FileNotFoundError:
        raise TakeLostError("vanished", f"{path} is no longer in the library") from None
    except OSError as err:
        raise TakeLostError("vanished", f"{path} cannot be read: {err.strerror or err}") from err
    if not whole:
        raise TakeLostError("damaged", f"{path} is not what was made: its size or its hash differs")


def _bring(original: Path, path: Path) -> None:
    try:
        os.link(original, path, follow_symlinks=False)
    except OSError as err:
        if err.errno not in NO_LINKS:
            raise
        with original.open("rb") as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
