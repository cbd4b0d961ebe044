"""What the actions' dialogs say and remember; what needs no Ardour to be known."""

from __future__ import annotations

import shutil
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.delivery.ardour.layout import session_key
from dgx_music.delivery.ardour.lua_text import lua_chunk, lua_literal
from support.lua_modules import MODULES, needs_lua, run_modules

pytestmark = needs_lua


def modules_with_spool(folder):
    """Copy the modules, with a spool of their own."""
    modules = folder / "modules"
    shutil.copytree(MODULES, modules)
    place = {"runtime": str(folder / "daemon.json"), "spool": str(folder / "spool")}
    (modules / "place.lua").write_bytes(lua_chunk(place))
    return modules


def in_session(code, path="/songs/one"):
    return f"Session = {{ path = function () return {lua_literal(path)} end }} {code}"


# -- the dialog's fields --------------------------------------------------------------------------------------


def test_a_choice_starts_at_its_value_and_at_its_first_one_where_that_is_unknown():
    code = """local form, choices = use ("form"), { { "a", "Letter A" }, { "b", "Letter B" } }
        return { form.choice ("k", "t", choices, "b"), form.choice ("k", "t", choices, "z") }"""
    known, unknown = run_modules(code)
    assert known["values"] == {"Letter A": "a", "Letter B": "b"}
    assert (known["default"], unknown["default"]) == ("Letter B", "Letter A")


@pytest.mark.parametrize(
    ("entered", "name"), [("", "auto"), ("  ", "auto"), (" musicgen-medium ", "musicgen-medium")]
)
def test_a_model_that_is_left_empty_is_auto(entered, name):
    assert run_modules(f"return use ('wish').model ({lua_literal(entered)})") == name


# -- what is remembered ---------------------------------------------------------------------------------------


def test_dialogs_remember_their_fields_each_its_own(tmp_path):
    modules = modules_with_spool(tmp_path)
    (tmp_path / "spool" / session_key("/songs/one")).mkdir(parents=True)
    first = '{ prompt = "", bars = 4, loop = true, where = "new" }'

    def recalled(dialog):
        return run_modules(in_session(f"return use ('memory').recall ('{dialog}', {first})"), modules=modules)

    assert recalled("generate") == {"prompt": "", "bars": 4, "loop": True, "where": "new"}
    kept = """local memory = use ("memory")
        memory.keep ("vary", { prompt = "other" })
        return memory.keep ("generate", { prompt = 'a "b"\\n\\\\', bars = 7.0, loop = false, where = 3, gone = 1 })"""
    assert run_modules(in_session(kept), modules=modules) is True
    # A value of another kind, as another version may have left it, is not taken.
    assert recalled("generate") == {"prompt": 'a "b"\n\\', "bars": 7, "loop": False, "where": "new"}
    assert recalled("vary")["prompt"] == "other"


@pytest.mark.parametrize("content", ["return { generate = 5 }", "return 5", "os.exit ()", "retu", ""])
def test_a_broken_memory_is_an_empty_one(tmp_path, content):
    modules = modules_with_spool(tmp_path)
    folder = tmp_path / "spool" / session_key("/songs/one")
    folder.mkdir(parents=True)
    (folder / "memory").write_text(content)
    code = "return use ('memory').recall ('generate', { bars = 4 })"
    assert run_modules(in_session(code), modules=modules) == {"bars": 4}


# -- what the daemon says -------------------------------------------------------------------------------------


def test_a_refusal_is_told_with_every_sentence_of_the_daemon():
    code = """local ask = use ("ask")
        return { ask.sentences { ok = false, message = "m", problems = { "bars: 1", "takes: 2" } },
            ask.sentences { ok = false, message = "m" }, ask.sentences { ok = false } }"""
    assert run_modules(code) == ["bars: 1\ntakes: 2", "m", "The daemon gave no reason."]


def test_status_tells_of_jobs_deliveries_and_what_is_in_the_way():
    answer = {
        "ok": True,
        "daemon": "1.2",
        "pending": 3,
        "processing": 1,
        "paused": True,
        "jobs": [
            {
                "job_id": "gen_1",
                "prompt": "ü" * 100,
                "state": "processing",
                "step": "finishing",
                "progress": 0.425,
                "takes": 3,
            },
            {"job_id": "gen_2", "prompt": "drums", "state": "pending", "step": "queued", "takes": 1},
        ],
        "deliveries": [
            {
                "delivery": "gen_0-1",
                "job_id": "gen_0",
                "prompt": "pad",
                "state": "failed",
                "problem": "vanished: gone",
            },
            {"delivery": "gen_3-1", "job_id": "gen_3", "prompt": "bass", "state": "saved"},
        ],
    }
    text = run_modules(f"return use ('status').text ({lua_literal(answer)}, true)")
    assert "    finishing, 42 %: " + "ü" * 59 + "… (gen_1)" in text
    assert "    pending: drums (gen_2)" in text
    assert "    failed: pad\n        vanished: gone" in text
    assert "    saved: bass" in text
    assert "(version 1.2) has 3 waiting and 1 running" in text
    assert "dgx-music resume" in text
    assert "DGX Music: Delivery" in text

    quiet = run_modules("return use ('status').text ({ ok = true, jobs = {}, deliveries = {} }, false)")
    assert quiet.startswith("Nothing is being made for this session.")
    assert "resume" not in quiet
    assert "Delivery" not in quiet


@pytest.mark.parametrize(
    ("folder_is_there", "age_s", "is_missing"),
    [(True, 5, False), (True, 3600, True), (True, None, True), (False, None, False)],
)
def test_the_hook_is_missed_where_it_gives_no_sign_of_life(tmp_path, folder_is_there, age_s, is_missing):
    """Before the daemon has made the folder there is nowhere to give one."""
    modules = modules_with_spool(tmp_path)
    folder = tmp_path / "spool" / session_key("/songs/one")
    if folder_is_there:
        folder.mkdir(parents=True)
    if age_s is not None:
        (folder / "alive").write_text(f'{{"session":"/songs/one","time":{int(time.time()) - age_s}}}\n')
    code = in_session("return use ('status').hook_is_missing ()")
    assert run_modules(code, modules=modules) is is_missing


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=80))
def test_a_prompt_is_shortened_between_letters(prompt):
    short = run_modules(f"return use ('status').short ({lua_literal(prompt)})")
    assert short == (prompt if len(prompt) < 60 else prompt[:59] + "…")


def test_what_made_this_tells_all_that_is_known():
    answer = {
        "found": True,
        "exact": False,
        "job_id": "gen_1",
        "take": 2,
        "prompt": "warm <pad>",
        "seed": 2**62,
        "engine": "musicgen",
        "model": "musicgen-small",
        "neural": True,
        "loudness_lufs": -16.04,
        "true_peak_dbtp": -1.26,
        "bpm": 93.5,
        "meter": "7/8",
        "key": "C# minor",
        "tempo_measured_bpm": 93.41,
        "tempo_confidence": 0.83,
        "created_at": "2026-01-01T10:00:00Z",
        "path": "/library/a.wav",
        "frames": 72_000,
        "sample_rate_hz": 48_000,
    }
    text = run_modules(f"return use ('made').text ({lua_literal(answer)})")
    assert text.split("\n\n")[0].split("\n") == [
        "Prompt: warm <pad>",
        f"Seed: {2**62}",
        "Take: 2",
        "Engine: musicgen",
        "Model: musicgen-small",
        "Made by: a neural network",
        "Tempo asked for: 93.5 bpm",
        "Tempo measured: 93.4 bpm (83 % sure)",
        "Meter: 7/8",
        "Key: C# minor",
        "Loudness: -16.0 LUFS, true peak -1.3 dBTP",
        "Length: 1.500 s",
        "Sample rate: 48000 Hz",
        "Made: 2026-01-01T10:00:00Z",
        "Job: gen_1",
        "File: /library/a.wav",
    ]
    assert "last bits" in text
    least = {"found": True, "exact": True, "prompt": "p", "neural": False}
    only = run_modules(f"return use ('made').text ({lua_literal(least)})")
    assert only == "Prompt: p\nMade by: rules, no neural network"


# -- sections -------------------------------------------------------------------------------------------------


def test_markers_make_sections_up_to_the_next_one_and_the_last_up_to_the_end():
    marks = [
        {"name": "B", "start": 500, "stop": 500},
        {"name": "A", "start": 0, "stop": 0},
        {"name": "B too", "start": 500, "stop": 500},
        {"name": "end of all", "start": 900, "stop": 900},
    ]

    def between(stop):
        said = run_modules(f"return use ('sections').between ({lua_literal(marks)}, {stop})")
        return [(section["name"], section["start"], section["stop"]) for section in said]

    # Two markers at one place: the second one names the section. One at the session's end, or behind it, names none.
    assert between(900) == [("A", 0, 500), ("B too", 500, 900)]
    assert between(1000) == [("A", 0, 500), ("B too", 500, 900), ("end of all", 900, 1000)]
    assert between("nil") == [("A", 0, 500), ("B too", 500, 900)]


def test_each_chorus_of_a_song_remembers_a_prompt_of_its_own():
    found = [{"name": name} for name in ("Verse", "Chorus", "Verse", "Chorus", "Chorus")]
    keys = run_modules(f"return use ('sections').keys ({lua_literal(found)})")
    assert keys == ["Verse", "Chorus", "Verse (2)", "Chorus (2)", "Chorus (3)"]


@pytest.mark.parametrize(
    ("common", "own", "prompt"),
    [
        ("", " calm ", "calm"),
        (" jazz ", "calm", "jazz, calm"),
        ("jazz", "  ", None),
        ("", "", None),
    ],
)
def test_a_sections_prompt_is_its_own_behind_the_common_one(common, own, prompt):
    code = f"return use ('sections').prompt ({lua_literal(common)}, {lua_literal(own)})"
    assert run_modules(code) == prompt
