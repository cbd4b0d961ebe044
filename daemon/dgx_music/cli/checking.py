"""`doctor`, `install-assets`, `remove-assets`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from dgx_music.assets import (
    Destinations,
    Manifest,
    Outcome,
    Result,
    install,
    install_configuration,
    make_folders,
    plan_assets,
    reload_units,
    remove,
)
from dgx_music.config import Config
from dgx_music.errors import ConfigError
from dgx_music.resources import shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.cli.context import Cli
    from dgx_music.doctor import Check

__all__ = ["doctor", "install_assets", "remove_assets"]


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


def install_assets(cli: Cli) -> None:
    """Install configuration, folders, unit, scripts and templates; print what became of each.

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
    results += install(assets, Manifest.load(destinations.manifest), destinations)
    _report(cli, results, _remarks(destinations))


def remove_assets(cli: Cli) -> None:
    """Remove what was installed and is unchanged; print what became of each."""
    results = remove(Manifest.load(Destinations.find().manifest))
    reload_units()
    _report(cli, results, ["your configuration, music and database stay"])


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
    lines = [f"{one.outcome:<9}  {one.path}{f'  ({one.remark})' * bool(one.remark)}" for one in results]
    cli.show({"files": files, "remarks": list(remarks)}, "\n".join([*lines, *remarks]))
    if any(one.outcome is Outcome.FAILED for one in results):
        raise typer.Exit(1)


def _aligned(checks: Sequence[Check]) -> str:
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        message = check.message.replace("\n", f"\n{'':<{width + 11}}")
        lines.append(f"{check.status:<7}  {check.name:<{width}}  {message}")
        if check.remedy:
            lines.append(f"{'':<{width + 9}}  → {check.remedy}")
    return "\n".join(lines)
