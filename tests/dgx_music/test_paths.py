from __future__ import annotations

import os
from pathlib import Path

from dgx_music.paths import Paths


def test_dgx_music_home_moves_everything(tmp_path):
    paths = Paths.find({"DGX_MUSIC_HOME": str(tmp_path)})
    for path in vars(paths).values():
        assert path.is_relative_to(tmp_path)


def test_a_relative_home_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Paths.find({"DGX_MUSIC_HOME": "out"}).library == tmp_path / "out" / "library"


def test_without_it_the_xdg_folders_hold(tmp_path, monkeypatch):
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    paths = Paths.find(os.environ)
    assert paths.config_file == tmp_path / "config" / "dgx-music" / "config.toml"
    assert paths.database == tmp_path / "data" / "dgx-music" / "jobs.sqlite"
    assert paths.lock_file == tmp_path / "state" / "dgx-music" / "daemon.lock"
    assert paths.cache_dir == tmp_path / "cache" / "dgx-music"
    assert paths.library.is_relative_to(Path(os.environ["HOME"]))
