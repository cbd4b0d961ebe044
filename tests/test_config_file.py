"""`etc/config.toml` lists every setting with its default, so a user never has to read the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel

from dgx_music.config import Config, load_config
from dgx_music.resources import shipped

FILE = shipped("etc") / "config.toml"
SETTING = re.compile(r"^#([a-z_]+ = .*)$", re.MULTILINE)


def _defaults(model: BaseModel) -> dict[str, object]:
    return {
        name: _defaults(value) if isinstance(value := getattr(model, name), BaseModel) else value
        for name in type(model).model_fields
    }


def _uncommented() -> dict[str, object]:
    return tomllib.loads(SETTING.sub(r"\1", FILE.read_text(encoding="utf-8")))


def test_as_shipped_it_changes_nothing():
    assert load_config(FILE, {}) == Config()


def test_every_setting_of_every_section_stands_in_it_and_no_other():
    def names(settings):
        return {name: names(value) if isinstance(value, dict) else None for name, value in settings.items()}

    assert names(_uncommented()) == names(_defaults(Config()))


def test_every_value_is_the_default():
    comments = _comments()

    def compare(shown, default, where):
        for name, value in default.items():
            if isinstance(value, dict):
                compare(shown[name], value, f"{name}.")
            elif value is None:
                # The file cannot say "none"; it shows an example and says what happens without.
                assert "Left out:" in comments[where + name], where + name
            else:
                same = list(value) if isinstance(value, tuple) else value
                assert shown[name] == same, where + name

    compare(_uncommented(), _defaults(Config()), "")


def test_all_settings_uncommented_are_accepted(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(SETTING.sub(r"\1", FILE.read_text(encoding="utf-8")), encoding="utf-8")

    config = load_config(file, {})

    assert isinstance(config.inbox.path, Path)


def test_every_setting_is_explained_by_the_lines_above_it():
    assert [name for name, comment in _comments().items() if len(comment.split()) < 4] == []


def _comments() -> dict[str, str]:
    """Return the comment above each setting, by `section.name`."""
    found: dict[str, str] = {}
    section, comment = "", ""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif setting := SETTING.match(line):
            found[section + setting[1].split(" = ", 1)[0]] = comment
        comment = f"{comment} {line[2:]}" if line.startswith("# ") else ""
    return found
