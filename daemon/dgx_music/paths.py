"""Where everything lies: the XDG base directories, or one folder named by `DGX_MUSIC_HOME`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Paths"]

_APP = "dgx-music"


@dataclass(frozen=True)
class Paths:
    """The folders and files that belong to one user's installation (or to one `DGX_MUSIC_HOME`)."""

    config_file: Path
    """The user's configuration, TOML."""
    database: Path
    """The job store, SQLite."""
    state_dir: Path
    """Lock, runtime record of the running daemon, previews."""
    cache_dir: Path
    """Compiled analysis code, prepared weights; may be deleted at any time."""
    library: Path
    """Finished takes, `YYYY/MM/DD/`."""
    inbox: Path
    """The watched drop folder."""

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Paths:
        """Return the paths for this environment: under `DGX_MUSIC_HOME` if set, else the XDG folders."""
        home = environ.get("DGX_MUSIC_HOME", "")
        if home:
            root = Path(home).expanduser().absolute()
            return cls(
                config_file=root / "config.toml",
                database=root / "jobs.sqlite",
                state_dir=root / "state",
                cache_dir=root / "cache",
                library=root / "library",
                inbox=root / "inbox",
            )
        data = Path(platformdirs.user_data_dir(_APP))
        return cls(
            config_file=Path(platformdirs.user_config_dir(_APP)) / "config.toml",
            database=data / "jobs.sqlite",
            state_dir=Path(platformdirs.user_state_dir(_APP)),
            cache_dir=Path(platformdirs.user_cache_dir(_APP)),
            library=Path(platformdirs.user_music_dir()) / "DGX Music",
            inbox=Path(platformdirs.user_music_dir()) / "DGX Music Inbox",
        )

    @property
    def lock_file(self) -> Path:
        """The lock that makes sure only one process works on this state."""
        return self.state_dir / "daemon.lock"

    @property
    def runtime_file(self) -> Path:
        """What the running daemon says of itself: pid and OSC address, JSON."""
        return self.state_dir / "daemon.json"

    @property
    def previews(self) -> Path:
        """Previews of the running jobs, a folder for each; cleared at the start."""
        return self.state_dir / "previews"

    @property
    def ardour_spool(self) -> Path:
        """What daemon and Ardour's scripts leave for each other, a folder for each session."""
        return self.state_dir / "ardour"

    def staging_in(self, library: Path) -> Path:
        """Where takes are written before they are published: on the library's own file system, so that this is a link.

        Each installation has its own, since it clears what a crash has left there.
        """
        return library / ".staging" / hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:12]
