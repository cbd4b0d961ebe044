"""What `install-assets` may and may not do to a home folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.assets import (
    Asset,
    Destinations,
    Manifest,
    Outcome,
    install,
    install_configuration,
    plan_assets,
    remove,
)
from dgx_music.assets.destinations import ArdourFolder
from dgx_music.assets.plan import ardour_version_of
from dgx_music.assets.stubs import render_stub
from dgx_music.assets.ui_scripts import Script, UiScripts
from dgx_music.assets.unit import render_unit
from dgx_music.errors import AssetError
from dgx_music.resources import shipped

UNIT = shipped("etc") / "systemd" / "dgx-music.service"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "DGX_MUSIC_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def destinations(tmp_path):
    folder = tmp_path / "ardour8"
    folder.mkdir()
    data = tmp_path / "data"
    return Destinations((ArdourFolder(folder, 8),), tmp_path / "units", data / "installed.json", data / "lua")


@pytest.fixture
def asset(destinations, tmp_path):
    source = tmp_path / "shipped.lua"
    source.write_bytes(b"first version")
    return Asset("script", destinations.ardour[0].path / "scripts" / "one.lua", b"first version", source)


def newer(asset, content=b"second version"):
    return Asset(asset.kind, asset.target, content, asset.source)


def run(assets, destinations):
    return [
        (one.path, one.outcome) for one in install(assets, Manifest.load(destinations.manifest), destinations)
    ]


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]


def test_a_file_is_installed_once_and_then_left(asset, destinations):
    assert run([asset], destinations) == [(asset.target, Outcome.INSTALLED)]
    before = asset.target.stat()

    assert run([asset], destinations) == [(asset.target, Outcome.CURRENT)]

    assert asset.target.read_bytes() == b"first version"
    assert asset.target.stat().st_ino == before.st_ino
    assert leftovers(asset.target.parent) == []


def test_an_untouched_file_is_upgraded(asset, destinations):
    run([asset], destinations)

    assert run([newer(asset)], destinations) == [(asset.target, Outcome.UPDATED)]

    assert asset.target.read_bytes() == b"second version"


def test_a_file_that_the_user_changed_is_kept_and_the_new_one_named(asset, destinations):
    run([asset], destinations)
    asset.target.write_bytes(b"my own version")

    (result,) = install([newer(asset)], Manifest.load(destinations.manifest), destinations)

    assert result.outcome is Outcome.KEPT
    assert str(asset.source) in result.remark
    assert asset.target.read_bytes() == b"my own version"


def test_a_file_of_the_same_name_that_was_never_ours_is_kept(asset, destinations):
    asset.target.parent.mkdir()
    asset.target.write_bytes(b"somebody's script")

    assert run([asset], destinations) == [(asset.target, Outcome.KEPT)]
    assert remove(Manifest.load(destinations.manifest)) == []

    assert asset.target.read_bytes() == b"somebody's script"


def test_a_link_that_the_user_made_is_not_written_through(asset, destinations, tmp_path):
    elsewhere = tmp_path / "dotfiles.lua"
    elsewhere.write_bytes(b"in the user's repository")
    asset.target.parent.mkdir()
    asset.target.symlink_to(elsewhere)

    assert run([asset], destinations) == [(asset.target, Outcome.KEPT)]

    assert asset.target.is_symlink()
    assert elsewhere.read_bytes() == b"in the user's repository"


def test_a_dangling_link_is_left_too(asset, destinations, tmp_path):
    asset.target.parent.mkdir()
    asset.target.symlink_to(tmp_path / "not there")

    assert run([asset], destinations) == [(asset.target, Outcome.KEPT)]


def test_a_folder_in_the_way_is_left(asset, destinations):
    asset.target.mkdir(parents=True)

    assert run([asset], destinations) == [(asset.target, Outcome.KEPT)]


def test_what_no_longer_ships_is_taken_away_unless_it_was_changed(asset, destinations):
    other = Asset("script", asset.target.with_name("two.lua"), b"two", asset.source)
    run([asset, other], destinations)
    other.target.write_bytes(b"two, mine now")

    outcomes = run([], destinations)

    assert sorted(outcomes) == [(asset.target, Outcome.REMOVED), (other.target, Outcome.KEPT)]
    assert not asset.target.exists()
    assert other.target.read_bytes() == b"two, mine now"


def test_files_of_an_installation_under_other_folders_are_not_taken_away(asset, destinations, tmp_path):
    run([asset], destinations)
    elsewhere = Destinations((), tmp_path / "other units", destinations.manifest, tmp_path / "other modules")

    assert run([], elsewhere) == []

    assert asset.target.exists()


def test_with_its_record_lost_an_install_still_overwrites_nothing(asset, destinations):
    run([asset], destinations)
    destinations.manifest.write_text("{ not json")

    assert run([newer(asset)], destinations) == [(asset.target, Outcome.KEPT)]
    assert asset.target.read_bytes() == b"first version"


def test_a_crash_between_file_and_record_is_mended_by_the_next_run(asset, destinations):
    run([asset], destinations)
    asset.target.write_bytes(b"second version")  # written, but the record still says "first version"

    assert run([newer(asset)], destinations) == [(asset.target, Outcome.CURRENT)]
    assert run([newer(asset, b"third version")], destinations) == [(asset.target, Outcome.UPDATED)]


def test_one_file_that_cannot_be_written_does_not_stop_the_others(asset, destinations):
    blocked = destinations.ardour[0].path / "a file where a folder is wanted"
    blocked.touch()
    bad = Asset("script", blocked / "x.lua", b"x", asset.source)

    results = install([bad, asset], Manifest.load(destinations.manifest), destinations)

    assert [one.outcome for one in results] == [Outcome.FAILED, Outcome.INSTALLED]
    assert str(blocked) in results[0].remark
    assert str(asset.target) in Manifest.load(destinations.manifest).hashes


def test_removal_takes_only_what_is_unchanged_and_keeps_ardours_folders(asset, destinations):
    template = Asset(
        "template",
        destinations.ardour[0].path / "templates" / "T" / "T.template",
        b"<Session/>",
        asset.source,
    )
    changed = Asset("script", asset.target.with_name("two.lua"), b"two", asset.source)
    run([asset, template, changed], destinations)
    changed.target.write_bytes(b"mine")

    remove(Manifest.load(destinations.manifest))

    found = sorted(path for path in destinations.ardour[0].path.rglob("*"))
    assert found == sorted([asset.target.parent, changed.target, template.target.parent.parent])
    assert not destinations.manifest.exists()


def test_a_template_folder_with_something_of_the_users_in_it_stays(asset, destinations):
    template = Asset(
        "template",
        destinations.ardour[0].path / "templates" / "T" / "T.template",
        b"<Session/>",
        asset.source,
    )
    run([template], destinations)
    note = template.target.with_name("notes.txt")
    note.write_text("mine")

    remove(Manifest.load(destinations.manifest))

    assert list(template.target.parent.iterdir()) == [note]


@given(steps=st.lists(st.sampled_from(["v1", "v2", "edit", "delete", "forget", "remove"]), max_size=12))
def test_no_sequence_of_installs_and_edits_loses_the_users_text(tmp_path_factory, steps):
    root = tmp_path_factory.mktemp("home")
    folders = (ArdourFolder(root / "ardour8", 8),)
    destinations = Destinations(folders, root / "units", root / "installed.json", root / "lua")
    target = root / "ardour8" / "scripts" / "one.lua"
    versions = {name: Asset("script", target, name.encode(), root / "source") for name in ("v1", "v2")}
    target.parent.mkdir(parents=True)
    for step in steps:
        edited = target.exists() and target.read_bytes() == b"edited"
        match step:
            case "edit":
                target.write_bytes(b"edited")
                edited = True
            case "delete":
                target.unlink(missing_ok=True)
                edited = False
            case "forget":
                destinations.manifest.unlink(missing_ok=True)
            case "remove":
                remove(Manifest.load(destinations.manifest))
            case version:
                run([versions[version]], destinations)
        assert not edited or target.read_bytes() == b"edited"


def test_the_configuration_is_written_once_and_never_again(tmp_path):
    default = tmp_path / "default.toml"
    default.write_text("#port = 7400\n")
    target = tmp_path / "new" / "config.toml"
    assert install_configuration(default, target).outcome is Outcome.INSTALLED
    target.write_text("port = 9000\n")
    default.write_text("#port = 7401\n")

    assert install_configuration(default, target).outcome is Outcome.KEPT

    assert target.read_text() == "port = 9000\n"


def test_every_ardour_folder_is_found_and_nothing_that_only_looks_like_one(home):
    names = ("ardour5", "ardour6", "ardour7", "ardour10", "ardour7-backup", "ardour", "ardour8.old")
    for name in names:
        (home / ".config" / name).mkdir(parents=True)
    (home / ".config" / "ardour9").write_text("a file")

    found = Destinations.find()

    assert [(folder.path.name, folder.major) for folder in found.ardour] == [
        ("ardour6", 6),
        ("ardour7", 7),
        ("ardour10", 10),
    ]


def test_the_xdg_variables_move_everything(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "conf"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    (home / "conf" / "ardour8").mkdir(parents=True)

    found = Destinations.find()

    assert found.ardour[0].path == home / "conf" / "ardour8"
    assert found.unit_dir == home / "conf" / "systemd" / "user"
    assert found.manifest == home / "data" / "dgx-music" / "installed.json"


def test_an_ardour_too_old_for_the_templates_gets_none(home):
    for major in (6, 7):
        (home / ".config" / f"ardour{major}").mkdir(parents=True)

    planned = [asset for asset in plan_assets(Destinations.find(), os.environ) if asset.kind == "template"]

    assert {asset.target.parts[-4] for asset in planned} == {"ardour7"}
    assert len(planned) == len(list((shipped("templates") / "sessions").iterdir()))
    for asset in planned:
        assert asset.target.parent.parent.name == "templates"
        assert asset.target.stem == asset.target.parent.name


def planned(kind):
    return [asset for asset in plan_assets(Destinations.find(), os.environ) if asset.kind == kind]


def test_every_action_goes_into_scripts_and_the_one_used_most_comes_first(home):
    (home / ".config" / "ardour8").mkdir(parents=True)

    targets = [asset.target for asset in planned("script")]

    scripts = {path.name for path in (shipped("lua") / "actions").glob("*.lua")}
    assert {target.name for target in targets} == scripts
    assert {target.parent for target in targets} == {home / ".config" / "ardour8" / "scripts"}
    assert targets[0].stem == "dgx_generate"


def test_every_module_goes_into_one_folder_for_all_ardours(home):
    for major in (7, 8):
        (home / ".config" / f"ardour{major}").mkdir(parents=True)

    modules = {path.name for path in (shipped("lua") / "dgx_music").glob("*.lua")}

    assert sorted(asset.target for asset in planned("module")) == sorted(
        home / ".local/share/dgx-music/lua" / name for name in modules
    )


def lua_value(program, *, source):
    done = subprocess.run(["lua5.3", "-e", program], input=source, capture_output=True, check=True)
    return done.stdout


needs_lua = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3")


@needs_lua
@pytest.mark.parametrize(
    "name", ["plain", 'with "quotes" and spaces', "back\\slash", "größer", "new\nline", b"\xff\xfe"]
)
def test_the_scripts_and_the_module_place_hold_the_paths_to_the_byte(home, monkeypatch, name):
    folder = home / os.fsdecode(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("DGX_MUSIC_HOME", str(folder / "trial"))
    (home / ".config" / "ardour8").mkdir(parents=True)

    place = next(asset for asset in planned("module") if asset.target.name == "place.lua")
    stub = next(asset for asset in planned("script"))

    read = 'local place = load (io.read ("a"), "place", "t", {}) (); io.write (place.runtime, "\\0", place.spool)'
    state = os.fsencode(folder / "trial" / "state")
    assert lua_value(read, source=place.content) == state + b"/daemon.json\0" + state + b"/ardour"
    (line,) = [line for line in stub.content.splitlines() if line.strip().startswith(b"local MODULES = ")]
    read = 'load (io.read ("a") .. " io.write (MODULES)", "stub", "t", { io = io }) ()'
    assert lua_value(read, source=line) == os.fsencode(folder / "data" / "dgx-music" / "lua")


def test_a_script_without_a_place_for_the_modules_folder_is_refused(tmp_path):
    with pytest.raises(AssetError, match="local MODULES"):
        render_stub(b"function factory () end", tmp_path)


def test_the_script_of_an_earlier_version_is_replaced_and_what_no_longer_ships_goes(home):
    scripts = home / ".config" / "ardour8" / "scripts"
    scripts.mkdir(parents=True)
    destinations = Destinations.find()
    earlier = {name: f"{name} of an earlier version".encode() for name in ("dgx_generate.lua", "dgx_old.lua")}
    module = destinations.modules / "old.lua"
    run([Asset("script", scripts / name, text, scripts) for name, text in earlier.items()], destinations)
    old = Asset("module", module, b"old", scripts)
    kept = [Asset("script", scripts / name, text, scripts) for name, text in earlier.items()]
    run([*kept, old], destinations)

    outcomes = dict(run(plan_assets(destinations, os.environ), destinations))

    assert outcomes[scripts / "dgx_generate.lua"] is Outcome.UPDATED
    assert outcomes[scripts / "dgx_old.lua"] is Outcome.REMOVED
    assert outcomes[module] is Outcome.REMOVED
    assert b"local MODULES = " in (scripts / "dgx_generate.lua").read_bytes()


def test_removal_takes_the_modules_folder_away_too_unless_something_of_the_users_is_in_it(home):
    destinations = Destinations.find()
    run(plan_assets(destinations, os.environ), destinations)
    own = destinations.modules / "mine.lua"
    own.write_text("mine")
    remove(Manifest.load(destinations.manifest))
    assert [path.name for path in destinations.modules.iterdir()] == ["mine.lua"]
    own.unlink()
    run(plan_assets(destinations, os.environ), destinations)

    remove(Manifest.load(destinations.manifest))

    assert not destinations.modules.exists()


def test_a_damaged_template_is_refused_by_name(tmp_path):
    broken = tmp_path / "broken.template"
    broken.write_text("<Session vers")

    with pytest.raises(AssetError, match=r"broken\.template"):
        ardour_version_of(broken)


def exec_start(text):
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    return line


def test_the_unit_names_the_installed_command(home):
    text = render_unit(UNIT.read_text(), home / ".local/bin/dgx-music", {})

    assert exec_start(text) == f'ExecStart="{home}/.local/bin/dgx-music" daemon'
    assert "Environment=" not in text


def test_the_unit_carries_dgx_music_home_where_it_is_set():
    text = render_unit(
        UNIT.read_text(), Path("/usr/bin/dgx-music"), {"DGX_MUSIC_HOME": '/srv/100% "wet"/music'}
    )

    assert 'Environment="DGX_MUSIC_HOME=/srv/100%% \\"wet\\"/music"' in text


systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def verify(unit, tmp_path):
    (tmp_path / "run").mkdir(exist_ok=True)
    return subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        check=False,
    )


@systemd_analyze
@pytest.mark.parametrize("folder", ["plain", "with space", "100% 'wet' $HOME", "größer"])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path, folder):
    command = tmp_path / folder / "dgx-music"
    command.parent.mkdir()
    shutil.copy("/bin/true", command)
    unit = tmp_path / "dgx-music.service"
    unit.write_text(render_unit(UNIT.read_text(), command, {"DGX_MUSIC_HOME": str(tmp_path / folder)}))

    done = verify(unit, tmp_path)

    # It reports unknown settings on standard error and succeeds all the same.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@systemd_analyze
def test_systemd_would_find_a_command_that_does_not_exist(tmp_path):
    unit = tmp_path / "dgx-music.service"
    unit.write_text(render_unit(UNIT.read_text(), tmp_path / "missing" / "dgx-music", {}))

    assert "missing/dgx-music" in verify(unit, tmp_path).stderr


def test_the_unit_waits_for_ready_is_watched_and_outlives_a_worker_that_ran_out_of_memory():
    lines = UNIT.read_text().splitlines()

    assert {"Type=notify", "NotifyAccess=main", "OOMPolicy=continue", "Restart=on-failure"} <= set(lines)
    assert any(line.startswith("WatchdogSec=") for line in lines)


def command_line(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "-m", "dgx_music", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    not os.access(Path(sys.executable).parent / "dgx-music", os.X_OK), reason="dgx-music is not installed"
)
def test_install_and_remove_by_command_leave_only_what_is_the_users(home):
    (home / ".config" / "ardour8").mkdir(parents=True)

    first = command_line("install-assets", "--json")
    second = command_line("install-assets", "--json")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    outcomes = {one["path"]: one["outcome"] for one in json.loads(first.stdout)["files"]}
    assert set(outcomes.values()) == {"installed"}
    assert str(home / ".config/dgx-music/config.toml") in outcomes
    assert str(home / ".config/systemd/user/dgx-music.service") in outcomes
    assert all(Path(path).exists() for path in outcomes)
    again = {one["path"]: one["outcome"] for one in json.loads(second.stdout)["files"]}
    assert set(again.values()) == {"current", "kept"}
    assert [path for path, outcome in again.items() if outcome == "kept"] == [
        str(home / ".config/dgx-music/config.toml")
    ]

    assert command_line("remove-assets").returncode == 0

    assert [path for path in home.rglob("*") if path.is_file()] == [home / ".config/dgx-music/config.toml"]


@pytest.mark.skipif(
    not os.access(Path(sys.executable).parent / "dgx-music", os.X_OK), reason="dgx-music is not installed"
)
def test_dgx_music_home_moves_configuration_and_folders_but_not_the_unit(home):
    done = command_line("install-assets", DGX_MUSIC_HOME=str(home / "trial"))

    assert done.returncode == 0, done.stderr
    assert (home / "trial" / "config.toml").exists()
    assert (home / "trial" / "library").is_dir()
    assert (home / "trial" / "inbox").is_dir()
    unit = (home / ".config/systemd/user/dgx-music.service").read_text()
    assert f'Environment="DGX_MUSIC_HOME={home}/trial"' in unit
    assert not (home / ".config/dgx-music").exists()


@pytest.mark.skipif(
    not os.access(Path(sys.executable).parent / "dgx-music", os.X_OK), reason="dgx-music is not installed"
)
def test_a_configuration_that_cannot_be_used_does_not_keep_the_rest_from_being_installed(home):
    config = home / ".config/dgx-music/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("nonsense = true\n")

    done = command_line("install-assets")

    assert done.returncode == 1
    assert "nonsense" in done.stdout
    assert (home / ".config/systemd/user/dgx-music.service").exists()
    assert config.read_text() == "nonsense = true\n"


@pytest.mark.skipif(
    not os.access(Path(sys.executable).parent / "dgx-music", os.X_OK), reason="dgx-music is not installed"
)
def test_the_command_gives_the_scripts_their_slots_only_when_asked_to_and_takes_them_out_again(home):
    folder = home / ".config" / "ardour8"
    folder.mkdir(parents=True)
    scripts = folder / "ui_scripts"

    def told(*arguments):
        done = command_line(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [one for one in json.loads(done.stdout)["files"] if one["path"] == str(scripts)]

    assert told("install-assets") == []
    assert not scripts.exists()
    (first,) = told("install-assets", "--register")
    assert first["outcome"] == "installed"
    assert "slots: 1 Generate…, 2 Fetch now" in first["remark"]
    assert "hook: Delivery" in first["remark"]
    before = scripts.read_bytes()

    assert [one["outcome"] for one in told("install-assets", "--register")] == ["current"]
    assert told("install-assets") == []
    assert scripts.read_bytes() == before

    assert [one["outcome"] for one in told("install-assets", "--unregister")] == ["removed"]
    assert not scripts.exists()
    assert (folder / "scripts" / "dgx_generate.lua").exists()

    told("install-assets", "--register")
    told("remove-assets")
    assert [path for path in home.rglob("*") if path.is_file()] == [home / ".config/dgx-music/config.toml"]


@pytest.mark.skipif(
    not os.access(Path(sys.executable).parent / "dgx-music", os.X_OK), reason="dgx-music is not installed"
)
def test_a_script_that_the_user_changed_keeps_the_slot_that_the_user_gave_it_and_is_given_none(home):
    scripts = home / ".config" / "ardour8" / "scripts"
    scripts.mkdir(parents=True)
    command_line("install-assets")
    own = (scripts / "dgx_generate.lua").read_bytes() + b"-- mine\n"
    (scripts / "dgx_generate.lua").write_bytes(own)

    done = command_line("install-assets", "--register")

    assert done.returncode == 0, done.stderr
    assert f"{scripts}/dgx_generate.lua is your own version" in done.stdout
    assert "Generate…" not in done.stdout
    assert "1 Fetch now" in done.stdout
    assert (scripts / "dgx_generate.lua").read_bytes() == own

    file = scripts.with_name("ui_scripts")
    by_hand = UiScripts(file.read_bytes())
    by_hand.set_action(20, Script("Mine", own))
    file.write_bytes(by_hand.to_bytes())
    assert command_line("install-assets", "--register").returncode == 0
    assert UiScripts(file.read_bytes()).actions[20] == Script("Mine", own)

    assert command_line("remove-assets").returncode == 0
    assert UiScripts(file.read_bytes()).actions == {20: Script("Mine", own)}
    assert (scripts / "dgx_generate.lua").read_bytes() == own
