"""Puts what ships with the package where Ardour, systemd and the user look for it, and takes it away again."""

from __future__ import annotations

from dgx_music.assets.destinations import Destinations
from dgx_music.assets.install import Outcome, Result, install, install_configuration, make_folders, remove
from dgx_music.assets.manifest import Manifest
from dgx_music.assets.plan import Asset, plan_assets
from dgx_music.assets.preferences import OscSurface, osc_surface, scripts_are_sandboxed
from dgx_music.assets.register import Registration, register, registered_slot, registration_of, unregister
from dgx_music.assets.state import AssetState, state_of
from dgx_music.assets.stubs import short_name
from dgx_music.assets.unit import reload_units

__all__ = [
    "Asset",
    "AssetState",
    "Destinations",
    "Manifest",
    "OscSurface",
    "Outcome",
    "Registration",
    "Result",
    "install",
    "install_configuration",
    "make_folders",
    "osc_surface",
    "plan_assets",
    "register",
    "registered_slot",
    "registration_of",
    "reload_units",
    "remove",
    "scripts_are_sandboxed",
    "short_name",
    "state_of",
    "unregister",
]
