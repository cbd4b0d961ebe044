"""Address patterns against the obvious translation into a regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.surfaces.osc.patterns import matches

PIECES = {
    "a": "a",
    "b": "b",
    "/": "/",
    "?": "[^/]",
    "*": "[^/]*",
    "[a-b]": "[a-b]",
    "[!a]": "[^a/]",
    "[ab-]": "[ab-]",
    "{a,bb}": "(?:a|bb)",
    "{,ab}": "(?:|ab)",
}


@given(st.lists(st.sampled_from(sorted(PIECES)), max_size=8), st.text("ab/c-", max_size=8))
@settings(deadline=None)
def test_a_pattern_matches_what_its_regular_expression_matches(pieces: list[str], address: str) -> None:
    expected = re.fullmatch("".join(PIECES[piece] for piece in pieces), address) is not None
    assert matches("".join(pieces), address) is expected


@pytest.mark.parametrize("pattern", ["/" + "*a" * 20_000, "/" + "*{,}" * 10_000, "/" + "[!x]*?" * 10_000])
def test_a_pattern_built_to_explode_is_answered(pattern: str) -> None:
    assert not matches(pattern, "/dgx/transport")
