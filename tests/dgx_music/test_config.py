from __future__ import annotations

from pathlib import Path

import pytest

from dgx_music.config import Config, load_config
from dgx_music.errors import ConfigError


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
