"""How the scripts stand in each Ardour: their slots, the hook, and the OSC surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.assets import (
    AssetState,
    Destinations,
    Manifest,
    osc_surface,
    plan_assets,
    registration_of,
    scripts_are_sandboxed,
    short_name,
    state_of,
)
from dgx_music.doctor.check import Check, info, ok, warning
from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dgx_music.assets import Asset, Registration
    from dgx_music.assets.destinations import ArdourFolder
    from dgx_music.doctor.check import Surroundings

__all__ = ["preferences", "registration"]

_NAME = "Ardour's slots"
_REGISTER = "quit Ardour, then dgx-music install-assets --register"


def registration(surroundings: Surroundings) -> Iterator[Check]:
    """The scripts have their slots in every Ardour, and the hook that delivers is there."""
    destinations = Destinations.find()
    manifest = Manifest.load(destinations.manifest)
    try:
        planned = [one for one in plan_assets(destinations, surroundings.environ) if one.kind == "script"]
    except AssetError:
        return  # the check of the installed files says so
    installed = [one for one in planned if state_of(one, manifest) is AssetState.CURRENT]
    for folder in destinations.ardour:
        own = [one for one in installed if one.target.is_relative_to(folder.path)]
        if own:
            yield _registration(folder, own)


def preferences(_: Surroundings) -> Iterator[Check]:
    """Scripts may read files; where Ardour's OSC surface is on, the daemon need not wait for the hook to look."""
    for folder in Destinations.find().ardour:
        name = f"Ardour {folder.major}'s OSC"
        try:
            found, sandboxed = osc_surface(folder), scripts_are_sandboxed(folder)
        except (AssetError, OSError) as err:
            yield warning(name, str(err), f"start Ardour {folder.major} and look at its preferences")
            continue
        if sandboxed:
            yield warning(
                f"Ardour {folder.major}",
                "it is set to keep all scripts from reading files, so ours can do nothing",
                f"quit Ardour, and set sandbox-all-lua-scripts to 0 in {folder.path / 'ui_config'}",
            )
        if found.active:
            yield ok(name, f"on for new sessions, UDP port {found.port}")
        else:
            yield info(
                name,
                "off; finished music lands all the same, the hook looks for it",
                "if you want it on: Edit > Preferences > Control Surfaces, in Ardour (it listens to the whole network)",
            )


def _registration(folder: ArdourFolder, scripts: Sequence[Asset]) -> Check:
    path = folder.path / "ui_scripts"
    try:
        found = registration_of(folder, scripts)
    except (AssetError, OSError) as err:
        return warning(
            _NAME, f"{path}: {err}", "start Ardour and look at Edit > Lua Scripts > Script Manager"
        )
    if found.outdated:
        listed = ", ".join(map(short_name, found.outdated))
        return warning(_NAME, f"{path}: registered by another version: {listed}", _REGISTER)
    if not found.slots and not found.hooks:
        by_hand = "or add them in Ardour's Script Manager"
        return info(_NAME, f"{path}: the scripts are not registered", f"{_REGISTER}; {by_hand}")
    told = _told(found)
    if found.missing_hooks:
        missing = "without its hook, finished music lands only by 'Fetch now'"
        return warning(_NAME, f"{path}: {told}; {missing}", _REGISTER)
    if found.missing:
        return info(
            _NAME, f"{path}: {told}; not registered: {', '.join(map(short_name, found.missing))}", _REGISTER
        )
    return ok(_NAME, f"{path}: {told}")


def _told(found: Registration) -> str:
    places = sorted((slot, short_name(name)) for name, slot in found.slots.items())
    slots = ", ".join(f"{slot} {name}" for slot, name in places)
    return "; ".join(filter(None, [slots, *(f"hook {short_name(name)}" for name in found.hooks)]))
