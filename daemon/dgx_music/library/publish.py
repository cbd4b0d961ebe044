"""Moves staged files into the library: never over another file, and safe to do again after a crash.

Runs in the daemon's process. Each file appears under its final name complete or not at all: it is linked there
from the staging folder, and the link is refused where a name is taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dgx_music.errors import LibraryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.library.take import StagedFile

__all__ = ["discard", "publish", "sync_folder", "verify", "withdraw"]

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.ENOTTY}
"""What `link` says on file systems without hard links (FAT, some network shares), or across two of them."""
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def publish(files: Sequence[StagedFile], root: Path) -> list[Path]:
    """Give every staged file its final name below the library's root; return the final paths in order.

    Done again after a crash at any point, it ends in the same state: a file that is already in place with the
    right content is left as it is.

    Raises:
        LibraryError: when a final name lies outside the root, is taken by another file, or when a file is
            neither staged nor in place; what was published before stays.
    """
    published = []
    try:
        for file in files:
            final = _final_path(file, root)
            _make_folders(final.parent)
            _publish_one(file, Path(file.staged), final)
            sync_folder(final.parent)
            published.append(final)
        for file in files:
            Path(file.staged).unlink(missing_ok=True)
    except OSError as err:
        raise LibraryError(
            f"{err.filename or root}: the library cannot be written: {err.strerror or err}"
        ) from err
    return published


def verify(files: Sequence[StagedFile], root: Path) -> bool:
    """Say whether every file is there with the right content, in the library or still staged.

    Raises:
        LibraryError: when a final path leads out of the library.
    """
    return all(_holds(_final_path(file, root), file) or _holds(Path(file.staged), file) for file in files)


def withdraw(files: Sequence[StagedFile], root: Path) -> None:
    """Take back what a publication that did not come to its end put into the library.

    Only files with the recorded content go; whatever else bears such a name is somebody else's and stays.

    Raises:
        LibraryError: when one of them cannot be removed.
    """
    try:
        for file in files:
            try:
                final = _final_path(file, root)
            except LibraryError:
                continue  # nothing was ever published there
            if _holds(final, file):
                final.unlink()
                sync_folder(final.parent)
    except OSError as err:
        raise LibraryError(f"{err.filename or root}: cannot be taken back: {err.strerror or err}") from err


def discard(staging_dir: Path) -> None:
    """Remove a staging folder with everything in it; does nothing where there is none.

    Raises:
        LibraryError: when it cannot be removed.
    """
    try:
        shutil.rmtree(staging_dir)
    except FileNotFoundError:
        return
    except OSError as err:
        raise LibraryError(f"{staging_dir}: the staging folder cannot be removed: {err.strerror}") from err


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish_one(file: StagedFile, staged: Path, final: Path) -> None:
    try:
        if not os.path.lexists(final):
            os.link(staged, final, follow_symlinks=False)
            return
    except FileExistsError:
        pass  # in this very moment
    except FileNotFoundError:
        raise LibraryError(f"{staged}: the staged file is gone, and there is no {final} either") from None
    except OSError as err:
        if err.errno not in _NO_LINKS:
            raise
        if not _holds(staged, file):
            raise LibraryError(f"{staged}: is not what was staged: its size or hash differs") from err
        # No links here, so the library gets a copy; the name being taken is judged below.
        with contextlib.suppress(FileExistsError):
            copy_to_free_name(staged, final)
    if not _holds(final, file):
        raise LibraryError(
            f"{final}: the name is taken by another file, which is left as it is; the take is at {staged}"
        )


def copy_to_free_name(source: Path, target: Path) -> None:
    """Copy a file so that the target appears whole or not at all, and never in another file's place.

    Raises:
        FileExistsError: the target is there already; it is left alone.
        LibraryError: the file system can do neither links nor safe renames.
        OSError: the copy cannot be written.
    """
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with source.open("rb") as reader, part.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        _rename_to_free_name(part, target)
        sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _rename_to_free_name(part: Path, final: Path) -> None:
    """Rename, but fail where the new name exists: `rename` itself would replace the file."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(part), _AT_FDCWD, os.fsencode(final), _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS):
        raise LibraryError(
            f"{final.parent}: this file system can neither link files nor rename them without replacing others; "
            "put the library on another one"
        )
    raise OSError(code, os.strerror(code), str(final))


def _make_folders(folder: Path) -> None:
    """Make the folders down to `folder`, each synced into its parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        sync_folder(folder.parent)


def _final_path(file: StagedFile, root: Path) -> Path:
    relative = PurePosixPath(file.final)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise LibraryError(f"{file.final!r} is not a path below the library")
    final = root / relative
    if not final.parent.resolve().is_relative_to(root.resolve()):
        raise LibraryError(f"{final}: a link leads out of the library {root}")
    return final


def _holds(path: Path, file: StagedFile) -> bool:
    """Say whether the path is a regular file with the recorded size and hash."""
    try:
        if path.is_symlink() or path.stat().st_size != file.size_bytes:
            return False
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError:
        # Not there, or not to be read: in neither case is it known to be the file.
        return False
