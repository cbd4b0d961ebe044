"""Where shipped files go: every Ardour configuration folder, systemd's folder for user units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

__all__ = ["ArdourFolder", "Destinations"]

_OLDEST_ARDOUR = 6
_ARDOUR_FOLDER = re.compile(r"ardour(\d+)")


@dataclass(frozen=True)
class ArdourFolder:
    """A configuration folder that some version of Ardour made."""

    path: Path
    major: int
    """Ardour's major version: 7 for `~/.config/ardour7`."""


@dataclass(frozen=True)
class Destinations:
    """The folders of this user that files are installed into."""

    ardour: tuple[ArdourFolder, ...]
    """Oldest version first; empty where Ardour was never started."""
    unit_dir: Path
    """systemd's folder for user units."""
    manifest: Path
    """The record of what was installed."""
    modules: Path
    """The Lua modules that the scripts in Ardour's folders load: one place for every Ardour."""

    @classmethod
    def find(cls) -> Destinations:
        """Return the folders by this process's `HOME` and XDG variables.

        `DGX_MUSIC_HOME` has no say here: Ardour and systemd look in the same places whatever it names.
        """
        config = Path(platformdirs.user_config_dir())
        data = Path(platformdirs.user_data_dir("dgx-music"))
        found = []
        for path in config.glob("ardour*"):
            match = _ARDOUR_FOLDER.fullmatch(path.name)
            if match and int(match[1]) >= _OLDEST_ARDOUR and path.is_dir():
                found.append(ArdourFolder(path, int(match[1])))
        return cls(
            ardour=tuple(sorted(found, key=lambda folder: folder.major)),
            unit_dir=config / "systemd" / "user",
            manifest=data / "installed.json",
            modules=data / "lua",
        )

    def owns(self, path: Path) -> bool:
        """Whether a path lies in one of these folders, whose files an upgrade may take away."""
        roots = [self.unit_dir, self.modules, *(folder.path for folder in self.ardour)]
        return any(path.is_relative_to(root) for root in roots)
