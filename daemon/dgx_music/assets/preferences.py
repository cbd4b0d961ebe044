"""What Ardour's own preferences say of its OSC surface, and of what scripts may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from dgx_music.assets.destinations import ArdourFolder

__all__ = ["OscSurface", "osc_surface", "scripts_are_sandboxed"]

_OSC = "Open Sound Control (OSC)"
_DEFAULT_PORT = 3819
_YES = ("1", "yes", "true")


@dataclass(frozen=True)
class OscSurface:
    """Whether Ardour opens its OSC surface, and where."""

    active: bool
    """For new sessions; one that was saved with the surface off keeps it off."""
    port: int
    """UDP; where it is taken, Ardour tries the next 20."""


def osc_surface(folder: ArdourFolder) -> OscSurface:
    """Read what one Ardour's `config` says; without one, it is as Ardour comes.

    Raises:
        AssetError: the file is damaged.
        OSError: it cannot be read.
    """
    root = _read(folder, "config")
    protocols = [one for one in root.iterfind("ControlProtocols/Protocol") if one.get("name") == _OSC]
    port = _option(root, "osc-port")
    return OscSurface(
        active=any(one.get("active") in _YES for one in protocols),
        port=int(port) if port.isdecimal() else _DEFAULT_PORT,
    )


def scripts_are_sandboxed(folder: ArdourFolder) -> bool:
    """Whether the user keeps all scripts from reading files, which Ardour 8 and newer can do: ours then do nothing.

    Raises:
        AssetError: the file `ui_config` is damaged.
        OSError: it cannot be read.
    """
    return _option(_read(folder, "ui_config"), "sandbox-all-lua-scripts") in _YES


def _read(folder: ArdourFolder, name: str) -> Element:
    path = folder.path / name
    if not path.exists():
        return ET.Element("Ardour")
    try:
        return ET.fromstring(path.read_bytes())  # noqa: S314 - the user's own file, which Ardour reads too
    except ET.ParseError as err:
        raise AssetError(f"{path} is no XML: {err}") from err


def _option(root: Element, name: str) -> str:
    """Return the value of an option, empty where it is not there."""
    values = [one.get("value", "") for one in root.iter("Option") if one.get("name") == name]
    return values[-1] if values else ""
