"""The real thing: a user's Ardour with scripts of its own, the real command, and Ardour again."""

from __future__ import annotations

import json
import subprocess

import pytest

from ardour_session import Playlist, Session, Track, write_session
from dgx_music.assets import Destinations, registered_slot
from dgx_music.assets.saved_lua import assignments
from dgx_music.assets.ui_scripts import UiScripts
from dgx_music.delivery.ardour.layout import Spool
from support.ardour_gui import ardour_gui, needs_ardour_gui
from support.daemon import COMMAND
from support.ui_scripts import hooks_of, lua_of, script, ui_scripts

USERS_ACTION = """
return function ()
	local file = io.open ("%s/my action", "a")
	file:write ("ran\\n")
	file:close ()
end
"""
USERS_HOOK = """
return function ()
	local file = io.open ("%s/my hook", "w")
	file:write ("ticks\\n")
	file:close ()
end
"""
# Ardour takes a hook that raises an error away, and then saves all scripts in its own way.
RAISES = """
return function ()
	local file = io.open ("%s/raise %d", "r")
	if file then error ("as was wanted") end
end
"""
TIMER = "0" + "1" + 47 * "0"
MESSAGE = "DGX Music"


class Home:
    """A home folder with an Ardour in it, and the commands that are run there."""

    def __init__(self, gui, monkeypatch):
        self.gui = gui
        self.path = gui.home
        self.ui_scripts = gui.home / ".config" / "ardour7" / "ui_scripts"
        for name in (
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
            "DGX_MUSIC_HOME",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(gui.home))

    def run(self, *arguments):
        done = subprocess.run([COMMAND, *arguments, "--json"], capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def outcome(self, *arguments):
        """Run a command; return its exit code, and outcome and remark of the file `ui_scripts`."""
        code, told = self.run(*arguments)
        (one,) = [one for one in told["files"] if one["path"] == str(self.ui_scripts)]
        return code, one["outcome"], one["remark"]

    def doctor(self, *names):
        _, told = self.run("doctor")
        return {one["name"]: one["status"] for one in told["checks"] if one["name"] in names}

    def have_ardour_save_the_scripts(self, number, folder):
        count = len(hooks_of(self.ui_scripts))
        (folder / f"raise {number}").touch()
        self.gui.await_(lambda: len(hooks_of(self.ui_scripts)) == count - 1, "Ardour has saved its scripts")


@pytest.mark.ardour
@pytest.mark.slow
@needs_ardour_gui
def test_our_scripts_work_beside_the_users_own_and_ardour_saves_both(tmp_path, monkeypatch):
    session = Session(name="song", sample_rate_hz=48_000, tracks=(Track("Piano", Playlist("Piano")),))
    session_file = write_session(session, tmp_path / session.name)
    with ardour_gui(tmp_path) as gui:
        home = Home(gui, monkeypatch)
        mine = script("Mine", b"-- my action", (USERS_ACTION % tmp_path).encode(), key=b"value")
        hooks = [
            (str(900 + number), script(f"Hook {number}", b"-- my hook", text.encode()), TIMER)
            for number, text in enumerate(
                [USERS_HOOK % tmp_path, RAISES % (tmp_path, 1), RAISES % (tmp_path, 2)]
            )
        ]
        home.ui_scripts.write_bytes(ui_scripts([(1, mine)], hooks))

        # The user's Ardour, which has saved its scripts itself. While it runs, they are not touched.
        gui.open(session_file)
        home.have_ardour_save_the_scripts(1, tmp_path)
        code, outcome, remark = home.outcome("install-assets", "--register")
        assert (code, outcome) == (1, "failed")
        assert f"pid {gui._process.pid}" in remark
        gui.quit()
        before, lua_before, hooks_before = (
            home.ui_scripts.read_bytes(),
            lua_of(home.ui_scripts),
            hooks_of(home.ui_scripts),
        )
        assert b"\x1bLua" in b"".join(
            one.value for one in assignments(lua_before, b"scripts") if one.path == (1, b"f")
        )

        assert home.outcome("install-assets", "--register")[:2] == (0, "installed")
        registered = home.ui_scripts.read_bytes()
        assert (home.ui_scripts.with_name("ui_scripts.before-dgx-music")).read_bytes() == before
        assert lua_of(home.ui_scripts).startswith(lua_before.rstrip())
        assert hooks_of(home.ui_scripts)[: len(hooks_before)] == hooks_before
        slot = registered_slot("dgx_fetch_now", Destinations.find().ardour)
        assert slot not in (None, 1)
        assert home.doctor("installed files", "Ardour's slots", "Ardour 7's OSC") == {
            "installed files": "ok",
            "Ardour's slots": "ok",
            "Ardour 7's OSC": "ok",
        }

        # Both run; the hook tells where the daemon would look for it.
        spool = Spool(home.path / ".local/state/dgx-music/ardour").of(str(session_file.parent))
        spool.make()
        (tmp_path / "my hook").unlink()
        gui.open(session_file)
        gui.run_script(1)
        gui.await_((tmp_path / "my action").exists, "the user's action runs")
        gui.await_((tmp_path / "my hook").exists, "the user's hook runs")
        gui.run_script(slot)
        gui.await_window(MESSAGE)
        gui.press("Escape")
        gui.await_no_window(MESSAGE)
        gui.await_(spool.alive.exists, "our hook says that it is there")
        assert json.loads(spool.alive.read_text())["session"] == str(session_file.parent)
        assert home.doctor("Ardour sessions") == {"Ardour sessions": "ok"}
        assert gui.complaints() == []

        # Ardour saves all of them as bytecode; that is still what was registered.
        home.have_ardour_save_the_scripts(2, tmp_path)
        assert home.ui_scripts.read_bytes() != registered
        gui.run_script(1)
        gui.run_script(slot)
        gui.await_window(MESSAGE)
        gui.press("Escape")
        gui.await_no_window(MESSAGE)
        gui.await_(
            lambda: (tmp_path / "my action").read_text() == "ran\nran\n", "the user's action runs again"
        )
        gui.quit()
        saved = home.ui_scripts.read_bytes()
        assert home.doctor("Ardour's slots") == {"Ardour's slots": "ok"}
        assert home.outcome("install-assets", "--register")[:2] == (0, "current")
        assert home.ui_scripts.read_bytes() == saved

        # Bytecode that Ardour has saved runs in its next start, and is taken out again whole.
        spool.alive.unlink()
        gui.open(session_file)
        gui.await_(spool.alive.exists, "our hook says that it is there")
        gui.quit()
        assert home.outcome("remove-assets")[:2] == (0, "removed")
        left = UiScripts(home.ui_scripts.read_bytes())
        assert [(slot, one.name) for slot, one in left.actions.items()] == [(1, "Mine")]
        assert [one.name for one in left.hooks.values()] == ["Hook 0"]
        assert not Destinations.find().modules.exists()
        (tmp_path / "my hook").unlink()
        gui.open(session_file)
        gui.run_script(1)
        gui.await_(lambda: (tmp_path / "my action").read_text() == 3 * "ran\n", "the user's action runs")
        gui.await_((tmp_path / "my hook").exists, "the user's hook runs")
        gui.quit()
