"""Puts what ships with the package where Ardour, systemd and the user look for it, and takes it away again."""

from __future__ import annotations

from dgx_music.assets.destinations import Destinations
from dgx_music.assets.install import Outcome, Result, install, install_configuration, make_folders, remove
from dgx_music.assets.manifest import Manifest
from dgx_music.assets.plan import Asset, plan_assets
from dgx_music.assets.state import AssetState, state_of
from dgx_music.assets.unit import reload_units

__all__ = [
    "Asset",
    "AssetState",
    "Destinations",
    "Manifest",
    "Outcome",
    "Result",
    "install",
    "install_configuration",
    "make_folders",
    "plan_assets",
    "reload_units",
    "remove",
    "state_of",
]
