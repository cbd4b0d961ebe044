"""Ardour, the files that were installed for it, and the systemd unit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.assets import AssetState, Destinations, Manifest, plan_assets, state_of
from dgx_music.doctor.check import Check, info, ok, problem, warning
from dgx_music.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dgx_music.doctor.check import Surroundings

__all__ = ["ardour", "assets", "unit"]

_PROGRAMS = ("ardour", "ardour9", "ardour8", "ardour7", "ardour6", "Ardour9", "Ardour8", "Ardour7", "Ardour6")
_INSTALL_ASSETS = "dgx-music install-assets"
_UNIT = "dgx-music"
_PATIENCE_S = 15
_MOST_LISTED = 4


def ardour(_: Surroundings) -> Iterator[Check]:
    """Ardour is there, and was started once, which makes its configuration folder."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    folders = [str(folder.path) for folder in Destinations.find().ardour]
    if folders:
        yield ok("Ardour", f"{program or 'no program on PATH'}, configuration in {', '.join(folders)}")
    elif program:
        yield info(
            "Ardour",
            f"{program}, never started: there is no folder for scripts and templates yet",
            f"start Ardour once, then {_INSTALL_ASSETS}",
        )
    else:
        yield info(
            "Ardour", "not found; takes and sessions are made all the same", "install Ardour 6 or newer"
        )


def assets(surroundings: Surroundings) -> Iterator[Check]:
    """Scripts, their modules, templates and unit are installed and are this version's."""
    destinations = Destinations.find()
    manifest = Manifest.load(destinations.manifest)
    try:
        planned = plan_assets(destinations, surroundings.environ)
    except AssetError as err:
        yield warning("installed files", str(err), "run ./install.sh")
        return
    states = {asset.target: state_of(asset, manifest) for asset in planned}
    current = [path for path, state in states.items() if state is AssetState.CURRENT]
    behind = [path for path, state in states.items() if state in (AssetState.ABSENT, AssetState.OUTDATED)]
    yours = [path for path, state in states.items() if state in (AssetState.CHANGED, AssetState.FOREIGN)]
    if behind and not manifest.hashes:
        yield info(
            "installed files", "Ardour's scripts, templates and the unit are not installed", _INSTALL_ASSETS
        )
    elif behind:
        listed = ", ".join(str(path) for path in behind[:_MOST_LISTED])
        more = f" and {len(behind) - _MOST_LISTED} more" if len(behind) > _MOST_LISTED else ""
        yield warning("installed files", f"missing or of another version: {listed}{more}", _INSTALL_ASSETS)
    else:
        yield ok("installed files", f"{len(current)} scripts, modules, templates and units are up to date")
    for path in yours:
        yield info("installed files", f"{path} is your own version and is left alone")


def unit(surroundings: Surroundings) -> Iterator[Check]:
    """The systemd user unit is there, enabled, and did not fail."""
    name = "systemd unit"
    try:
        done = subprocess.run(
            ["systemctl", "--user", "show", _UNIT, "--property=LoadState,UnitFileState,ActiveState"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        yield info(name, "no systemd here", "start the daemon with: dgx-music daemon")
        return
    if done.returncode != 0:
        yield info(
            name, "no service manager of this user can be reached", "start the daemon with: dgx-music daemon"
        )
        return
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    load, enabled, active = (shown.get(key, "") for key in ("LoadState", "UnitFileState", "ActiveState"))
    if load == "not-found":
        yield info(name, "not installed", f"{_INSTALL_ASSETS}, then systemctl --user enable --now {_UNIT}")
    elif active == "failed":
        yield problem(name, "failed", f"journalctl --user -u {_UNIT} -n 50 says why")
    elif active != "active":
        yield info(name, f"{active}, {enabled}", f"systemctl --user enable --now {_UNIT}")
    elif enabled != "enabled":
        yield info(
            name, f"active, but {enabled}: not started at the next login", f"systemctl --user enable {_UNIT}"
        )
    else:
        yield ok(name, "enabled and active")
        yield from _lingering(surroundings)


def _lingering(surroundings: Surroundings) -> Iterator[Check]:
    user = surroundings.environ.get("USER", "")
    if user and not (Path("/var/lib/systemd/linger") / user).exists():
        yield info("lingering", "the daemon ends when you log out", f"loginctl enable-linger {user}")
