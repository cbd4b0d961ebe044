"""The modules that need no Ardour: hashes, JSON, small files, WAV headers, permissions, claims, the ledger."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.delivery.ardour.fnv import fingerprint, fnv1a_64
from dgx_music.delivery.ardour.layout import session_key
from dgx_music.delivery.ardour.lua_text import lua_chunk, lua_literal
from support.ardour_spool import HandMadeSpool

MODULES = Path(__file__).parents[2] / "ardour" / "lua" / "dgx_music"

pytestmark = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3 (apt install lua5.3)")


def lua(code, environ=None, modules=MODULES):
    """Run Lua code that may `use` the modules and returns a value; gives that, by way of JSON."""
    prelude = f'local use = loadfile ("{modules}/use.lua", "t") ("{modules}")\nlocal function run ()\n'
    done = subprocess.run(
        ["lua5.3", "-"],
        input=f"{prelude}{code}\nend\nio.write (use ('json').encode (run ()))".encode(),
        capture_output=True,
        check=False,
        env={**os.environ, **(environ or {})},
    )
    assert done.stderr == b""
    return json.loads(done.stdout)


def place_of(runtime, spool, folder):
    """Copy the modules, with a place of their own."""
    shutil.copytree(MODULES, folder)
    (folder / "place.lua").write_bytes(lua_chunk({"runtime": str(runtime), "spool": str(spool)}))
    return folder


# -- hashes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("", "cbf29ce484222325"),
        ("a", "af63dc4c8601ec8c"),
        ("foobar", "85944171f73967e8"),
    ],
)
def test_fnv_gives_the_published_digits(text, digits):
    assert lua(f"local f = use ('fnv') return f.digits (f.add (f.START, {lua_literal(text)}))") == digits


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=6000), min_size=1, max_size=10))
def test_fnv_is_the_daemons_for_all_bytes_and_in_any_pieces(pieces):
    literals = ", ".join(map(lua_literal, pieces))
    code = f"local f = use ('fnv') local hash = f.START for _, t in ipairs {{ {literals} }} do hash = f.add (hash, t) end"
    assert lua(f"{code} return f.digits (hash)") == f"{fnv1a_64(b''.join(pieces)):016x}"


@pytest.mark.parametrize("path", ["/home/me/Ein Stück", "/home/me/Ein Stück///", "/", "/tmp/日本"])
def test_the_folder_of_a_session_is_the_one_that_the_daemon_makes(path):
    assert lua(f"return use ('spool').key ({lua_literal(path)})") == session_key(path)


# -- JSON -----------------------------------------------------------------------------------------------------

plain = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(plain, min_size=1, max_size=20))
def test_json_says_what_the_data_is(values):
    assert lua(f"return {lua_literal(values)}") == values


def test_json_of_what_is_special():
    told = lua(
        "local json = use ('json')"
        " return { empty = json.list {}, null = json.null, none = {}, whole = 3.0, bytes = 'a\\xff\\xfeb', half = '\\xed\\xa0\\x80' }"
    )
    assert told["empty"] == []
    assert told["null"] is None
    assert told["none"] == {}
    assert told["whole"] == 3
    assert told["bytes"] == "a\ufffd\ufffdb"
    assert told["half"] == "\ufffd"


@pytest.mark.parametrize("value", ["0/0", "1/0", "print", "{ [true] = 1 }"])
def test_json_refuses_what_it_cannot_say(value):
    assert lua(f"return (pcall (use ('json').encode, {{ a = {value} }}))") is False


# -- Lua text as data -----------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), plain, min_size=1, max_size=5))
def test_what_is_written_as_lua_text_is_read_again(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("data") / "table"
    code = f"local data, path = use ('data'), {lua_literal(str(path))}"
    assert (
        lua(f"{code} assert (data.write (path, {lua_literal(values)})) return (data.read (path))") == values
    )


def test_a_file_can_only_be_data(tmp_path):
    for number, text in enumerate(
        ["return os.time ()", "return { x = io.open ('/etc/passwd') }", "return 3", "x = = 1", "\x1bLua"]
    ):
        (tmp_path / str(number)).write_text(text)
        told = lua(
            f"local value, problem = use ('data').read ('{tmp_path}/{number}') return {{ value == nil, problem ~= nil }}"
        )
        assert told == [True, True]


# -- files ----------------------------------------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "report"
    assert lua(f"return (use ('files').write ('{target}', 'one'))") is True
    assert lua(f"return (use ('files').write ('{target}', 'two'))") is True
    assert target.read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    told = lua(f"local done, why = use ('files').write ('{target}/x', 'one') return {{ done == nil, why }}")
    assert told[0] is True
    assert "Not a directory" in told[1]


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    """`/dev/full` takes an open and refuses every byte, like a full disk."""
    (tmp_path / "part").symlink_to("/dev/full")
    code = f"""
        local open = io.open
        io.open = function (path, mode) return open (mode == "wb" and "{tmp_path}/part" or path, mode) end
        local done, problem = use ("files").write ("{tmp_path}/report", ("x"):rep (100000))
        return {{ done = done == nil, problem = problem }}"""
    told = lua(code)
    assert told["done"]
    assert "No space left" in told["problem"]
    assert not (tmp_path / "report").exists()


def test_unique_names_are_unique_and_fit_into_a_report(tmp_path):
    names = lua("local files, t = use ('files'), {} for i = 1, 2000 do t[i] = files.unique () end return t")
    assert len(set(names)) == 2000
    assert all(len(name) <= 64 and name.replace("-", "").isalnum() for name in names)


# -- the daemon -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "url", "why"),
    [
        ({"pid": os.getpid(), "osc_host": "127.0.0.1", "osc_port": 7400}, "osc.udp://127.0.0.1:7400", None),
        ({"pid": os.getpid(), "osc_host": "0.0.0.0", "osc_port": 1}, "osc.udp://127.0.0.1:1", None),
        ({"pid": os.getpid(), "osc_host": "::1", "osc_port": 9}, "osc.udp://[::1]:9", None),
        ({"pid": os.getpid(), "osc_host": None, "osc_port": None}, None, "takes no OSC"),
        ({"pid": 2**22 + 1, "osc_host": "127.0.0.1", "osc_port": 7400}, None, "is gone"),
        (None, None, "not running"),
    ],
)
def test_the_daemon_is_found_by_its_record_while_it_lives(tmp_path, record, url, why):
    if record is not None:
        (tmp_path / "daemon.json").write_text(json.dumps({"role": "daemon", **record}) + "\n")
    modules = place_of(tmp_path / "daemon.json", tmp_path, tmp_path / "modules")
    told = lua(
        "local d, why = use ('osc').daemon () return { url = d and d.url, why = why }", modules=modules
    )
    assert told.get("url") == url
    assert (why in told["why"]) if why else "why" not in told


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({"DGX_MUSIC_HOME": "/x", "XDG_STATE_HOME": "/y", "HOME": "/z"}, "/x/state"),
        ({"DGX_MUSIC_HOME": "", "XDG_STATE_HOME": "/y", "HOME": "/z"}, "/y/dgx-music"),
        ({"XDG_STATE_HOME": "", "HOME": "/z"}, "/z/.local/state/dgx-music"),
    ],
)
def test_a_checkout_finds_what_the_daemon_finds(environ, state, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    from dgx_music.paths import Paths

    paths = Paths.find(os.environ)
    told = lua("return use ('place')")
    assert told == {"runtime": str(paths.runtime_file), "spool": str(paths.state_dir / "ardour")}
    assert told["runtime"] == f"{state}/daemon.json"


def test_answers_are_read_once_and_reports_are_json(tmp_path):
    (tmp_path / "answer.a-1").write_bytes(lua_chunk({"ok": True, "job_id": "gen_1"}))
    (tmp_path / "answer.bad").write_text("return {")
    told = lua(
        f"""local spool = use ('spool') local folder = '{tmp_path}'
        local bad, why = spool.answer (folder, 'bad')
        assert (spool.report (folder, {{ kind = 'failed', message = 'a "word"\\n' }}))
        return {{ first = spool.answer (folder, 'a-1'), second = spool.answer (folder, 'a-1') == nil, none = bad == nil, why = why }}"""
    )
    assert told["first"] == {"ok": True, "job_id": "gen_1"}
    assert (told["second"], told["none"]) == (True, True)
    assert "answer.bad" in told["why"]
    (report,) = tmp_path.iterdir()
    assert json.loads(report.read_text()) == {"kind": "failed", "message": 'a "word"\n'}


# -- WAV ------------------------------------------------------------------------------------------------------


def sound(path, *, frames=4800, channels=2, rate_hz=48_000, **kind):
    data = np.random.default_rng(1).uniform(-0.5, 0.5, (frames, channels))
    soundfile.write(path, data, rate_hz, **kind)
    return path


def said_of(path, **other):
    found = soundfile.info(path)
    return {
        "path": str(path),
        "channels": found.channels,
        "frames": found.frames,
        "bytes": path.stat().st_size,
        "fingerprint": fingerprint(path),
        **other,
    }


def check(said, rate_hz=48_000):
    code = f"local ok, code, message = use ('wav').check ({lua_literal(said)}, {rate_hz})"
    told = lua(f"{code} return {{ ok = ok, code = code, message = message }}")
    return told.get("code") or told["ok"], told.get("message")


KINDS = [
    *({"format": "WAV", "subtype": subtype} for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *({"format": "WAVEX", "subtype": subtype} for subtype in ("PCM_16", "FLOAT")),
    *({"format": "RF64", "subtype": subtype} for subtype in ("PCM_24", "FLOAT")),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_whole_wav_file_of_any_kind_passes(tmp_path, kind, channels):
    path = sound(tmp_path / "take.wav", channels=channels, frames=4801, **kind)
    assert check(said_of(path)) == (True, None)


def test_a_bw64_file_passes(tmp_path):
    path = sound(tmp_path / "take.wav", format="RF64", subtype="PCM_24")
    data = path.read_bytes()
    assert data.startswith(b"RF64")
    path.write_bytes(b"BW64" + data[4:])
    assert check({**said_of(sound(tmp_path / "twin.wav", format="RF64")), "path": str(path), "bytes": len(data),
                  "fingerprint": fingerprint(path)}) == (True, None)  # fmt: skip


def test_what_is_not_the_file_that_was_made_is_told_apart(tmp_path):
    path = sound(tmp_path / "take.wav", subtype="PCM_24", frames=48_000)
    said, whole = said_of(path), path.read_bytes()
    assert check(said) == (True, None)
    for wrong in ({"channels": 1}, {"frames": 47_999}, {"bytes": 1}, {"fingerprint": "0" * 16}):
        assert check({**said, **wrong})[0] == "damaged"
    for kept in (0, 3, 20, 43, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        code, message = check(said)
        assert code == "damaged"
        assert str(path) in message
    path.write_bytes(whole[:100] + bytes(600) + whole[700:])  # same length, another start
    assert check(said)[0] == "damaged"
    path.write_bytes(b"not audio at all, but text" * 100)
    assert check(said)[0] == "damaged"
    path.unlink()
    assert check(said)[0] == "vanished"


def test_another_sample_rate_is_called_so(tmp_path):
    path = sound(tmp_path / "take.wav", rate_hz=44_100)
    code, message = check(said_of(path))
    assert code == "rate"
    assert "44100" in message
    assert "48000" in message
    assert check(said_of(path), 44_100)[0] is True


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200) | st.integers(0, 40_000).map(lambda n: bytes(i * 7 % 251 for i in range(n))))
def test_the_fingerprint_is_the_daemons(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("print") / "file"
    path.write_bytes(data)
    assert lua(f"return use ('wav').fingerprint ('{path}')") == fingerprint(path)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_a_damaged_header_is_an_answer_and_no_error(tmp_path_factory, at, data):
    path = sound(tmp_path_factory.mktemp("wav") / "take.wav", subtype="PCM_16", frames=100)
    said, whole = said_of(path), path.read_bytes()
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    assert check(said)[0] in ("damaged", "rate", True)


# -- permissions ----------------------------------------------------------------------------------------------

NONE = {"import": False, "read": False, "markers": False, "tempo": False}


def permissions(session, change="{}"):
    code = f"local p = use ('permissions') local path = '{session}' if next ({change}) then assert (p.write ({change}, path)) end"
    return lua(f"{code} local all, there = p.read (path) return {{ all, there }}")


def test_without_a_file_nothing_is_allowed(tmp_path):
    assert permissions(tmp_path) == [NONE, False]


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("import = yes", True),
        ("  import=YES   # since Monday", True),
        ("import = yes\r", True),
        ("# import = yes", False),
        ("import = no", False),
        ("import = true", False),
        ("import = yes please", False),
        ("import: yes", False),
        ("import = yes\nimport = no", False),
        ("Import = yes", False),
    ],
)
def test_only_a_plain_yes_is_a_yes(tmp_path, line, allowed):
    (tmp_path / "dgx-music.permissions").write_text(f"read = no\n{line}\n")
    assert permissions(tmp_path)[0]["import"] is allowed


def test_a_change_keeps_what_the_user_wrote(tmp_path):
    file = tmp_path / "dgx-music.permissions"
    file.write_text("# mine\nimport=no # not yet\n\nfuture = yes\nmarkers = no")
    assert permissions(tmp_path, "{ import = true, tempo = true, markers = false }") == [
        {**NONE, "import": True, "tempo": True, "future": True},
        True,
    ]
    lines = file.read_text().splitlines()
    assert lines[:5] == ["# mine", "import=yes # not yet", "", "future = yes", "markers = no"]
    assert lines[5].startswith("tempo = yes")
    assert len(lines) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["dgx-music.permissions"]


def test_a_new_file_explains_itself(tmp_path):
    permissions(tmp_path, "{ import = true, read = false }")
    text = (tmp_path / "dgx-music.permissions").read_text()
    assert text.startswith("#")
    assert permissions(tmp_path) == [{**NONE, "import": True}, True]


# -- manifests ------------------------------------------------------------------------------------------------


def test_a_manifest_is_whole_or_it_is_said_what_is_missing(tmp_path):
    with HandMadeSpool(tmp_path, tmp_path / "session") as spool:
        said = spool.manifest("gen_1-1", [spool.take("gen_1-1_take1", frames=100)])

    def problem(manifest):
        code = f"local said, problem = use ('manifest').parse ({lua_literal(lua_chunk(manifest))})"
        return lua(f"{code} return {{ ok = said ~= nil, problem = problem }}")

    assert problem(said) == {"ok": True}
    wrong = {
        "format": 2,
        "delivery": "",
        "session": None,
        "position": 1.5,
        "track": 3,
        "takes": [],
        "stems": None,
    }
    for name, value in wrong.items():
        told = problem({**said, name: value})
        assert told["ok"] is False
        assert name in told["problem"]
    for name in ("path", "name", "channels", "frames", "bytes", "fingerprint"):
        told = problem({**said, "stems": [{**said["takes"][0], name: None}]})
        assert told["ok"] is False
        assert f"file 2 of the manifest: {name}" in told["problem"]
    assert "install-assets" in problem({**said, "format": 2})["problem"]


# -- claims ---------------------------------------------------------------------------------------------------


def test_only_one_gets_what_waits_and_it_waits_again_when_given_back(tmp_path):
    (tmp_path / "next").write_text("one")
    told = lua(
        f"""local claim, folder = use ('claim'), '{tmp_path}'
        local text, file, twice = claim.take (folder)
        local other = claim.take (folder)
        claim.give_back (folder, file)
        local again, file = claim.take (folder)
        claim.finish (folder, file)
        return {{ text = text, twice = twice or false, other = other == nil, again = again, left = claim.waits (folder) }}"""
    )
    assert told == {"text": "one", "twice": False, "other": True, "again": "one", "left": False}
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_that_is_gone_had_taken_is_taken_once_more(tmp_path):
    """Each call of `lua` is a process of its own, which ends in the middle of its work."""
    take = f"local text, file, twice = use ('claim').take ('{tmp_path}') return {{ text, file:match ('[^/]*$'), twice or false }}"
    (tmp_path / "next").write_text("one")
    assert lua(take) == ["one", "taken", False]
    (tmp_path / "next").write_text("two")
    assert lua(take) == ["one", "retaken", False]
    assert lua(take) == ["one", "retaken", True]
    lua(f"use ('claim').finish ('{tmp_path}', '{tmp_path}/retaken')")
    assert lua(take) == ["two", "taken", False]


def test_on_a_full_disk_nothing_is_taken_and_nothing_counts_as_interrupted(tmp_path):
    (tmp_path / "taken").write_text("one")
    told = lua(
        f"""local open, take = io.open, use ('claim').take
        io.open = function (path, mode) return open (mode == "wb" and "/dev/full" or path, mode) end
        local refused = take ('{tmp_path}') == nil and take ('{tmp_path}') == nil
        io.open = open
        local text, _, twice = take ('{tmp_path}')
        return {{ refused, text, twice }}"""
    )
    assert told == [True, "one", False]


# -- the ledger -----------------------------------------------------------------------------------------------


def test_the_ledger_keeps_the_order_whatever_is_dropped(tmp_path):
    told = lua(
        f"""local ledger, folder, seen = use ('ledger'), '{tmp_path}', {{}}
        local function order ()
            local ids = {{}}
            for index, entry in ipairs (ledger.entries (folder)) do ids[index] = entry.delivery end
            seen[#seen + 1] = table.concat (ids, ' ')
        end
        order ()
        for _, id in ipairs {{ 'a-1', 'b-1', 'c-1' }} do assert (ledger.add (folder, {{ delivery = id }})) end
        order ()
        ledger.drop (folder, 'b-1') order ()
        ledger.add (folder, {{ delivery = 'a-1', regions = {{ {{ name = 'x' }} }} }}) order ()
        ledger.drop (folder, 'a-1') order ()
        ledger.drop (folder, 'z-9') order ()
        ledger.drop (folder, 'c-1') order ()
        return seen"""
    )
    assert told == ["", "c-1 b-1 a-1", "c-1 a-1", "a-1 c-1", "c-1", "c-1", ""]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_now_can_still_be_removed_where_it_is(tmp_path):
    """Another snapshot of the session has it, or redo brings it back."""
    modules = place_of(tmp_path / "daemon.json", tmp_path, tmp_path / "modules")
    (modules / "removal.lua").write_text(
        "return { is_there = function (e) return THERE[e.delivery] end, edited = function () end, take_away = function () return 1 end }"
    )
    (tmp_path / session_key("/s")).mkdir()
    (modules / "say.lua").write_text("return { info = function () end }")
    told = lua(
        """THERE, Session = {}, { path = function () return '/s' end, snap_name = function () return 'now' end }
        function Session:actively_recording () return false end
        local ledger, folder, seen = use ('ledger'), use ('spool').folder (), {}
        local function remove (...)
            THERE = {} for _, id in ipairs { ... } do THERE[id] = true end
            use ('remove_last').run ()
            local ids = {}
            for index, entry in ipairs (ledger.entries (folder)) do ids[index] = entry.delivery end
            seen[#seen + 1] = table.concat (ids, ' ')
        end
        for _, id in ipairs { 'a-1', 'b-1', 'other-1', 'c-1' } do
            ledger.add (folder, { delivery = id, snapshot = id == 'other-1' and 'other' or 'now' })
        end
        remove () remove ('b-1', 'a-1') remove ('other-1') remove ('a-1')
        return seen""",
        modules=modules,
    )
    assert told == ["c-1 other-1 b-1 a-1", "other-1 a-1", "a-1", ""]


def test_the_hook_takes_nothing_while_ardour_records_or_exports_and_follows_the_session(tmp_path):
    modules = place_of(tmp_path / "daemon.json", tmp_path, tmp_path / "modules")
    for name in ("first", "second"):
        folder = tmp_path / session_key(f"{tmp_path}/{name}")
        folder.mkdir()
        (folder / "next").write_text("no manifest")
        (tmp_path / name).mkdir()
        (tmp_path / name / "dgx-music.permissions").write_text("import = yes")
    told = lua(
        f"""local recording, exporting, name, time = false, true, 'first', 0
        Session = {{ path = function () return '{tmp_path}/' .. name end, snap_name = function () return name end }}
        function Session:actively_recording () return recording end
        function Session:transport_rolling () return false end
        function Session:engine () return {{ freewheeling = function () return exporting end }} end
        ARDOUR = {{ DataType = function () end, LuaAPI = {{ monotonic_time = function () return time end }} }}
        Editor = {{ get_pointer_position = function () return {{ 1, 1 }} end }}
        local tick = use ('hook').start ()
        local function waits ()
            for _ = 1, 100 do time = time + 100000 tick () end
            return use ('files').exists (use ('spool').folder () .. '/next')
        end
        local seen = {{ waits () }}
        recording, exporting = true, false seen[2] = waits ()
        name = 'second' seen[3] = waits ()
        recording = false seen[4] = waits ()
        name = 'first' seen[5] = use ('files').exists (use ('spool').folder () .. '/next')
        return seen""",
        modules=modules,
    )
    assert told == [True, True, True, False, True]


# -- our audio in a session -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "holds", "begins"),
    [
        ("gen_1-1_take1%L.wav", "gen_1-1", True, False),
        ("pad_gen_1-1_take1.wav", "gen_1-1", True, False),
        ("gen_1-1%L.wav", "gen_1-1", True, True),
        ("gen_1-1-2%L.wav", "gen_1-1", True, True),
        ("gen_1-10_take1%L.wav", "gen_1-1", False, False),
        ("xgen_1-1.wav", "gen_1-1", False, False),
        ("gen_1-10 gen_1-1.wav", "gen_1-1", True, False),
        ("", "gen_1-1", False, False),
    ],
)
def test_a_delivery_is_known_again_by_the_name_of_its_files(name, text, holds, begins):
    code = f"local s, n, t = use ('sources'), {lua_literal(name)}, {lua_literal(text)}"
    assert lua(f"{code} return {{ s.holds (n, t), s.begins (n, t) }}") == [holds, begins]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("pad_gen_1-1-1_t1%L.wav", "pad_gen_1-1_t1%L.wav"),
        ("pad_gen_1-1-12_t1.wav", "pad_gen_1-1_t1.wav"),
        ("pad_gen_1-1_t1-3.wav", "pad_gen_1-1_t1-3.wav"),
        ("pad.wav", "pad.wav"),
    ],
)
def test_a_file_is_the_same_in_every_offer(name, key):
    assert lua(f"return use ('sources').key ({lua_literal(name)}, 'gen_1-1')") == key
