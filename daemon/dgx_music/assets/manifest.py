"""The record of what was installed: path and SHA-256 of each file, so that a file the user changed is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dgx_music.assets.write import replace_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Manifest"]


@dataclass
class Manifest:
    """What was installed, by path."""

    file: Path
    hashes: dict[str, str] = field(default_factory=dict)
    """Path to the SHA-256 of what was written there."""

    @classmethod
    def load(cls, file: Path) -> Manifest:
        """Read the record. One that is absent or damaged counts as empty: every file is then the user's own."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))["files"]
            hashes = {str(path): str(sha256) for path, sha256 in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            hashes = {}
        return cls(file, hashes)

    def save(self) -> None:
        """Write the record; without an entry in it, take its file away.

        Raises:
            OSError: it cannot be written; the old one is left.
        """
        if self.hashes:
            text = json.dumps({"files": dict(sorted(self.hashes.items()))}, indent=1) + "\n"
            replace_file(self.file, text.encode())
        else:
            self.file.unlink(missing_ok=True)
