"""The published models by name."""

from __future__ import annotations

import pytest

from dgx_music.engines.musicgen.catalogue import CATALOGUE, find_card


@pytest.mark.parametrize("prefix", ["", "musicgen-", "facebook/musicgen-", "facebook/"])
@pytest.mark.parametrize("plain", ["small", "stereo-melody-large", "style"])
def test_a_model_is_found_with_and_without_its_prefixes(prefix, plain):
    assert find_card(f"{prefix}{plain}") is CATALOGUE[f"musicgen-{plain}"]


@pytest.mark.parametrize(
    "name", ["", "tiny", "someone/musicgen-small", "/models/small", "musicgen", "facebook/"]
)
def test_other_names_are_not_in_the_catalogue(name):
    assert find_card(name) is None


def test_every_card_stands_under_its_name_and_may_not_be_used_commercially():
    for name, card in CATALOGUE.items():
        assert card.name == name
        assert card.repository == f"facebook/{name}"
        assert card.licence == "CC-BY-NC-4.0"
        assert (card.channels == 2) == ("stereo" in name)
        assert card.hears == ("melody" if "melody" in name else "style" if "style" in name else "")


def test_all_eleven_published_models_are_there():
    assert len(CATALOGUE) == 11
