"""Configuration, database, folders, and the room that is left for them."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING

from dgx_music.doctor.check import Check, info, ok, problem, warning
from dgx_music.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dgx_music.doctor.check import Surroundings

__all__ = ["configuration", "database", "disk", "folders"]

_GIB = 1024**3
_LITTLE_BYTES = 5 * _GIB
_TOO_LITTLE_BYTES = 500 * 1024**2


def configuration(surroundings: Surroundings) -> Iterator[Check]:
    """The configuration can be read."""
    path = surroundings.paths.config_file
    if surroundings.config_error:
        yield problem("configuration", surroundings.config_error, f"correct {path}")
    elif path.exists():
        yield ok("configuration", str(path))
    else:
        yield ok("configuration", f"the defaults ({path} does not exist)")


def database(surroundings: Surroundings) -> Iterator[Check]:
    """The database is ours and has this version's schema."""
    from dgx_music.jobs import schema  # noqa: PLC0415 - SQLAlchemy takes half a second

    path = surroundings.paths.database
    try:
        version = schema.schema_version(path)
    except StoreError as err:
        yield problem("database", str(err), "put a backup in its place, or move it aside to start anew")
        return
    if version is None:
        yield ok("database", f"{path} is made at the first job")
    elif version == schema.HEAD:
        yield ok("database", f"{path}, schema {version}")
    elif version < schema.HEAD:
        yield problem("database", f"{path} has the older schema {version}", "dgx-music db upgrade")
    else:
        yield problem(
            "database",
            f"{path} was written by a newer DGX Music (schema {version}; this one knows {schema.HEAD})",
            "install that version again",
        )


def folders(surroundings: Surroundings) -> Iterator[Check]:
    """Library and drop folder can be written."""
    yield _folder("library", surroundings.library)
    if surroundings.config.inbox.enabled:
        yield _folder("drop folder", surroundings.inbox)


def disk(surroundings: Surroundings) -> Iterator[Check]:
    """There is room for more takes; a minute of 24 bit stereo at 48 kHz takes 17 MB."""
    seen = set()
    for folder in (surroundings.library, surroundings.paths.database.parent):
        existing = _nearest_existing(folder)
        device = existing.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free_bytes = shutil.disk_usage(existing).free
        message = f"{free_bytes / _GIB:.1f} GiB free at {existing}"
        if free_bytes < _TOO_LITTLE_BYTES:
            yield problem("disk", message, "free some space: takes cannot be written soon")
        elif free_bytes < _LITTLE_BYTES:
            yield warning("disk", message, "free some space before a long session")
        else:
            yield ok("disk", message)


def _folder(name: str, folder: Path) -> Check:
    existing = _nearest_existing(folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as err:
        return problem(
            name,
            f"{existing} cannot be written: {err.strerror}",
            f"make it writable, or set {_setting(name)} elsewhere",
        )
    return (
        ok(name, str(folder))
        if existing == folder
        else info(name, f"{folder} is made when it is first needed")
    )


def _setting(folder: str) -> str:
    return "library.path" if folder == "library" else "inbox.path"


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
