from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from dgx_music.config import Config, MusicGenConfig, load_config
from dgx_music.engines.base import EngineSettings
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.errors import ConfigError
from dgx_music.paths import Paths


def test_no_file_means_defaults(tmp_path):
    assert load_config(tmp_path / "none.toml", {}) == Config()


def test_the_default_address_is_the_machine_itself():
    assert Config().osc.host == "127.0.0.1"


def test_the_file_sets_and_the_environment_overrides(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[osc]\nport = 7777\n[audio]\nloudness = "ebu-r128"\n')
    config = load_config(
        path, {"DGX_MUSIC__OSC__PORT": "8888", "DGX_MUSIC__INBOX__OBSERVER": "polling", "HOME": "/"}
    )
    assert (config.osc.port, config.audio.loudness, config.inbox.observer) == (8888, "ebu-r128", "polling")


def test_every_mistake_is_named_at_once_with_the_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[osc]\nport = 99999\n[inbx]\nenabled = true\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    for said in (str(path), "osc.port", "99999", "inbx", "etc/config.toml lists every setting"):
        assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"[osc\n", b"\xff\xfe\x00", b"port = \n"])
def test_a_file_that_is_no_toml_says_so(tmp_path, content):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(path, {})


def test_a_folder_in_the_files_place_says_so(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})


def test_a_setting_used_as_a_section_says_so(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('log_level = "info"\n')
    with pytest.raises(ConfigError, match="log_level is a single setting"):
        load_config(path, {"DGX_MUSIC__LOG_LEVEL__X": "1"})


def test_a_path_may_begin_with_the_home_folder_but_must_be_absolute(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[library]\npath = "~/Takes"\n[inbox]\npath = "drops"\n')
    with pytest.raises(ConfigError, match=r"inbox.path: .*must be an absolute path") as caught:
        load_config(path, {})
    assert "library.path" not in str(caught.value)
    path.write_text('[library]\npath = "~/Takes"\n')
    assert load_config(path, {}).library.path == Path.home() / "Takes"


def test_defaults_that_no_request_could_have_are_named_when_they_are_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[audio]\nsample_rate = 1000\n")
    with pytest.raises(ConfigError, match=r"audio: .*1000 Hz is not offered"):
        load_config(path, {})


def test_engines_see_their_settings_and_read_the_library_unless_other_folders_are_named(tmp_path):
    paths = Paths.find({"DGX_MUSIC_HOME": str(tmp_path)})
    assert Config().for_engines(paths) == EngineSettings(
        musicgen=MusicGenSettings(cache_dir=tmp_path / "cache" / "musicgen"),
        reading_roots=(tmp_path / "library",),
    )
    path = tmp_path / "config.toml"
    path.write_text(
        '[library]\npath = "/takes"\n[musicgen]\nmodel = "musicgen-large"\nmax_takes = 3\n'
        '[engine]\nrenderer = "numpy"\n'
    )
    seen = load_config(path, {}).for_engines(paths)
    assert (seen.musicgen.model, seen.musicgen.max_takes, seen.renderer) == ("musicgen-large", 3, "numpy")
    assert seen.reading_roots == (Path("/takes"),)
    path.write_text('[reading]\nroots = ["/samples", "~/Music"]\n')
    assert load_config(path, {}).for_engines(paths).reading_roots == (Path("/samples"), Path.home() / "Music")


def test_every_setting_of_musicgen_can_be_set_and_has_the_engines_own_default():
    own = {field.name: getattr(MusicGenSettings(), field.name) for field in fields(MusicGenSettings)}
    del own["cache_dir"]  # with the installation's other caches
    assert MusicGenConfig().model_dump() == own


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU"])
def test_a_device_that_torch_would_not_know_is_named(tmp_path, device):
    with pytest.raises(ConfigError, match=r"musicgen.device"):
        load_config(tmp_path / "none.toml", {"DGX_MUSIC__MUSICGEN__DEVICE": device})
