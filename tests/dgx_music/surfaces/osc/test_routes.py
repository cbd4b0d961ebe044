"""One table gives the routes and the documentation."""

from __future__ import annotations

import re

from dgx_music.request import GenerationRequest
from dgx_music.surfaces.osc import commands, routes
from dgx_music.surfaces.osc.routes import INCOMING, OUTGOING, markdown_table


def test_the_documentation_has_a_row_for_every_route() -> None:
    rows = markdown_table().splitlines()
    assert len(rows) == 2 + len(INCOMING) + len(OUTGOING)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    for route in (*INCOMING, *OUTGOING):
        assert any(f"`{route.address}" in row and row.startswith(f"| {route.direction} ") for row in rows)


def test_no_route_is_listed_under_a_wrong_direction_or_twice() -> None:
    assert {route.direction for route in INCOMING} == {"in"}
    assert {route.direction for route in OUTGOING} == {"out"}
    for listed in (INCOMING, OUTGOING):
        addresses = [route.address for route in listed]
        assert len(set(addresses)) == len(addresses)
    constants = {value for value in vars(routes).values() if isinstance(value, routes.Route)}
    assert constants == {*INCOMING, *OUTGOING}


def test_no_request_field_is_called_as_the_reply_port_is() -> None:
    assert "reply_port" not in GenerationRequest.model_fields
    assert commands.GENERATE in INCOMING
