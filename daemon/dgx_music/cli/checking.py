"""`doctor`, `install-assets`, `remove-assets`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from dgx_music.assets import (
    AssetState,
    Destinations,
    Manifest,
    Outcome,
    Result,
    install,
    install_configuration,
    make_folders,
    plan_assets,
    register,
    reload_units,
    remove,
    state_of,
    unregister,
)
from dgx_music.config import Config
from dgx_music.errors import AssetError, ConfigError
from dgx_music.resources import shipped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.assets import Asset
    from dgx_music.cli.context import Cli
    from dgx_music.doctor import Check

__all__ = ["doctor", "install_assets", "remove_assets"]

_MOST_OF_A_FOLDER = 4
"""So many files of one folder are listed one by one."""


def doctor(cli: Cli) -> None:
    """Print what every check found; leave with 1 if there is a problem."""
    from dgx_music.doctor import Status, Surroundings, run_checks  # noqa: PLC0415 - only this command needs it

    config, error = _configuration(cli)
    checks = run_checks(Surroundings(cli.paths, config, error, os.environ))
    problems = [check for check in checks if check.status is Status.PROBLEM]
    summary = f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "no problem"
    cli.show(
        {"problems": len(problems), "checks": [asdict(check) for check in checks]},
        f"{_aligned(checks)}\n{summary}",
    )
    if problems:
        raise typer.Exit(1)


def install_assets(cli: Cli, *, registering: bool | None = None) -> None:
    """Install configuration, folders, unit, modules, scripts and templates; print what became of each.

    Args:
        cli: the command.
        registering: also give the scripts their slots in every Ardour; if false, take them out of these.

    Raises:
        AssetError: the package is incomplete, or runs without being installed.
    """
    destinations = Destinations.find()
    assets = plan_assets(destinations, os.environ)
    results = [install_configuration(shipped("etc") / "config.toml", cli.paths.config_file)]
    config, error = _configuration(cli)
    if error:
        results.append(
            Result(cli.paths.config_file, Outcome.FAILED, f"library and drop folder were not made: {error}")
        )
    else:
        wanted = [config.library.path or cli.paths.library]
        if config.inbox.enabled:
            wanted.append(config.inbox.path or cli.paths.inbox)
        results += make_folders(wanted)
    manifest = Manifest.load(destinations.manifest)
    results += install(assets, manifest, destinations)
    remarks = _remarks(destinations)
    ours, yours = _scripts(assets, manifest)
    if registering:
        results += register(destinations.ardour, ours, yours)
        remarks += [f"{one.target} is your own version: give it a slot in Ardour yourself" for one in yours]
    elif registering is False:
        results += unregister(destinations.ardour, yours)
    _report(cli, results, remarks)


def remove_assets(cli: Cli) -> None:
    """Remove what was installed and is unchanged; print what became of each."""
    destinations = Destinations.find()
    manifest = Manifest.load(destinations.manifest)
    try:
        _, yours = _scripts(plan_assets(destinations, os.environ), manifest)
    except AssetError:  # an installation that is not whole can be taken away all the same
        yours = []
    results = [*unregister(destinations.ardour, yours), *remove(manifest)]
    reload_units()
    _report(cli, results, ["your configuration, music and database stay"])


def _scripts(assets: Sequence[Asset], manifest: Manifest) -> tuple[list[Asset], list[Asset]]:
    """Return the scripts for Ardour that are as they were installed, and those that are the user's own version."""
    states = {one: state_of(one, manifest) for one in assets if one.kind == "script"}
    ours = [one for one, state in states.items() if state is AssetState.CURRENT]
    yours = [one for one, state in states.items() if state in (AssetState.CHANGED, AssetState.FOREIGN)]
    return ours, yours


def _configuration(cli: Cli) -> tuple[Config, str]:
    """Return the configuration, or the defaults and why it cannot be used."""
    try:
        return cli.config, ""
    except ConfigError as err:
        return Config(), str(err)


def _remarks(destinations: Destinations) -> list[str]:
    remarks = []
    if not destinations.ardour:
        remarks.append(
            "no Ardour configuration folder was found: start Ardour once, then 'dgx-music install-assets' again"
        )
    if reason := reload_units():
        remarks.append(
            f"the unit was not loaded ({reason}); without systemd, start the daemon with: dgx-music daemon"
        )
    return remarks


def _report(cli: Cli, results: Sequence[Result], remarks: Sequence[str]) -> None:
    files = [{"path": str(one.path), "outcome": one.outcome, "remark": one.remark} for one in results]
    cli.show({"files": files, "remarks": list(remarks)}, "\n".join([*_listed(results), *remarks]))
    if any(one.outcome is Outcome.FAILED for one in results):
        raise typer.Exit(1)


def _listed(results: Sequence[Result]) -> list[str]:
    """Return a line for each file; one for all files of a folder with the same outcome where nothing else is to say."""
    groups: dict[tuple[str, Path], list[Result]] = {}
    for one in results:
        groups.setdefault((one.outcome, one.path if one.remark else one.path.parent), []).append(one)
    lines = []
    for (outcome, folder), group in groups.items():
        if len(group) > _MOST_OF_A_FOLDER:
            lines.append(f"{outcome:<9}  {folder}  ({len(group)} files)")
        else:
            lines += [f"{outcome:<9}  {one.path}{f'  ({one.remark})' * bool(one.remark)}" for one in group]
    return lines


def _aligned(checks: Sequence[Check]) -> str:
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        message = check.message.replace("\n", f"\n{'':<{width + 11}}")
        lines.append(f"{check.status:<7}  {check.name:<{width}}  {message}")
        if check.remedy:
            lines.append(f"{'':<{width + 9}}  → {check.remedy}")
    return "\n".join(lines)
