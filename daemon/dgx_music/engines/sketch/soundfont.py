"""Finding FluidSynth and a SoundFont."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FluidSynth", "file_sha256", "find_fluidsynth"]

_FOLDERS = (
    "~/.local/share/sounds/sf2",
    "~/.local/share/sounds/sf3",
    "~/.local/share/soundfonts",
    "/usr/local/share/sounds/sf2",
    "/usr/local/share/soundfonts",
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
)
_PREFERRED = (
    "fluidr3_gm",
    "fluidr3-gm",
    "fluidr3",
    "musescore_general",
    "generaluser",
    "default",
    "timgm6mb",
)
"""Best first; FluidR3 is complete and MIT-licensed."""


@dataclass(frozen=True)
class FluidSynth:
    """The program and the font that it plays."""

    program: Path
    soundfont: Path

    @property
    def model(self) -> str:
        """What the take's metadata says of the renderer."""
        return f"fluidsynth:{self.soundfont.stem}"


def find_fluidsynth(soundfont: Path | None) -> FluidSynth | None:
    """Return FluidSynth with the given SoundFont, or with the best one in the usual folders; `None` without both."""
    program = shutil.which("fluidsynth")
    if program is None:
        return None
    if soundfont is not None:
        return FluidSynth(Path(program), soundfont) if soundfont.is_file() else None
    fonts = [
        path
        for folder in _FOLDERS
        for path in sorted(Path(folder).expanduser().glob("*"))
        if path.suffix.lower() in (".sf2", ".sf3") and path.is_file()
    ]
    return FluidSynth(Path(program), min(fonts, key=_rank)) if fonts else None


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rank(path: Path) -> int:
    name = path.stem.lower()
    return next((place for place, start in enumerate(_PREFERRED) if name.startswith(start)), len(_PREFERRED))
