"""What is to be installed where, for the folders that were found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music import __version__
from dgx_music.assets.stubs import in_order, render_stub
from dgx_music.assets.unit import UNIT_NAME, installed_command, render_unit
from dgx_music.delivery.ardour.lua_text import lua_chunk
from dgx_music.errors import AssetError
from dgx_music.paths import Paths
from dgx_music.resources import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dgx_music.assets.destinations import ArdourFolder, Destinations

__all__ = ["Asset", "ardour_version_of", "plan_assets"]


@dataclass(frozen=True)
class Asset:
    """One file to install."""

    kind: str
    """`unit`, `module`, `script` or `template`."""
    target: Path
    content: bytes
    source: Path
    """The shipped file that it comes from."""


def plan_assets(destinations: Destinations, environ: Mapping[str, str]) -> list[Asset]:
    """Return every file of an installation but the configuration, which is the user's from the start.

    Raises:
        AssetError: the package is incomplete, or runs without being installed.
    """
    unit = shipped("etc") / "systemd" / UNIT_NAME
    text = render_unit(unit.read_text(encoding="utf-8"), installed_command(), environ)
    assets = [Asset("unit", destinations.unit_dir / UNIT_NAME, os.fsencode(text), unit)]
    assets += _modules(destinations, environ)
    for folder in destinations.ardour:
        assets += _for_ardour(folder, destinations.modules)
    return assets


def ardour_version_of(template: Path) -> int:
    """Return the major version of the oldest Ardour that reads a template: 7 for `version="7002"`.

    Raises:
        AssetError: the file is no session template.
    """
    from lxml import etree  # noqa: PLC0415 - the daemon, which asks for slots only, has no need of it

    try:
        with template.open("rb") as opened:
            _, root = next(etree.iterparse(opened, events=("start",), resolve_entities=False))
        return int(root.get("version", "")) // 1000
    except (etree.XMLSyntaxError, OSError, ValueError, StopIteration) as err:
        raise AssetError(f"{template}: not an Ardour template; install DGX Music again") from err


def _modules(destinations: Destinations, environ: Mapping[str, str]) -> Iterator[Asset]:
    for module in sorted((shipped("lua") / "dgx_music").glob("*.lua")):
        content = _place(Paths.find(environ)) if module.stem == "place" else module.read_bytes()
        yield Asset("module", destinations.modules / module.name, content, module)


def _place(paths: Paths) -> bytes:
    """Return the module that tells the others where the daemon's files are."""
    return lua_chunk(
        {
            "runtime": os.fsencode(paths.runtime_file.absolute()),
            "spool": os.fsencode(paths.ardour_spool.absolute()),
            "version": __version__,
        }
    )


def _for_ardour(folder: ArdourFolder, modules: Path) -> Iterator[Asset]:
    for script in in_order(list((shipped("lua") / "actions").glob("*.lua"))):
        content = render_stub(script.read_bytes(), modules)
        yield Asset("script", folder.path / "scripts" / script.name, content, script)
    for template in sorted((shipped("templates") / "sessions").glob("*/*.template")):
        if template.stem == template.parent.name and ardour_version_of(template) <= folder.major:
            target = folder.path / "templates" / template.stem / template.name
            yield Asset("template", target, template.read_bytes(), template)
