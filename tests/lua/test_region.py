"""Whose audio a region has, as the Lua modules read it from a real Ardour, and where that is not what one hears."""

from __future__ import annotations

import json

import pytest

from ardour_session import AudioFile, Playlist, Region, Session, SourceChannel, Track, write_session
from support.ardour import ArdourTools, needs_ardour
from support.lua_modules import MODULES
from support.session_material import write_noise

IN_ARDOUR = MODULES.parents[2] / "tests" / "lua" / "in_ardour.lua"

pytestmark = [pytest.mark.ardour, needs_ardour]

CODE = """local region, found = (...) ("region"), {}
    for route in Session:get_tracks ():iter () do
        for of in route:to_track ():playlist ():region_list ():iter () do
            local excerpt, problem = region.excerpt (of, 1000, 5000)
            found[of:name ()] = { excerpt = excerpt, problem = problem, stop = region.stop (of),
                differences = (...) ("json").list (region.differences (of)) }
        end
    end
    return found"""


def test_a_region_names_its_files_or_says_why_not(tmp_path):
    files = {}
    for seed, name in enumerate(("left", "right", "slow", "away")):
        write_noise(tmp_path / f"{name}.wav", channels=1, seed=seed)
        files[name] = AudioFile.taken_in(tmp_path / f"{name}.wav", 1)
    write_noise(tmp_path / "both.wav", channels=2)
    outside = AudioFile.left_outside(tmp_path / "both.wav", 2)
    both = tuple(SourceChannel(files[name], 0) for name in ("left", "right"))
    regions = (
        Region("two mono files", both, 40_000, 100, 300),
        Region("turned round", tuple(reversed(outside.channels)), 40_000, 50_100, gain_db=-3.0),
        Region("other rate", files["slow"].channels, 40_000, 100_100),
        Region("lost", files["away"].channels, 40_000, 150_100),
    )
    session = Session(name="story", tracks=(Track("T", Playlist("T", regions), channel_count=2),))
    written = write_session(session, tmp_path / "story")
    inside = {name: next(written.parent.rglob(f"{name}.wav")) for name in files}
    inside["away"].unlink()
    (tmp_path / "away.wav").unlink()  # Ardour looks around a session, too
    write_noise(inside["slow"], channels=1, rate_hz=44_100)  # as if it had been embedded like that

    said = ArdourTools(tmp_path / "home").run_lua(
        IN_ARDOUR, str(MODULES), str(written.parent), written.stem, CODE
    )
    (found,) = [json.loads(line[1:]) for line in said if line.startswith("=")]

    assert found["two mono files"] == {
        "excerpt": {
            "path": str(inside["left"]),
            "channel": 0,
            "start": 1_300,
            "length": 5_000,
            "more": [{"path": str(inside["right"]), "channel": 0}],
        },
        "stop": 40_100,
        "differences": [],
    }
    turned = found["turned round"]
    assert turned["excerpt"] == {
        "path": str(tmp_path / "both.wav"),
        "channel": 1,
        "start": 1_000,
        "length": 5_000,
        "more": [{"path": str(tmp_path / "both.wav"), "channel": 0}],
    }
    assert len(turned["differences"]) == 1
    assert "gain of -3.0 dB" in turned["differences"][0]
    assert "44100 Hz" in found["other rate"]["problem"]
    assert "missing" in found["lost"]["problem"]
