"""Installs and removes assets; a file of the user's is never overwritten and never deleted."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.assets.state import AssetState, sha256_of, state_of
from dgx_music.assets.write import create_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dgx_music.assets.destinations import Destinations
    from dgx_music.assets.manifest import Manifest
    from dgx_music.assets.plan import Asset

__all__ = ["Outcome", "Result", "install", "install_configuration", "make_folders", "remove"]

_MODULES = "lua"


class Outcome(StrEnum):
    """What became of one file."""

    INSTALLED = "installed"
    UPDATED = "updated"
    CURRENT = "current"
    """It was there already, and is what ships."""
    KEPT = "kept"
    """It is the user's, or was changed by the user: left as it is."""
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """One file, and what became of it."""

    path: Path
    outcome: Outcome
    remark: str = ""


def install(assets: Sequence[Asset], manifest: Manifest, destinations: Destinations) -> list[Result]:
    """Put assets into place, upgrade those that an earlier version installed, take away those that no longer ship.

    What cannot be written is reported and the rest goes on. Done again, it changes nothing.
    """
    results = [_tried(asset.target, partial(_install_one, asset, manifest)) for asset in assets]
    planned = {str(asset.target) for asset in assets}
    stale = [Path(path) for path in manifest.hashes if path not in planned and destinations.owns(Path(path))]
    results += [_tried(path, partial(_remove_one, path, manifest)) for path in stale]
    return [*results, *_saved(manifest)]


def remove(manifest: Manifest) -> list[Result]:
    """Take away everything that was installed and is still as it was."""
    paths = [Path(path) for path in manifest.hashes]
    results = [_tried(path, partial(_remove_one, path, manifest)) for path in paths]
    return [*results, *_saved(manifest)]


def install_configuration(shipped: Path, target: Path) -> Result:
    """Put the commented default configuration into place where there is none."""

    def write() -> Result:
        try:
            create_file(target, shipped.read_bytes())
        except FileExistsError:
            return Result(target, Outcome.KEPT, f"your configuration; all settings are listed in {shipped}")
        return Result(target, Outcome.INSTALLED)

    return _tried(target, write)


def make_folders(folders: Iterable[Path]) -> list[Result]:
    """Make folders that are missing."""

    def make(folder: Path) -> Result:
        outcome = Outcome.CURRENT if folder.is_dir() else Outcome.INSTALLED
        folder.mkdir(parents=True, exist_ok=True)
        return Result(folder, outcome)

    return [_tried(folder, partial(make, folder)) for folder in folders]


def _install_one(asset: Asset, manifest: Manifest) -> Result:
    target = asset.target
    match state_of(asset, manifest):
        case AssetState.CHANGED:
            return Result(target, Outcome.KEPT, f"you changed it; the new one is at {asset.source}")
        case AssetState.FOREIGN:
            return Result(target, Outcome.KEPT, f"it is not one of ours; ours is at {asset.source}")
        case AssetState.OUTDATED:
            replace_file(target, asset.content)
            outcome = Outcome.UPDATED
        case AssetState.ABSENT:
            create_file(target, asset.content)
            outcome = Outcome.INSTALLED
        case AssetState.CURRENT:
            outcome = Outcome.CURRENT
    manifest.hashes[str(target)] = hashlib.sha256(asset.content).hexdigest()
    return Result(target, outcome)


def _remove_one(path: Path, manifest: Manifest) -> Result:
    recorded = manifest.hashes[str(path)]
    if path.is_symlink() or (path.exists() and (not path.is_file() or sha256_of(path) != recorded)):
        result = Result(path, Outcome.KEPT, "you changed it")
    else:
        path.unlink(missing_ok=True)
        # A template and the modules have folders of their own; scripts/ and templates/ belong to Ardour.
        if path.suffix == ".template" or path.parent.name == _MODULES:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        result = Result(path, Outcome.REMOVED)
    del manifest.hashes[str(path)]
    return result


def _tried(path: Path, step: Callable[[], Result]) -> Result:
    try:
        return step()
    except OSError as err:
        return Result(path, Outcome.FAILED, f"{err.filename or path}: {err.strerror or err}")


def _saved(manifest: Manifest) -> list[Result]:
    """Save the record; only a failure is worth a line."""
    try:
        manifest.save()
    except OSError as err:
        return [
            Result(manifest.file, Outcome.FAILED, f"the record of what was installed: {err.strerror or err}")
        ]
    return []
