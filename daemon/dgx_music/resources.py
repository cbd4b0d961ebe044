"""Finds what ships with the package: templates, default configuration and unit, Lua scripts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from dgx_music.errors import AssetError

__all__ = ["shipped"]

_CHECKOUT = Path(__file__).resolve().parents[2]
_IN_CHECKOUT = {"templates": "templates", "etc": "etc", "lua": "ardour/lua"}


def shipped(kind: Literal["templates", "etc", "lua"]) -> Path:
    """Return the folder of shipped files: inside the installed package, or in the checkout it runs from.

    Raises:
        AssetError: the installation is incomplete.
    """
    packed = Path(str(files("dgx_music"))) / "_data" / kind
    if packed.is_dir():
        return packed
    folder = _CHECKOUT / _IN_CHECKOUT[kind]
    if (_CHECKOUT / "pyproject.toml").is_file() and folder.is_dir():
        return folder
    raise AssetError(f"this installation lacks its {kind} folder ({packed}); install DGX Music again")
