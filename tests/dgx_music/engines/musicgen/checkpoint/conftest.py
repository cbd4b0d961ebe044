"""Checkpoints that several tests read; nobody may write into them."""

from __future__ import annotations

import pytest

from dgx_music.engines.musicgen.checkpoint import Missing, load_checkpoint, locate
from dgx_music.engines.musicgen.settings import MusicGenSettings
from support.musicgen_checkpoints import build


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return what builds a checkpoint, once for each set of options."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def get(shape, **options):
        name = "-".join([shape, *(f"{key}={value}" for key, value in sorted(options.items()))])
        return build(folder / name, shape, **options)

    return get


@pytest.fixture
def settings(tmp_path):
    return MusicGenSettings(models_dir=tmp_path / "models", cache_dir=tmp_path / "cache")


@pytest.fixture
def loaded(settings):
    """Return what opens a folder."""

    def load(folder):
        files = locate(str(folder), settings, {})
        assert not isinstance(files, Missing), files.reason
        return load_checkpoint(files, settings)

    return load
