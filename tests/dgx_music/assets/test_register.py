"""What registering may and may not do to Ardour's `ui_scripts`: the user's own scripts stay byte for byte."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.assets import (
    Asset,
    Destinations,
    Manifest,
    Outcome,
    install,
    plan_assets,
    register,
    registered_slot,
    registration_of,
    unregister,
)
from dgx_music.assets.destinations import ArdourFolder
from dgx_music.assets.stubs import header_of
from dgx_music.assets.ui_scripts import SLOTS, UiScripts
from dgx_music.errors import AssetError
from dgx_music.resources import shipped
from support.ui_scripts import hooks_of, lua_of, script, ui_scripts

ACTION = b"""ardour {
	["type"] = "EditorAction", name = "DGX Music: %b",
	author = "DGX Music",
}
function factory ()
	local MODULES = "/modules"
	return function () return MODULES end
end
"""
HOOK = b"""ardour { ["type"] = "EditorHook", name = "DGX Music: Delivery",
author = "DGX Music" }
function signals () return LuaSignal.Set ():add ({ [LuaSignal.LuaTimerDS] = true }) end
function factory ()
	local MODULES = "/modules"
	return function () return MODULES end
end
"""
MINE = script("Mine \u201c\u2026\u201d", b'ardour { name = "Mine" }\nfunction factory () end\n')
MY_HOOK = ("4711", script("My hook & more", b"-- a hook"), 49 * "1")


def action(name: bytes) -> bytes:
    return ACTION.replace(b"%b", name)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "config" / "ardour7"
    path.mkdir(parents=True)
    return ArdourFolder(path, 7)


def scripts_for(*folders, actions=(b"Generate", b"Fetch now"), hook=True):
    sources = {f"dgx_{name.decode().lower().replace(' ', '_')}": action(name) for name in actions}
    if hook:
        sources["dgx_hook"] = HOOK
    return [
        Asset("script", one.path / "scripts" / f"{stem}.lua", text, one.path)
        for one in folders
        for stem, text in sources.items()
    ]


def file_of(folder):
    return folder.path / "ui_scripts"


def backups(folder):
    return sorted(path.name for path in folder.path.iterdir() if "before" in path.name)


def outcomes(results):
    return [one.outcome for one in results]


USERS_FILES = {
    "absent": None,
    "no scripts": ui_scripts(),
    "an action": ui_scripts([(1, MINE)]),
    "a hook": ui_scripts(hooks=[MY_HOOK]),
    "both": ui_scripts([(2, MINE), (31, script("Last", a=b"\x00\xff"))], [MY_HOOK, ("1", script("x"), "1")]),
    "elements without content": b"<UIScripts><ActionScript/><ActionHooks/></UIScripts>",
    "no elements": b"<UIScripts/>",
    "a hook that nobody can read": ui_scripts(hooks=[MY_HOOK]).replace(b"</LuaCallback>", b"!</LuaCallback>"),
    "something that Ardour may add some day": b'<UIScripts new="1"><!-- a & b --><New x="&lt;">y</New></UIScripts>',
}


@pytest.mark.parametrize("before", USERS_FILES.values(), ids=USERS_FILES)
def test_actions_get_free_slots_and_the_users_scripts_stay_byte_for_byte(folder, before):
    path = file_of(folder)
    if before is not None:
        path.write_bytes(before)
    lua_before = lua_of(path) if before and b"<ActionScript l" in before else b""
    users = UiScripts(before)

    (result,) = register([folder], scripts_for(folder))

    assert result.outcome is Outcome.INSTALLED
    found = UiScripts(path.read_bytes())
    assert {slot: found.actions[slot] for slot in users.actions} == users.actions
    assert lua_of(path).startswith(lua_before.rstrip() or b"scripts = {}")
    assert hooks_of(path)[: len(users.hooks)] == (
        re.findall(rb"<LuaCallback.*?</LuaCallback>", before or b"")
    )
    ours = sorted(set(found.actions) - set(users.actions))
    assert ours == [slot for slot in SLOTS if slot not in users.actions][:2]
    assert [header_of(found.actions[slot].source).name for slot in ours] == [
        "DGX Music: Generate",
        "DGX Music: Fetch now",
    ]
    assert backups(folder) == ([] if before is None else ["ui_scripts.before-dgx-music"])
    for backup in backups(folder):
        assert (folder.path / backup).read_bytes() == before
    if before and b"<New" in before:
        assert b'<!-- a & b --><New x="&lt;">y</New>' in path.read_bytes()
        assert b'<UIScripts new="1">' in path.read_bytes()


@pytest.mark.parametrize("before", USERS_FILES.values(), ids=USERS_FILES)
def test_registering_again_changes_nothing_and_taking_away_leaves_what_was_there(folder, before):
    path = file_of(folder)
    if before is not None:
        path.write_bytes(before)
    register([folder], scripts_for(folder))
    once, kept = path.read_bytes(), backups(folder)

    assert outcomes(register([folder], scripts_for(folder))) == [Outcome.CURRENT]
    assert path.read_bytes() == once
    assert backups(folder) == kept

    assert outcomes(unregister([folder])) == [Outcome.REMOVED]
    assert unregister([folder]) == []
    if before is None:
        assert list(folder.path.iterdir()) == []
    else:
        users, left = UiScripts(before), UiScripts(path.read_bytes())
        assert (left.actions, left.hooks) == (users.actions, users.hooks)
        assert hooks_of(path) == re.findall(rb"<LuaCallback.*?</LuaCallback>", before)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "XML"),
        (b"<UIScripts><ActionScript", "XML"),
        (b"<Keys/>", "<Keys>"),
        (b"<UIScripts><ActionScript>!!!</ActionScript></UIScripts>", "base64"),
        (b"<UIScripts><ActionScript>b3MuZXhlY3V0ZSAoKQ==</ActionScript></UIScripts>", "byte 0"),
        (b"<UIScripts><ActionScript>c2NyaXB0cyA9IHsgMSB9</ActionScript></UIScripts>", "numbered scripts"),
    ],
)
def test_a_damaged_file_is_left_alone_and_the_reason_told(folder, content, reason):
    file_of(folder).write_bytes(content)

    for results in (register([folder], scripts_for(folder)), unregister([folder])):
        (result,) = results
        assert result.outcome is Outcome.FAILED
        assert reason in result.remark

    assert file_of(folder).read_bytes() == content
    assert backups(folder) == []
    with pytest.raises(AssetError, match=reason):
        registration_of(folder, scripts_for(folder))


def test_with_all_slots_taken_the_hook_is_registered_and_each_action_without_a_place_is_named(folder):
    full = ui_scripts([(slot, MINE) for slot in SLOTS if slot != 17])
    file_of(folder).write_bytes(full)

    results = register([folder], scripts_for(folder))

    assert outcomes(results) == [Outcome.INSTALLED, Outcome.FAILED]
    assert results[1].remark.startswith("Fetch now got no slot")
    found = registration_of(folder, scripts_for(folder))
    assert (found.slots, found.hooks) == ({"DGX Music: Generate": 17}, ("DGX Music: Delivery",))
    assert found.missing == ("DGX Music: Fetch now",)


def test_another_version_is_put_into_the_same_slot_under_the_name_that_the_user_gave_it(folder):
    old = action(b"Generate").replace(b"/modules", b"/elsewhere")
    hook = (
        "99",
        script("DGX", HOOK.replace(b"/modules", b"/old")),
        49 * "0",
    )
    file_of(folder).write_bytes(ui_scripts([(5, MINE), (9, script("My Generate", old))], [MY_HOOK, hook]))
    assert registration_of(folder, scripts_for(folder)).outdated == (
        "DGX Music: Generate",
        "DGX Music: Delivery",
    )

    (result,) = register([folder], scripts_for(folder))

    assert result.outcome is Outcome.UPDATED
    found = UiScripts(file_of(folder).read_bytes())
    assert sorted(found.actions) == [1, 5, 9]
    assert found.actions[9].name == "My Generate"
    assert found.actions[9].source == action(b"Generate")
    assert list(found.hooks) == ["4711", "99"]
    assert found.hooks["99"].name == "DGX"
    assert b"/modules" in found.hooks["99"].source
    assert registration_of(folder, scripts_for(folder)).outdated == ()
    assert outcomes(register([folder], scripts_for(folder))) == [Outcome.CURRENT]


def test_a_script_of_ours_that_no_longer_ships_loses_its_slot_but_not_a_users_script_with_our_name_in_it(
    folder,
):
    users = action(b"My variation").replace(b'local MODULES = "/modules"', b"local MODULES_OF_MINE = {}")
    mention = script("x", b'-- made with "DGX Music", local MODULES = 1\n')
    before = [(1, script("Old", action(b"Old"))), (2, script("Fork", users)), (3, mention)]
    file_of(folder).write_bytes(ui_scripts(before))

    register([folder], scripts_for(folder))

    found = UiScripts(file_of(folder).read_bytes())
    assert found.actions[2].source == users
    assert found.actions[3].source == mention[b"s"]
    assert b'"DGX Music: Generate"' in found.actions[1].source


def test_a_second_hook_of_ours_is_taken_away_and_the_first_one_left_as_ardour_saved_it(folder):
    (hook,) = [one for one in scripts_for(folder) if one.target.stem == "dgx_hook"]
    entry = script("DGX Music: Delivery", hook.content)
    ours = [("1", entry, "0" + "1" + 47 * "0"), ("2", entry, "1")]
    file_of(folder).write_bytes(ui_scripts(hooks=[*ours, MY_HOOK]))
    first, _, mine = hooks_of(file_of(folder))

    register([folder], scripts_for(folder))

    assert hooks_of(file_of(folder)) == [first, mine]


def test_every_change_keeps_a_copy_of_what_was_there_once(folder):
    path = file_of(folder)
    path.write_bytes(ui_scripts([(1, MINE)]))
    register([folder], scripts_for(folder))
    second = path.read_bytes()
    unregister([folder])
    third = path.read_bytes()
    register([folder], scripts_for(folder))
    unregister([folder])

    names = ["ui_scripts.before-dgx-music", "ui_scripts.before-dgx-music-2", "ui_scripts.before-dgx-music-3"]
    assert backups(folder) == names
    assert (folder.path / names[1]).read_bytes() == second
    assert (folder.path / names[2]).read_bytes() == third


def test_while_ardour_runs_nothing_is_changed_and_its_process_is_named(folder):
    program = folder.path.parent / "ardour-7.3.0~ds0"
    shutil.copy("/bin/sleep", program)
    environ = {**os.environ, "XDG_CONFIG_HOME": str(folder.path.parent)}
    before = ui_scripts([(1, MINE)])
    file_of(folder).write_bytes(before)
    process = subprocess.Popen([program, "60"], env=environ)
    try:
        (result,) = register([folder], scripts_for(folder))
        assert result.outcome is Outcome.FAILED
        assert f"pid {process.pid}" in result.remark
        assert file_of(folder).read_bytes() == before
        assert backups(folder) == []
    finally:
        process.kill()
        process.wait()
    assert outcomes(register([folder], scripts_for(folder))) == [Outcome.INSTALLED]


def test_an_ardour_newer_than_this_version_gets_nothing(folder):
    newer = ArdourFolder(folder.path, 10)

    (result,) = register([newer], scripts_for(newer))

    assert (result.outcome, file_of(folder).exists()) == (Outcome.FAILED, False)
    assert "Ardour 10" in result.remark


def test_a_link_that_the_user_made_is_followed_and_stays_and_one_to_nowhere_is_left(folder, tmp_path):
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    (elsewhere / "scripts.xml").write_bytes(ui_scripts([(1, MINE)]))
    file_of(folder).symlink_to(elsewhere / "scripts.xml")

    assert outcomes(register([folder], scripts_for(folder))) == [Outcome.INSTALLED]
    assert file_of(folder).is_symlink()
    assert sorted(UiScripts((elsewhere / "scripts.xml").read_bytes()).actions) == [1, 2, 3]

    file_of(folder).unlink()
    file_of(folder).symlink_to(tmp_path / "nowhere")
    assert outcomes(register([folder], scripts_for(folder))) == [Outcome.FAILED]
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_cannot_be_written_is_reported_and_the_other_ardours_go_on(folder):
    other = ArdourFolder(folder.path.with_name("ardour8"), 8)
    other.path.mkdir()
    file_of(folder).mkdir()

    results = register([folder, other], scripts_for(folder, other))

    assert outcomes(results) == [Outcome.FAILED, Outcome.INSTALLED]


def test_an_action_has_the_same_slot_in_every_ardour_where_the_users_scripts_leave_it(folder, monkeypatch):
    other = ArdourFolder(folder.path.with_name("ardour8"), 8)
    other.path.mkdir()
    file_of(other).write_bytes(ui_scripts([(1, MINE)]))
    folders = [folder, other]

    register(folders, scripts_for(*folders))

    slots = [registration_of(one, scripts_for(one)).slots for one in folders]
    assert slots == [{"DGX Music: Generate": 2, "DGX Music: Fetch now": 3}] * 2


def test_the_slot_for_the_daemon_is_told_only_where_it_is_the_same_everywhere(folder):
    other = ArdourFolder(folder.path.with_name("ardour8"), 8)
    other.path.mkdir()
    folders = [folder, other]
    source = (shipped("lua") / "actions" / "dgx_fetch_now.lua").read_bytes()
    fetch = script("Fetch", source)
    assert registered_slot("dgx_fetch_now", folders) is None

    file_of(folder).write_bytes(ui_scripts([(4, fetch), (3, MINE)]))
    assert registered_slot("dgx_fetch_now", folders) == 4

    file_of(other).write_bytes(ui_scripts([(4, MINE)]))
    assert (
        registered_slot("dgx_fetch_now", folders) == 4
    )  # nothing of ours is there, so it is not the one in use

    file_of(other).write_bytes(ui_scripts([(5, fetch), (4, MINE)]))
    assert registered_slot("dgx_fetch_now", folders) is None

    file_of(other).write_bytes(ui_scripts([(1, script("Generate", action(b"Generate")))]))
    assert registered_slot("dgx_fetch_now", folders) is None

    file_of(other).write_bytes(b"damaged")
    assert registered_slot("dgx_fetch_now", folders) == 4
    with pytest.raises(AssetError, match="dgx_hook"):
        registered_slot("dgx_hook", folders)


needs_lua = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3")

# What Ardour does with the file when a session is opened, as far as Lua goes.
AS_ARDOUR = """
LuaSignal = { LuaTimerDS = 47, Set = function () return { add = function (_, names) return names end } end }
local function instance (one)
	local chunk = assert (load (one.f))
	return load (string.dump (chunk, true), nil, nil, _ENV) (one.a)
end
load (io.read ("a")) ()
if s then
	local run = instance (s)
	io.write (tostring ((run (46))), " ", tostring ((run (47))))
else
	for slot, one in pairs (scripts) do io.write (slot, " ", one.n, " ", instance (one) (), "\\n") end
end
for name in pairs (_G) do if name == "factory" or name == "signals" then error (tostring (name) .. " was left behind") end end
"""


@needs_lua
def test_lua_runs_what_was_registered_and_the_hook_answers_to_its_own_signal_only(folder):
    register([folder], scripts_for(folder))
    (hook,) = hooks_of(file_of(folder))
    texts = [lua_of(file_of(folder)), base64.b64decode(re.sub(rb"<[^>]*>", b"", hook))]

    done = [
        subprocess.run(["lua5.3", "-e", AS_ARDOUR], input=text, capture_output=True, check=False)
        for text in texts
    ]

    assert [one.stderr for one in done] == [b"", b""]
    assert sorted(done[0].stdout.decode().splitlines()) == [
        "1 DGX Music: Generate /modules",
        "2 DGX Music: Fetch now /modules",
    ]
    assert done[1].stdout == b"nil /modules"


names = st.sampled_from([b"Generate", b"Fetch now", b"Status", b"Cancel"])
steps = st.lists(
    st.tuples(st.just("register"), st.sets(names), st.booleans())
    | st.tuples(st.just("user adds"), st.integers(1, 32), st.binary(max_size=8))
    | st.tuples(st.just("user removes"), st.integers(1, 32))
    | st.tuples(st.just("unregister"))
    | st.tuples(st.just("Ardour rewrites")),
    max_size=8,
)


@settings(deadline=None)
@given(steps=steps)
def test_no_sequence_of_registrations_and_edits_touches_a_users_script(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("config") / "ardour7"
    path.mkdir()
    folder = ArdourFolder(path, 7)
    users = {}
    for step, *values in steps:
        match step:
            case "register":
                register([folder], scripts_for(folder, actions=sorted(values[0]), hook=values[1]))
            case "unregister":
                unregister([folder])
            case _:
                found = UiScripts(file_of(folder).read_bytes() if file_of(folder).exists() else None)
                table = {
                    slot: {
                        b"n": one.name.encode(),
                        b"s": one.source,
                        b"f": b"\x1bLua",
                        b"a": dict(one.arguments),
                    }
                    for slot, one in found.actions.items()
                }
                if step == "user adds":
                    table[values[0]] = script("mine", values[1])
                    users[values[0]] = values[1]
                elif step == "user removes":
                    table.pop(values[0], None)
                    users.pop(values[0], None)
                hooks = [
                    (at, script(one.name, one.source), one.signals.zfill(49))
                    for at, one in found.hooks.items()
                ]
                file_of(folder).write_bytes(ui_scripts(table.items(), hooks))
        found = UiScripts(file_of(folder).read_bytes() if file_of(folder).exists() else None)
        ours = [slot for slot, one in found.actions.items() if header_of(one.source)]
        assert {slot: one.source for slot, one in found.actions.items() if slot not in ours} == users
        assert len(found.hooks) <= 1
        told = [found.actions[slot].source for slot in ours]
        assert len(told) == len(set(told))


def test_what_ships_can_be_registered_with_every_known_ardour(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "DGX_MUSIC_HOME"):
        monkeypatch.delenv(name, raising=False)
    for major in (6, 7, 8, 9):
        (tmp_path / ".config" / f"ardour{major}").mkdir(parents=True)
    destinations = Destinations.find()
    assets = plan_assets(destinations, os.environ)
    install(assets, Manifest.load(destinations.manifest), destinations)
    scripts = [one for one in assets if one.kind == "script"]

    assert outcomes(register(destinations.ardour, scripts)) == [Outcome.INSTALLED] * 4

    for folder in destinations.ardour:
        found = registration_of(folder, [one for one in scripts if one.target.is_relative_to(folder.path)])
        assert (found.outdated, found.missing, found.missing_hooks) == ((), (), ())
        assert found.slots["DGX Music: Generate…"] == 1
        assert len(found.hooks) == 1
    assert registered_slot("dgx_fetch_now") == 2
