"""How a file to install compares with what lies at its place."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.assets.manifest import Manifest
    from dgx_music.assets.plan import Asset

__all__ = ["AssetState", "sha256_of", "state_of"]


class AssetState(StrEnum):
    """What lies where an asset belongs."""

    ABSENT = "absent"
    """Nothing."""
    CURRENT = "current"
    """This very content, whoever wrote it."""
    OUTDATED = "outdated"
    """What an earlier version installed, untouched."""
    CHANGED = "changed"
    """What was installed, changed since by the user."""
    FOREIGN = "foreign"
    """A file that was never ours, a link or a folder."""


def state_of(asset: Asset, manifest: Manifest) -> AssetState:
    """Say what lies at an asset's place."""
    target = asset.target
    if target.is_symlink() or (target.exists() and not target.is_file()):
        return AssetState.FOREIGN
    if not target.exists():
        return AssetState.ABSENT
    found = sha256_of(target)
    if found == hashlib.sha256(asset.content).hexdigest():
        return AssetState.CURRENT
    recorded = manifest.hashes.get(str(target))
    if recorded is None:
        return AssetState.FOREIGN
    return AssetState.OUTDATED if found == recorded else AssetState.CHANGED


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
