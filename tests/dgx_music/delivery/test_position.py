from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.delivery.position import Place
from dgx_music.errors import RequestError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("12", Place(bar=12)),
        (" 12.3 ", Place(bar=12, beat=3)),
        ("12|3", Place(bar=12, beat=3)),
        ("480000samples", Place(samples=480_000)),
        ("0 samples", Place(samples=0)),
        ("1 sample", Place(samples=1)),
        ("9999", Place(bar=9999)),
        ("10000", Place(samples=10_000)),
        ("480000", Place(samples=480_000)),
        ("0", Place(samples=0)),
    ],
)
def test_bars_beats_and_samples_are_read(text, place):
    assert Place.parse(text) == place


@pytest.mark.parametrize(
    "text", ["", "-1", "0.1", "480000.1", "1.2.3", "1:2", "12s", "end", "1e3", "1" + 14 * "0"]
)
def test_anything_else_is_refused_with_what_would_be_right(text):
    with pytest.raises(RequestError, match="5000samples"):
        Place.parse(text)


@given(st.text())
def test_no_text_does_anything_but_parse_or_teach(text):
    try:
        place = Place.parse(text)
    except RequestError:
        return
    assert (place.bar is None) != (place.samples is None)
