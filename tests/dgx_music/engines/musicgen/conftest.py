"""Tiny checkpoints with random weights, built once a run, and engines that use them."""

from __future__ import annotations

import pytest

from dgx_music.engines.base import EngineSettings, TakeSpec
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.request import GenerationRequest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a function from a shape's name and a format to a folder with such a checkpoint."""
    pytest.importorskip("torch")
    from support.musicgen_checkpoints import build

    root = tmp_path_factory.mktemp("checkpoints")
    return lambda shape, kind="hub": build(root / f"{shape}-{kind}", shape, format=kind)


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def settings_for(checkpoint, engine_cache, tmp_path):
    def settings_for(shape="tiny", format="hub", **changes):  # noqa: A002
        own = {
            "model": str(checkpoint(shape, format)),
            "cache_dir": engine_cache,
            "download": False,
            **changes,
        }
        return EngineSettings(musicgen=MusicGenSettings(**own), reading_roots=(tmp_path,))

    return settings_for


@pytest.fixture
def takes_of():
    def takes_of(**fields):
        request = GenerationRequest.from_fields({"prompt": "warm piano", "seed": 7, **fields})
        return [TakeSpec(index, request.seed + index, request) for index in range(request.takes)]

    return takes_of
