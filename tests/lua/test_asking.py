"""The actions that ask, in a real Ardour with a real daemon: what is entered and selected there arrives as a request."""

from __future__ import annotations

import json
import math
import signal
from fractions import Fraction
from pathlib import Path

import pytest

from ardour_session import (
    AudioFile,
    Marker,
    MeterChange,
    Playlist,
    Region,
    Session,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
    read_session,
    write_session,
)
from ardour_session.superclock import SUPERCLOCKS_PER_SECOND
from dgx_music.delivery.ardour.layout import session_key
from dgx_music.delivery.ardour.lua_text import lua_chunk
from support.ardour_gui import ardour_gui, needs_ardour_gui
from support.daemon import installation
from support.studio import leave

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]

MESSAGE, WAITING = "DGX Music", "DGX Music: Waiting"
PERMISSIONS, GENERATE, CANCEL = (f"DGX Music: {name}" for name in ("Permissions", "Generate", "Cancel"))
CONTINUE, VARY = "DGX Music: Continue this region", "DGX Music: Vary this region"
SECTIONS, TEMPO = "DGX Music: Fill the sections", "DGX Music: Tempo to session"


def bar_line(tempo_map, bar, sample_rate_hz):
    """The sample that Ardour draws a bar line at: the one that the line's exact place lies in."""
    place = tempo_map.superclock_at(tempo_map.quarters_at_bar(bar))
    return math.floor(place * sample_rate_hz / SUPERCLOCKS_PER_SECOND)


class Desk:
    """One Ardour and one daemon, and hands that fill in dialogs."""

    def __init__(self, ardour, daemon, session_file, *scripts):
        self.ardour, self.daemon, self.session_file = ardour, daemon, session_file
        state = daemon.home / "state"
        self.spool = state / "ardour" / session_key(str(session_file.parent))
        self._slots = ardour.install_scripts(state / "daemon.json", state / "ardour", *scripts)
        ardour.open(session_file)
        ardour.await_only_window(f"{session_file.stem} - Ardour")

    def choose(self, script):
        """Choose an action."""
        self.ardour.run_script(self._slots[script])

    def fill_in(self, title, *steps, ok="alt+o"):
        """Go through a dialog: keys such as Tab, texts that begin with =; then leave it."""
        self.ardour.await_window(title)
        for step in steps:
            if step.startswith("="):
                self.ardour.type(step[1:])
            else:
                self.ardour.press(step)
        leave(self.ardour, title, ok)

    def read_message(self):
        """Wait for a message, and close it."""
        self.fill_in(MESSAGE, ok="Escape")

    def requests(self):
        return [json.loads(text) for (text,) in self.daemon.query("SELECT request FROM jobs ORDER BY seq")]

    def next_request(self, number):
        """Wait for the request of this number, from 1."""
        self.daemon.await_(lambda: len(self.requests()) >= number)
        assert len(self.requests()) == number
        return self.requests()[-1]

    def permissions(self):
        text = (self.session_file.parent / "dgx-music.permissions").read_text()
        return {
            line.split("=")[0].strip(): "yes" in line.split("#")[0]
            for line in text.splitlines()
            if "=" in line
        }

    def select_range(self, start, stop):
        """Select a range, by way of the loop: the editor's cursor runs after the playhead."""
        self.ardour.send("/loop_location", start, stop)
        self.ardour.run_action("Editor/select-loop-range")


def test_generate_asks_for_exactly_what_the_session_says(tmp_path):
    """44.1 kHz; 7/8 at 93.5, then 3/4 at 120 with a glide to 90. One story, for a start of Ardour takes seconds."""
    rate = 44_100
    tempo_map = TempoMap(
        (
            TempoChange(93.5),
            TempoChange(120, quarters=Fraction(35)),
            TempoChange(120, quarters=Fraction(38), end_bpm=90),
            TempoChange(90, quarters=Fraction(44)),
        ),
        (MeterChange(7, 8), MeterChange(3, 4, bar=11)),
    )
    session = Session(
        name="Ein Stück & so",
        sample_rate_hz=rate,
        tempo_map=tempo_map,
        tracks=(Track("Meins", Playlist("Meins")),),
    )
    session_file = write_session(session, tmp_path / session.name)
    lines = {bar: bar_line(tempo_map, bar, rate) for bar in range(1, 20)}
    with installation(tmp_path / "home") as daemon, ardour_gui(tmp_path, sample_rate_hz=rate) as ardour:
        daemon.start()
        daemon.run("pause")  # what is asked is of interest here, not the music
        desk = Desk(ardour, daemon, session_file, "dgx_generate", "dgx_status", "dgx_cancel")

        # A session that has said nothing yet is asked; who says no gets no dialog and sends nothing.
        ardour.locate(lines[3] + 300)
        desk.choose("dgx_generate")
        desk.fill_in(PERMISSIONS, ok="Escape")
        desk.read_message()
        assert not (session_file.parent / "dgx-music.permissions").exists()
        desk.choose("dgx_generate")
        desk.fill_in(PERMISSIONS)
        ardour.await_window(GENERATE)
        assert desk.permissions() == {"import": True, "read": False}

        # An empty prompt comes back. Then 4 bars, on the nearest bar line as long as nobody says no, 2 takes.
        desk.fill_in(GENERATE)
        desk.read_message()
        prompt = 'dusty "lo-fi" drums & <brushes>'
        desk.fill_in(GENERATE, f"={prompt}", "Tab", "=4", "Tab", "Tab", "=2", "Tab")
        first = desk.next_request(1)
        ardour.await_no_window(GENERATE)
        target = {
            "path": str(session_file.parent),
            "position": lines[3],
            "track": None,
            "playlist": None,
            "playlists": "new",
            "on_top": "take",
            "stems": False,
            "replace": None,
        }
        expected = {
            "prompt": prompt,
            "bars": None,
            "duration": None,
            "samples": lines[7] - lines[3],
            "bpm": 93.5,
            "meter": "7/8",
            "tempo_map": None,
            "sample_rate": rate,
            "takes": 2,
            "loop": False,
            "engine": "auto",
            "model": "auto",
            "session": target,
        }
        assert {name: first[name] for name in expected} == expected

        # In a selected range over the change and the glide, to the sample. What was entered is remembered. The track that
        # is selected gets it, below its own playlist (chosen earlier, as it were).
        memory = desk.spool / "memory"
        daemon.await_(memory.exists)  # written once the answer has been read
        assert b"brushes" in memory.read_bytes()
        kept = {"prompt": prompt, "takes": 3, "where": "mine", "model": "musicgen-medium"}
        memory.write_bytes(lua_chunk({"generate": kept}))
        ardour.run_action("Editor/select-next-route", "Editor/select-next-route")
        start, stop = lines[9] + 5, lines[14] - 77
        desk.select_range(start, stop)
        desk.choose("dgx_generate")
        desk.fill_in(GENERATE)
        second = desk.next_request(2)
        target |= {"position": start, "track": "Meins", "on_top": "mine"}
        expected |= {"samples": stop - start, "takes": 3, "session": target, "model": "musicgen-medium"}
        del expected["tempo_map"]
        assert {name: second[name] for name in expected} == expected
        assert [point["at"] for point in second["tempo_map"]] == [
            0,
            *(lines[bar] - start for bar in (11, 12)),
        ]
        assert [point["bpm"] for point in second["tempo_map"]] == [93.5, 120, 120]
        assert [point["meter"] for point in second["tempo_map"]] == ["7/8", "3/4", None]
        assert [point["end_bpm"] for point in second["tempo_map"][:2]] == [None, None]
        assert 90 < second["tempo_map"][2]["end_bpm"] < 90.1
        assert second["request_id"] != first["request_id"]

        # The same range, both ends on the nearest bar lines, looped.
        desk.choose("dgx_generate")
        desk.fill_in(GENERATE, "Tab", "Tab", "Tab", "space", "Tab", "Tab", "space")
        third = desk.next_request(3)
        assert third["session"]["position"] == lines[9]
        assert third["samples"] == lines[14] - lines[9]
        assert third["loop"] is True

        # Too long: the daemon refuses, its sentence is shown, and nothing is stored. Cancelled: nothing is asked.
        desk.choose("dgx_generate")
        desk.fill_in(GENERATE, "Tab", "=512", "Tab", "space", "Tab")
        desk.read_message()
        assert list(desk.spool.glob("answer.*")) == []
        desk.choose("dgx_generate")
        desk.fill_in(GENERATE, ok="Escape")
        ardour.await_no_window(GENERATE)
        assert len(desk.requests()) == 3

        # Status says what waits; Cancel takes away the one that is chosen, here the first of the list.
        desk.choose("dgx_status")
        desk.read_message()
        desk.choose("dgx_cancel")
        desk.fill_in(CANCEL)
        ardour.await_no_window(CANCEL)
        daemon.await_(lambda: daemon.states() == {"pending": 2, "cancelled": 1})

        # A daemon that hangs is waited for in a window that can be left; one that is away is told of at once.
        daemon.daemon.send_signal(signal.SIGSTOP)
        desk.choose("dgx_status")
        desk.fill_in(WAITING, ok="alt+c")
        desk.read_message()
        daemon.daemon.send_signal(signal.SIGCONT)
        assert daemon.stop() == 0
        desk.choose("dgx_generate")
        desk.read_message()
        assert GENERATE not in ardour.windows()
        assert ardour.complaints() == []
        ardour.quit()
    assert list(session_file.parent.glob("*.pending")) == []


def test_what_a_region_is_asked_for(tmp_path):
    """A take of 90 bpm lies at bar 3 of a session of 93.5, cut by 0.1 s at its front. One story, as above."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    from support.musicgen_checkpoints import build

    model = build(tmp_path / "model", "tiny", format="hub")  # only MusicGen continues and varies
    environ = {"DGX_MUSIC__MUSICGEN__MODEL": str(model), "DGX_MUSIC__MUSICGEN__DOWNLOAD": "false"}
    tempo_map = TempoMap((TempoChange(93.5),), (MeterChange(7, 8),))
    lines = {bar: bar_line(tempo_map, bar, 48_000) for bar in range(1, 20)}
    with (
        installation(tmp_path / "home", environ) as daemon,
        ardour_gui(tmp_path, sample_rate_hz=48_000) as ardour,
    ):
        options = ("--engine", "sketch", "--bars", 4, "--bpm", 90, "--meter", "7/8", "--seed", 5)
        job = daemon.json("generate", "warm pad", *options, timeout=300)
        (take,) = job["takes"]
        audio = AudioFile.taken_in(Path(take["path"]))
        frames, cut = 4 * 112_000, 4_800
        region = Region("Pad & co", audio.channels, frames - cut, lines[3] + cut, cut)
        session = Session(
            name="regions",
            tempo_map=tempo_map,
            tracks=(Track("Gi_tarre", Playlist("Gi_tarre", (region,))),),
            markers=(Marker("Intro", lines[1]), Marker("Verse ü", lines[3]), Marker("Outro", lines[7])),
            session_range=TimeRange(0, lines[11]),
        )
        session_file = write_session(session, tmp_path / session.name)
        file = str(next(session_file.parent.rglob(Path(take["path"]).name)))
        before = Path(file).read_bytes()
        daemon.start()
        daemon.run("pause")
        names = ("continue", "vary", "replace_take", "who_made", "fill_sections", "tempo", "permissions")
        desk = Desk(ardour, daemon, session_file, *(f"dgx_{name}" for name in names))
        path = str(session_file.parent)

        # Without a region there is nothing to ask about; what made a region may be asked when its file may be read.
        desk.choose("dgx_who_made")
        desk.read_message()
        ardour.run_action("Editor/select-all-objects")
        desk.choose("dgx_who_made")
        desk.fill_in(PERMISSIONS)
        desk.read_message()
        assert desk.permissions() == {"import": False, "read": True}

        # Replace: the request that made it, with another seed, where the whole of it would lie.
        desk.choose("dgx_replace_take")
        desk.fill_in(PERMISSIONS)
        again = desk.next_request(2)
        assert desk.permissions() == {"import": True, "read": True}
        (original, _) = desk.requests()
        assert original["prompt"] == again["prompt"] == "warm pad"
        assert (again["bars"], again["bpm"], again["takes"], again["engine"]) == (4, 90, 1, "sketch")
        assert again["seed"] != 5
        replaced = {"position": lines[3] + cut, "length": frames - cut, "name": "Pad & co"}
        target = {"path": path, "track": "Gi_tarre", "playlist": None, "on_top": "take", "stems": False}
        assert again["session"] == {
            **target,
            "position": lines[3],
            "playlists": "copy",
            "replace": replaced,
        }

        # Continue: 2 bars and a half, with 1.5 s of the end heard; it begins on the region's last sample.
        desk.choose("dgx_continue")
        desk.fill_in(CONTINUE, "=goes on", "Tab", "=2.5", "Tab", "=1.5", "Tab", "=1", "Tab")
        more = desk.next_request(3)
        end = lines[3] + frames
        assert more["session"] == {**target, "position": end, "playlists": "copy", "replace": None}
        assert more["continue_from"] == {
            "path": file,
            "channel": 0,
            "start": frames - 72_000,
            "length": 72_000,
            "more": [{"path": file, "channel": 1}],
        }
        assert (more["prompt"], more["takes"], more["bpm"], more["meter"]) == ("goes on", 1, 93.5, "7/8")
        assert abs(more["samples"] - 2.5 * 3.5 * 60 / 93.5 * 48_000) <= 2
        assert more["sample_rate"] == 48_000

        # Vary: the whole region as the melody, as long and at its place.
        desk.choose("dgx_vary")
        desk.fill_in(VARY, "=another", "Tab", "=2", "Tab")
        other = desk.next_request(4)
        position = lines[3] + cut
        assert other["session"] == {**target, "position": position, "playlists": "new", "replace": None}
        assert other["melody"] == {**more["continue_from"], "start": cut, "length": frames - cut}
        assert (other["samples"], other["takes"], other["continue_from"]) == (frames - cut, 2, None)

        # A prompt for two of three sections, all on one new track.
        desk.choose("dgx_fill_sections")
        desk.fill_in(SECTIONS, "=jazz", "Tab", "=calm", "Tab", "Tab", "=loud", "Tab")
        daemon.await_(lambda: len(desk.requests()) == 6)
        ardour.await_no_window(SECTIONS)
        intro, outro = desk.requests()[4:]
        assert [one["prompt"] for one in (intro, outro)] == ["jazz, calm", "jazz, loud"]
        assert [one["samples"] for one in (intro, outro)] == [lines[3], lines[11] - lines[7]]
        assert [one["session"]["position"] for one in (intro, outro)] == [0, lines[7]]
        for one in (intro, outro):
            told = {name: one["session"][name] for name in ("track", "playlist", "playlists")}
            assert told == {"track": "Sections", "playlist": "Sections sections", "playlists": "join"}

        # The tempo: asked for permission, and then for the change; No leaves it, Yes sets it on the nearest beat.
        desk.choose("dgx_tempo")
        desk.fill_in(PERMISSIONS)
        desk.fill_in(TEMPO)
        desk.fill_in(MESSAGE, ok="alt+n")
        ardour.await_only_window("regions - Ardour")
        desk.choose("dgx_tempo")
        desk.fill_in(TEMPO)
        desk.fill_in(MESSAGE, ok="alt+y")
        ardour.await_only_window("*regions - Ardour")

        desk.choose("dgx_permissions")
        desk.fill_in(PERMISSIONS, "space", "Tab", "Tab", "space")
        daemon.await_(lambda: not desk.permissions()["import"])
        allowed = {"import": False, "read": True, "markers": True, "tempo": True}
        assert desk.permissions() == allowed
        assert ardour.complaints() == []
        ardour.save(session_file)
        ardour.quit()
    changes = read_session(session_file).tempo_map.tempos
    assert [(change.quarters, float(change.bpm)) for change in changes] == [(0, 93.5), (7, 90)]
    assert Path(file).read_bytes() == before
