"""The scripts that run inside Ardour: what its sandbox allows, what the daemon expects, and the real thing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ardour_session import MeterChange, Playlist, Session, TempoChange, TempoMap, Track, write_session
from dgx_music.request import GenerationRequest
from dgx_music.request.model import MAX_DURATION_S, SessionTarget
from dgx_music.surfaces.osc.lua_constants import lua_module
from dgx_music.surfaces.osc.routes import GENERATE
from support.ardour_gui import ardour_gui, needs_ardour_gui
from support.daemon import installation

LUA = Path(__file__).parents[2] / "ardour" / "lua"
SCRIPTS = sorted(LUA.rglob("*.lua"))
ACTIONS = sorted(LUA.glob("*.lua"))
GENERATE_SCRIPT = LUA / "dgx_generate.lua"

# What Ardour 7.3 to 9.8 offer to an action: their bindings, and the parts of Lua that the sandbox leaves.
OFFERED = {
    *("ARDOUR", "C", "Editing", "Editor", "LuaDialog", "Session", "Temporal"),
    *("assert", "error", "ipairs", "load", "math", "next", "pairs", "pcall", "print", "select", "string"),
    *("table", "tonumber", "tostring", "type", "utf8", "io", "os"),
}

needs_lua = pytest.mark.skipif(shutil.which("luac5.3") is None, reason="needs luac5.3 (apt install lua5.3)")


@needs_lua
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_lua_5_3_can_read_it(script):
    done = subprocess.run(["luac5.3", "-p", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_it_uses_nothing_that_ardours_sandbox_has_taken_away(script):
    code = re.sub(r"--.*", "", script.read_text(encoding="utf-8"))
    missing = (
        r"\brequire\b|\bpackage\b|\bdebug\.|\bcoroutine\b|\bdofile\b|\braw[gs]et\b|\bos\.(?:exit|setlocale)\b"
    )
    assert re.findall(missing, code) == []


@needs_lua
@pytest.mark.parametrize("script", ACTIONS, ids=lambda path: path.name)
def test_every_global_that_it_reads_is_one_that_ardour_has(script):
    """A misspelt name is a global that is nil, which would show only when that line runs."""
    listing = subprocess.run(
        ["luac5.3", "-p", "-l", script], capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r'GETTABUP\s.*; _ENV "(\w+)"', listing)) - OFFERED == {"ardour"}
    assert set(re.findall(r'SETTABUP\s.*; _ENV "(\w+)"', listing)) == {"factory"}


@needs_lua
@pytest.mark.parametrize("script", ACTIONS, ids=lambda path: path.name)
def test_factory_needs_nothing_from_outside_of_itself(script):
    """Ardour stores the bytecode of `factory` and nothing else: a local of the file would be nil there."""
    code = (
        "ardour = function () end dofile (arg[1]) local i = 1"
        " while debug.getupvalue (factory, i) do print ((debug.getupvalue (factory, i))) i = i + 1 end"
    )
    done = subprocess.run(
        ["lua5.3", "-", script], input=code, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.split() == ["_ENV"]


def test_its_constants_are_the_daemons():
    text = GENERATE_SCRIPT.read_text(encoding="utf-8")

    def constant(name):
        return re.search(rf"local {name}\s*= (.*)", text)[1]

    def bounds(field):
        limits = [
            (getattr(one, "ge", None), getattr(one, "le", None))
            for one in GenerationRequest.model_fields[field].metadata
        ]
        return next(low for low, _ in limits if low is not None), next(
            high for _, high in limits if high is not None
        )

    assert f"url = {constant('DAEMON')}," in lua_module()
    assert constant("GENERATE") == f'"{GENERATE.address}"'
    most = {"bars": bounds("bars")[1], "seconds": MAX_DURATION_S, "takes": bounds("takes")[1]}
    assert (
        constant("MOST")
        == f"{{ bars = {most['bars']}, seconds = {most['seconds']}, takes = {most['takes']} }}"
    )
    assert constant("BPM") == "{{ least = {}, most = {} }}".format(*bounds("bpm"))


def test_it_sends_only_fields_that_a_request_has_with_types_that_the_route_takes():
    text = GENERATE_SCRIPT.read_text(encoding="utf-8")
    sent = re.findall(r'\badd \("([\w.]+)", "(\w)"', text)
    known = {*GenerationRequest.model_fields, *(f"session.{name}" for name in SessionTarget.model_fields)}
    assert len(sent) == len(dict(sent)) >= 10
    assert {field for field, _ in sent} <= known
    assert {tag for _, tag in sent} <= set(GENERATE.pairs[1].types)


DIALOG, MESSAGE = "DGX Music: Generate", "DGX Music"


@pytest.mark.ardour
@pytest.mark.slow
@needs_ardour_gui
def test_in_a_real_ardour_the_dialog_becomes_a_job(tmp_path):
    """One story, for a start of Ardour takes seconds: bars, a selected range, a daemon that is away, an error."""
    tempo_map = TempoMap((TempoChange(93.5),), (MeterChange(7, 8),))
    session = Session(
        name="Ein Stück & so",
        sample_rate_hz=44_100,
        tempo_map=tempo_map,
        tracks=(Track("Takes", Playlist("Takes")),),
    )
    session_file = write_session(session, tmp_path / session.name)
    with installation(tmp_path / "home") as daemon, ardour_gui(tmp_path, sample_rate_hz=44_100) as ardour:
        daemon.start()
        daemon.run("pause")  # what is asked is of interest here, not the music
        script = GENERATE_SCRIPT.read_text(encoding="utf-8").replace(
            "127.0.0.1:7400", "{}:{}".format(*daemon.osc)
        )
        broken = script.replace("quarters_per_minute_at", "no_such_binding")
        assert broken != script
        ardour.install_actions(script, broken)
        ardour.open(session_file)
        ardour.await_only_window(f"{session_file.stem} - Ardour")

        def jobs():
            return [json.loads(text) for (text,) in daemon.query("SELECT request FROM jobs ORDER BY seq")]

        # At the playhead, in bars.
        ardour.locate(88_200)
        ardour.run_script(1)
        ardour.await_window(DIALOG)
        ardour.type('dusty "lo-fi" drums & <brushes>')
        ardour.press("Tab")
        ardour.type("8")
        ardour.press("Tab")
        ardour.type("2")
        ardour.press("Tab", "alt+o")
        ardour.await_no_window(DIALOG)
        daemon.await_(lambda: len(jobs()) == 1)
        (first,) = jobs()
        expected = {
            "prompt": 'dusty "lo-fi" drums & <brushes>',
            "bars": 8,
            "samples": None,
            "bpm": 93.5,
            "meter": "7/8",
            "sample_rate": 44_100,
            "takes": 2,
            "loop": False,
            "engine": "auto",
            "session": {
                "path": str(session_file.parent),
                "position": 88_200,
                "track": None,
                "playlist": None,
            },
        }
        assert {name: first[name] for name in expected} == expected

        # In a selected range, to the sample; the dialog remembers what was entered.
        ardour.run_action("Common/start-range-from-playhead")
        ardour.locate(88_200 + 123_457)
        ardour.run_action("Common/finish-range-from-playhead")
        ardour.run_script(1)
        ardour.await_window(DIALOG)
        ardour.press("alt+o")
        daemon.await_(lambda: len(jobs()) == 2)
        second = jobs()[1]
        expected |= {"bars": None, "samples": 123_457}
        assert {name: second[name] for name in expected} == expected
        assert second["request_id"] != first["request_id"]

        # A cancelled dialog asks for nothing, an error is shown and leaves the action alive.
        ardour.run_script(1)
        ardour.await_window(DIALOG)
        ardour.press("Escape")
        ardour.await_no_window(DIALOG)
        for _ in range(2):
            ardour.run_script(2)
            ardour.await_window(MESSAGE)
            ardour.press("Escape")
            ardour.await_no_window(MESSAGE)

        # Nobody listens: the user is told before they have typed anything.
        assert len(jobs()) == 2
        assert daemon.stop() == 0
        ardour.run_script(1)
        ardour.await_window(MESSAGE)
        assert DIALOG not in ardour.windows()
        ardour.press("Escape")
        ardour.await_no_window(MESSAGE)

        assert ardour.complaints() == []
        ardour.quit()
    assert list(session_file.parent.glob("*.pending")) == []
