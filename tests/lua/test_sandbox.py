"""What holds for every script that Ardour lists and every module behind them: the sandbox, the globals, the stubs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

LUA = Path(__file__).parents[2] / "ardour" / "lua"
SCRIPTS = sorted(LUA.rglob("*.lua"))
STUBS = sorted((LUA / "actions").glob("*.lua"))
MODULES = sorted((LUA / "dgx_music").glob("*.lua"))
TEXT = {path: path.read_text(encoding="utf-8") for path in SCRIPTS}

# What Ardour 7.3 to 9.8 offer to an action: their bindings, and the parts of Lua that the sandbox leaves.
OFFERED = {
    *("ARDOUR", "ArdourUI", "C", "Editing", "Editor", "LuaDialog", "PBD", "Session", "Temporal"),
    *(
        "assert",
        "error",
        "ipairs",
        "load",
        "loadfile",
        "math",
        "next",
        "pairs",
        "pcall",
        "select",
        "setmetatable",
    ),
    *("string", "table", "tonumber", "tostring", "type", "utf8", "io", "os"),
}
# A hook is told which signals it is for in a place of its own.
OFFERED_TO_STUBS = OFFERED | {"ardour", "LuaSignal"}

# Word for word what Ardour runs before any script, from 6.9 to 9.8.
SANDBOX = (
    "dofile = nil require = nil dofile = nil package = nil debug = nil os.exit = nil os.setlocale = nil"
    " rawget = nil rawset = nil coroutine = nil module = nil"
)

pytestmark = pytest.mark.skipif(shutil.which("luac5.3") is None, reason="needs luac5.3 (apt install lua5.3)")


def named(path):
    return path.stem


def globals_of(script, instruction):
    listing = subprocess.run(
        ["luac5.3", "-p", "-l", script], capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(rf'{instruction}\s.*; _ENV "(\w+)"', listing))


def is_hook(stub):
    return '"EditorHook"' in TEXT[stub]


def module_of(stub):
    return re.search(r'^\tlocal NAME = "(\w+)"$', TEXT[stub], re.MULTILINE)[1]


def uses_of(module):
    """The modules that this one names, and theirs: all that it may load."""
    found, left = set(), [module]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += re.findall(r'\buse \("(\w+)"\)', TEXT[LUA / "dgx_music" / f"{name}.lua"])
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_lua_5_3_can_read_it(script):
    done = subprocess.run(["luac5.3", "-p", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_it_uses_nothing_that_ardours_sandbox_has_taken_away(script):
    code = re.sub(r"--.*", "", TEXT[script])
    missing = (
        r"\brequire\b|\bpackage\b|\bdebug\.|\bcoroutine\b|\bdofile\b|\braw[gs]et\b|\bos\.(?:exit|setlocale)\b"
    )
    assert re.findall(missing, code) == []


@pytest.mark.parametrize("script", [*STUBS, *MODULES], ids=named)
def test_every_global_that_it_reads_is_one_that_ardour_has(script):
    """A misspelt name is a global that is nil, which would show only when that line runs."""
    offered = OFFERED_TO_STUBS if script in STUBS else OFFERED
    assert globals_of(script, "GETTABUP") - offered == set()


@pytest.mark.parametrize("script", [*STUBS, *MODULES], ids=named)
def test_it_makes_no_global_but_those_that_ardour_asks_for(script):
    """All actions of a user share one Lua state: a global of one is one of all."""
    wanted = {"factory", "signals"} if script in STUBS and is_hook(script) else {"factory"}
    assert globals_of(script, "SETTABUP") == (wanted if script in STUBS else set())


@pytest.mark.parametrize("stub", STUBS, ids=named)
def test_factory_needs_nothing_from_outside_of_itself(stub):
    """Ardour stores the bytecode of `factory` and nothing else: a local of the file would be nil there."""
    code = (
        "ardour = function () end dofile (arg[1]) local i = 1"
        " while debug.getupvalue (factory, i) do print ((debug.getupvalue (factory, i))) i = i + 1 end"
    )
    done = subprocess.run(
        ["lua5.3", "-", stub], input=code, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.split() == ["_ENV"]


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_it_loads_in_the_sandbox_with_all_that_it_needs(module):
    """Run as Ardour would, but without a session: what is loaded must not need one yet."""
    code = f"""
        local modules, name = arg[1], arg[2]
        {SANDBOX}
        local use = loadfile (modules .. "/use.lua", "t") (modules)
        local kind = name == "use" and "table" or type (use (name))
        assert (name == "use" or use (name) == use (name), "a module is loaded once")
        io.write (kind)
    """
    done = subprocess.run(
        ["lua5.3", "-", module.parent, module.stem], input=code, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("table", "")


@pytest.mark.parametrize("stub", STUBS, ids=named)
def test_its_module_is_there_and_has_what_the_stub_calls(stub):
    text = TEXT[LUA / "dgx_music" / f"{module_of(stub)}.lua"]
    called = "start" if is_hook(stub) else "run"
    assert re.search(rf"^function \w+\.{called} \(\)$", text, re.MULTILINE)


@pytest.mark.parametrize("kind", [False, True], ids=["action", "hook"])
def test_all_stubs_are_one_text_but_for_header_and_module(kind):
    """So that what is registered with Ardour need not change when an action does."""
    texts = set()
    for stub in STUBS:
        if is_hook(stub) == kind:
            _, body = TEXT[stub].split("\n-- Ardour keeps", 1)
            texts.add(body.replace(f'local NAME = "{module_of(stub)}"', "local NAME"))
    assert len(texts) == 1


@pytest.mark.parametrize("stub", STUBS, ids=named)
def test_its_header_says_what_the_installation_looks_for(stub):
    header = TEXT[stub].split("\n}\n", 1)[0]
    assert re.search(r'^\tname        = "DGX Music: .+",$', header, re.MULTILINE)
    assert '\tauthor      = "DGX Music",\n' in header
    assert len(re.findall(r'^\tlocal MODULES = ""$', TEXT[stub], re.MULTILINE)) == 1


@pytest.mark.parametrize("stub", [stub for stub in STUBS if is_hook(stub)], ids=named)
def test_a_hook_opens_no_window(stub):
    assert not is_dialog(TEXT[stub])
    talkative = [
        name for name in uses_of(module_of(stub)) if is_dialog(TEXT[LUA / "dgx_music" / f"{name}.lua"])
    ]
    assert talkative == []


def is_dialog(text):
    return "LuaDialog" in text


def run_stub(stub, modules, setting):
    """Call an action as Ardour does; returns the messages that it showed."""
    code = f"""
        local stub, modules = arg[1], arg[2]
        function ardour () end
        local text = io.open (stub):read ("a"):gsub ('local MODULES = ""', 'local MODULES = "' .. modules .. '"')
        load (text) ()
        LuaDialog = {{ MessageType = {{}}, ButtonType = {{}} }}
        function LuaDialog.Message (_, text)
            return {{ run = function () io.write (text, "\\0") end }}
        end
        {SANDBOX} {setting}
        local action = factory ()
        action () action ()
    """
    done = subprocess.run(
        ["lua5.3", "-", stub, modules],
        input=code,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    return done.stdout.split("\0")[:-1]


def test_an_action_says_what_is_wrong_and_lives_on(tmp_path):
    """One that raised an error would be dead until Ardour is started again."""
    stub = LUA / "actions" / "dgx_fetch_now.lua"
    missing = run_stub(stub, tmp_path, "")
    assert len(missing) == 2
    assert str(tmp_path / "use.lua") in missing[0]
    assert "dgx-music install-assets" in missing[0]

    sandboxed = run_stub(stub, LUA / "dgx_music", "io.open = nil loadfile = nil")
    assert len(sandboxed) == 2
    assert "sandbox-all-lua-scripts" in sandboxed[0]

    (tmp_path / "use.lua").write_text("return function () error ('a <wrong> turn', 0) end")
    failing = run_stub(stub, tmp_path, "")
    assert len(failing) == 2
    assert "a &lt;wrong> turn" in failing[0]
