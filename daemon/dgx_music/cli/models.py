"""`dgx-music models`: the published models, and fetching one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.cli.progress import progress_bar
from dgx_music.engines.musicgen.catalogue import CATALOGUE, find_card
from dgx_music.engines.musicgen.checkpoint import Missing, locate
from dgx_music.errors import RequestError

if TYPE_CHECKING:
    from dgx_music.cli.context import Cli
    from dgx_music.engines.musicgen.catalogue import ModelCard

__all__ = ["fetch", "show"]


def show(cli: Cli) -> None:
    """List the published models."""
    settings = cli.config.for_engines(cli.paths).musicgen
    rows: list[dict[str, Any]] = []
    for card in CATALOGUE.values():
        found = locate(card.name, settings)
        rows.append(
            {
                "name": card.name,
                "parameters": card.parameters,
                "channels": card.channels,
                "hears": card.hears,
                "licence": card.licence,
                "folder": None if isinstance(found, Missing) else str(found.folder),
            }
        )
    cli.show(rows, "\n".join(_line(row) for row in rows))


def fetch(cli: Cli, name: str) -> None:
    """Fetch a model's weights.

    Raises:
        RequestError: there is no such model.
        ModelError: the machine is offline, the disk is full, or what came is not what the hub promised.
    """
    from dgx_music.engines.musicgen.checkpoint.download import download  # noqa: PLC0415 - only where something is fetched

    card = find_card(name)
    if card is None:
        raise RequestError(f"{name} is no published model; those are {', '.join(CATALOGUE)}")
    settings = cli.config.for_engines(cli.paths).musicgen
    with progress_bar(quiet=cli.as_json) as report:
        files = download(
            card,
            settings,
            lambda here, needed: report(here / needed if needed else 0.0, _amount(here, needed)),
        )
    cli.show(
        {"name": card.name, "folder": str(files.folder), "licence": files.licence},
        f"{card.name} is in {files.folder}\n{_licence(card)}",
    )


def _line(row: dict[str, Any]) -> str:
    abilities = ", ".join(filter(None, ("stereo" if row["channels"] == 2 else "mono", row["hears"])))
    return f"{row['name']:<29}{row['parameters']:>5}  {abilities:<16}{row['licence']:<15}{row['folder'] or 'not here'}"


def _amount(here: int, needed: int) -> str:
    return f"{here / 1e6:.0f} of {needed / 1e6:.0f} MB"


def _licence(card: ModelCard) -> str:
    return f"The weights are licensed under {card.licence}, which excludes commercial use."
