"""What a script may ask, each command with the arguments that it takes: strict, so that a slip is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dgx_music.errors import RequestError
from dgx_music.surfaces.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "Again", "Cancel", "Nothing", "WhoMade", "read_arguments"]

_MAX_SOURCES = 64


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Nothing(_Arguments):
    """No arguments: ping, status, fetch."""


class Cancel(_Arguments):
    """Which job is to stop."""

    job_id: str = Field(min_length=1, max_length=64)


class WhoMade(_Arguments):
    """The sources of a region, one a channel, each `{path, channel}`; who reads them checks them."""

    sources: list[dict[str, Any]] = Field(min_length=1, max_length=_MAX_SOURCES)


class Again(WhoMade):
    """A region whose request is to be made again with another seed, and where that is to land."""

    session: dict[str, Any]
    """As `GenerationRequest.session`."""
    replace: dict[str, Any] | None = None
    """As `GenerationRequest.session.replace`, for which it may stand here."""


COMMANDS: Mapping[str, type[_Arguments]] = {
    "ping": Nothing,
    "status": Nothing,
    "cancel": Cancel,
    "who_made": WhoMade,
    "again": Again,
    "fetch": Nothing,
}


def read_arguments(command: str, text: str) -> _Arguments:
    """Return a command's arguments.

    Args:
        command: which it is.
        text: a JSON object; an empty text is one without fields.

    Raises:
        RequestError: there is no such command, or its arguments are wrong, and how.
    """
    kind = COMMANDS.get(command)
    if kind is None:
        raise RequestError(f"{command[:100]!r} is no command; known are {', '.join(COMMANDS)}")
    fields = read_json(text or "{}")
    # Lua cannot tell an empty table from an empty list.
    if fields == []:
        fields = {}
    if not isinstance(fields, dict):
        raise RequestError(f"{command}: the arguments must be a JSON object")
    try:
        return kind.model_validate(fields)
    except ValidationError as err:
        problems = [
            f"{command}: {'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in err.errors(include_url=False)
        ]
        raise RequestError(problems) from err
