"""Options and arguments that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["At", "JobIds", "Json", "OnTop", "OnTopOption", "Stems", "TrackName"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobIds = Annotated[list[str], typer.Argument(metavar="JOB…", help="Job ids, such as gen_1a2b3c4d5e6f.")]
At = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="Where: a bar such as 12, a bar and beat such as 12.3, or samples such as 480000, 5000samples. The next "
        "bar after the last region if left out.",
    ),
]
TrackName = Annotated[str | None, typer.Option(help="A track of the session, or the name of a new one.")]
Stems = Annotated[bool, typer.Option("--stems", help="Let the first take's stems land too, muted.")]


class OnTop(StrEnum):
    """What a track plays after takes landed on it."""

    TAKE = "take"
    MINE = "mine"


OnTopOption = Annotated[
    OnTop | None,
    typer.Option(
        "--on-top", help="What the track plays afterwards: the take, or your playlist as before (mine)."
    ),
]
