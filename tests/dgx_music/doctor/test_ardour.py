"""What the doctor says of the scripts' slots and of Ardour's OSC surface."""

from __future__ import annotations

import os

import pytest

from dgx_music.assets import Destinations, Manifest, install, plan_assets, register, unregister
from dgx_music.config import Config
from dgx_music.doctor import Status, Surroundings, ardour
from dgx_music.paths import Paths
from support.ui_scripts import script, ui_scripts


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "DGX_MUSIC_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".config" / "ardour8").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def file(home):
    return home / ".config" / "ardour8" / "ui_scripts"


def surroundings():
    return Surroundings(Paths.find(os.environ), Config(), "", os.environ)


def installed():
    destinations = Destinations.find()
    assets = plan_assets(destinations, os.environ)
    install(assets, Manifest.load(destinations.manifest), destinations)
    return [one for one in assets if one.kind == "script"]


def registered(leave_out=()):
    folders = Destinations.find().ardour
    register(folders, [one for one in installed() if one.target.stem not in leave_out])


def found():
    return [(check.status, check.message) for check in ardour.registration(surroundings())]


def test_without_installed_scripts_nothing_is_said_of_slots(home):
    assert found() == []


def test_scripts_without_slots_are_worth_knowing_with_the_way_to_get_them(home):
    installed()

    (check,) = ardour.registration(surroundings())

    assert check.status is Status.INFO
    assert "install-assets --register" in check.remedy
    assert "Script Manager" in check.remedy


def test_with_all_in_their_slots_each_is_listed(home, file):
    file.write_bytes(ui_scripts([(1, script("mine"))]))
    registered()

    ((status, message),) = found()

    assert status is Status.OK
    assert "2 Generate…" in message
    assert "hook Delivery" in message
    assert "mine" not in message


def test_a_missing_hook_is_a_warning_and_a_missing_action_is_not(home):
    registered(leave_out=["dgx_hook"])
    ((status, message),) = found()
    assert (status, "Fetch now" in message) == (Status.WARNING, True)
    unregister(Destinations.find().ardour)

    registered(leave_out=["dgx_status"])
    ((status, message),) = found()

    assert (status, "not registered: Status" in message) == (Status.INFO, True)


def test_a_registration_by_another_version_is_named(home, monkeypatch):
    registered()
    # The modules' folder is another one now: it stands in each script.
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    installed()
    unmoved = home / ".local" / "share" / "dgx-music" / "installed.json"
    (home / "data" / "dgx-music" / "installed.json").write_bytes(unmoved.read_bytes())
    installed()

    ((status, message),) = found()

    assert status is Status.WARNING
    assert "another version" in message
    assert "Delivery" in message


def test_a_damaged_file_is_a_warning_with_what_is_wrong(home, file):
    installed()
    file.write_bytes(b"<UIScripts")

    ((status, message),) = found()

    assert (status, "no XML" in message) == (Status.WARNING, True)


def test_a_script_that_the_user_changed_is_not_asked_for(home):
    registered(leave_out=["dgx_status"])
    changed = home / ".config" / "ardour8" / "scripts" / "dgx_status.lua"
    changed.write_bytes(changed.read_bytes() + b"-- mine\n")

    assert [status for status, _ in found()] == [Status.OK]


CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour><Config>%s</Config><ControlProtocols>%s</ControlProtocols></Ardour>
"""
PORT = '<Option name="osc-port" value="%s"/>'
OSC = '<Protocol name="Open Sound Control (OSC)" %s/><Protocol name="Mackie" active="1"/>'


@pytest.mark.parametrize(
    ("config", "status", "said"),
    [
        (None, Status.INFO, "off"),
        (CONFIG % ("", ""), Status.INFO, "off"),
        (CONFIG % ("", OSC % 'active="0"'), Status.INFO, "off"),
        (CONFIG % ("", OSC % ""), Status.INFO, "off"),
        (CONFIG % ("", OSC % 'active="1"'), Status.OK, "UDP port 3819"),
        (CONFIG % (PORT % "4000", OSC % 'active="1"'), Status.OK, "UDP port 4000"),
        (CONFIG % (PORT % "none", OSC % 'active="1"'), Status.OK, "UDP port 3819"),
        ("<Ardour>", Status.WARNING, "no XML"),
    ],
)
def test_the_osc_surface_is_told_with_its_port(home, config, status, said):
    if config is not None:
        (home / ".config" / "ardour8" / "config").write_text(config)

    (check,) = ardour.preferences(surroundings())

    assert check.name == "Ardour 8's OSC"
    assert (check.status, said in check.message) == (status, True)


@pytest.mark.parametrize(("value", "expected"), [("1", [Status.WARNING, Status.INFO]), ("0", [Status.INFO])])
def test_an_ardour_that_lets_no_script_read_a_file_is_a_warning(home, value, expected):
    option = f'<Option name="sandbox-all-lua-scripts" value="{value}"/>'
    (home / ".config" / "ardour8" / "ui_config").write_text(f"<Ardour><UI>{option}</UI></Ardour>")

    assert [check.status for check in ardour.preferences(surroundings())] == expected
