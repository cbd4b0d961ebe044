"""Weights in the form that a back end maps into memory, made once and kept in the cache folder.

A prepared folder appears under its name complete or not at all: it is built under a temporary name, synced, and moved
there. Whoever comes while another process builds it waits and finds it; what a crash leaves is cleared by the next.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.errors import EngineError
from dgx_music.library.publish import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PreparedKey", "prepared_folder"]

_MANIFEST = "complete.json"
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class PreparedKey:
    """What a prepared folder holds; one of its three parts changes whenever its content would."""

    what: str
    """For whom it is: `lm-int8`, `codec-onnx`, …; a file name."""
    source_sha256: str
    """Hash of the weights that it is made from."""
    version: int
    """Goes up whenever the same weights would be prepared differently."""

    @property
    def family(self) -> str:
        """The name of all versions."""
        return f"{self.what}-{self.source_sha256[:24]}"

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.family}-v{self.version}"


def prepared_folder(
    cache_dir: Path, key: PreparedKey, build: Callable[[Path], None], bytes_needed: int = 0
) -> Path:
    """Return the folder with what `build` makes, making it if it is not there yet.

    Other versions of the same are removed when a new one has been made; a process that has their files mapped keeps
    what it has mapped.

    Args:
        cache_dir: made if absent; may be deleted at any time.
        key: what is wanted.
        build: fills the empty folder that it is given with files (no folders). It should write them (`write`,
            `numpy.tofile`) and not map them for writing: a full disk then is an error and not a signal.
        bytes_needed: about how much it will write, to find out beforehand that the disk is too small; 0 if unknown.

    Raises:
        EngineError: the cache folder cannot be written or the disk is full. What `build` raises passes through.
    """
    final = cache_dir / key.name
    if _is_complete(final):
        return final
    try:
        cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(cache_dir / f".{key.family}.lock"):
            if not _is_complete(final):  # else somebody built it while we waited
                _clear_leftovers(cache_dir, key)
                _check_room(cache_dir, key, bytes_needed)
                _build(cache_dir, key, build)
                _remove_other_versions(cache_dir, key)
    except OSError as err:
        raise _taught(err, cache_dir, key) from err
    return final


def _is_complete(folder: Path) -> bool:
    """Whether all files are there in the sizes that they were written with (disks lose ends, people clean up)."""
    try:
        sizes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel frees when the process ends; without one where the file system has none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as err:
            if err.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def _clear_leftovers(cache_dir: Path, key: PreparedKey) -> None:
    for left in cache_dir.glob(f".{key.family}-v*.part"):
        shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(cache_dir / key.name, ignore_errors=True)


def _check_room(cache_dir: Path, key: PreparedKey, bytes_needed: int) -> None:
    free = shutil.disk_usage(cache_dir).free
    if free < bytes_needed:
        raise EngineError(
            f"{cache_dir}: preparing {key.what} takes {bytes_needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free; "
            "make room, or name a folder on another disk as musicgen.cache_dir"
        )


def _build(cache_dir: Path, key: PreparedKey, build: Callable[[Path], None]) -> None:
    part = Path(tempfile.mkdtemp(prefix=f".{key.name}.", suffix=".part", dir=cache_dir))
    try:
        build(part)
        sizes = {file.name: file.stat().st_size for file in sorted(part.iterdir())}
        (part / _MANIFEST).write_text(json.dumps(sizes) + "\n", encoding="utf-8")
        for file in part.iterdir():
            _sync_file(file)
        sync_folder(part)
        try:
            part.rename(cache_dir / key.name)
        except OSError:
            if not _is_complete(
                cache_dir / key.name
            ):  # where there are no locks, another may have been first
                raise
        sync_folder(cache_dir)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync_file(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_other_versions(cache_dir: Path, key: PreparedKey) -> None:
    for folder in cache_dir.glob(f"{key.family}-v*"):
        if folder.name != key.name:
            shutil.rmtree(folder, ignore_errors=True)


def _taught(err: OSError, cache_dir: Path, key: PreparedKey) -> EngineError:
    what = f"{key.what} cannot be prepared: {err.strerror or err}"
    if err.errno in _FULL:
        what += "; make room there, or name a folder on another disk as musicgen.cache_dir"
    else:
        what += "; musicgen.cache_dir must name a folder that can be written"
    return EngineError(f"{err.filename or cache_dir}: {what}")
