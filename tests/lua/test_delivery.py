"""Deliveries in a real Ardour 7.3, from a spool that is filled by hand: few long stories, for each start takes seconds.

The saved session is the judge: every position and length is exact to the sample.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ardour_session import (
    AudioFile,
    Marker,
    Playlist,
    Region,
    RouteGroup,
    Session,
    TimeRange,
    Track,
    read_session,
    write_session,
)
from support.ardour_gui import ArdourGui, ardour_gui, needs_ardour_gui
from support.ardour_spool import HandMadeSpool
from support.session_material import write_noise

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]

MESSAGE = "DGX Music"
SCRIPTS = ("dgx_hook", "dgx_fetch_now", "dgx_remove_last")
TAKE, LONGER = 72_000, 96_017


@dataclass
class Scene:
    """An Ardour with a session, and the spool that its scripts look into."""

    ardour: ArdourGui
    spool: HandMadeSpool
    session_file: Path
    slots: dict[str, int]
    scratch: Path
    reports: list[dict] = field(default_factory=list)
    saves: list[dict] = field(default_factory=list)

    def open(self) -> None:
        self.ardour.open(self.session_file)
        self.ardour.await_only_window(f"{self.session_file.stem} - Ardour")

    def run(self, name: str) -> None:
        self.ardour.run_script(self.slots[name])

    def _look(self) -> bool:
        for report in self.spool.reports():
            (self.saves if report["kind"] == "saved" else self.reports).append(report)
        return bool(self.reports)

    def report(self) -> dict:
        """The next report, which has to come; not that of a save."""
        self.ardour.await_(self._look, "there is a report", 20)
        return self.reports.pop(0)

    def await_save(self) -> dict:
        """The report that the session was saved with a delivery in it."""
        self.ardour.await_(lambda: self._look() or bool(self.saves), "a save is reported", 20)
        return self.saves.pop(0)

    def deliver(self, manifest: dict) -> dict:
        """Put a manifest up for the hook; returns what it reports."""
        self.spool.put_up(manifest)
        report = self.report()
        self.ardour.await_(lambda: not self.spool.is_busy, "the claim has ended")
        return report

    def remove_last(self) -> dict:
        self.run("dgx_remove_last")
        return self.report()

    def message(self) -> None:
        """Wait for a dialog of ours, and close it."""
        self.ardour.dismiss(MESSAGE)

    def saved(self) -> Session:
        """Let Ardour save, and read what it wrote."""
        self.ardour.save(self.session_file)
        return read_session(self.session_file)

    def audio_files(self) -> list[str]:
        """What lies in the session's own audio folder."""
        return sorted(path.name for path in self.session_file.parent.glob("interchange/*/audiofiles/*"))


@contextmanager
def scene(tmp_path, session=None, *, allowed=("import",), scripts=SCRIPTS):
    session = session or Session(name="story")
    session_file = write_session(session, tmp_path / session.name)
    spool = HandMadeSpool(tmp_path, session_file.parent)
    with spool, ardour_gui(tmp_path, sample_rate_hz=session.sample_rate_hz) as ardour:
        if allowed:
            spool.allow(**dict.fromkeys(allowed, True))
        slots = ardour.install_scripts(spool.runtime, spool.root, *scripts)
        yield Scene(ardour, spool, session_file, slots, tmp_path)


def takes_of(
    spool, delivery, count=3, *, offer=1, track="[sketch] takes", frames=(TAKE, LONGER, TAKE), **more
):
    """Takes with file names as the daemon's: another one in each offer."""
    return [
        spool.take(
            f"pad_{delivery}-{offer}_t{n}",
            frames=frames[n - 1],
            seed=n,
            playlist=f"{track} {n}",
            name=f"[sketch] take {n}",
            **more,
        )
        for n in range(1, count + 1)
    ]


def placed(track):
    """What lies on each playlist: name, position and length of the regions."""
    return {
        playlist.name: [(one.name, one.position_samples, one.length_samples) for one in playlist.regions]
        for playlist in track.playlists
    }


def track_of(session, name):
    (track,) = [track for track in session.tracks if track.name == name]
    return track


def test_takes_and_stems_land_once_are_undone_redone_and_removed(tmp_path):
    session = Session(name="story & Stück", markers=(Marker("verse", 96_000),))
    with scene(tmp_path, session, allowed=()) as here:
        spool, ardour = here.spool, here.ardour
        without_range(here.session_file)
        takes = takes_of(spool, "gen_a-1")
        drums = spool.take(
            "pad_gen_a-1-1_t1_1_drums",
            frames=TAKE,
            seed=8,
            name="[sketch] drums",
            track="[sketch] drums",
            comment="of take 1",
        )
        bass = spool.take(
            "pad_gen_a-1-1_t1_2_bass",
            frames=TAKE,
            channels=1,
            seed=9,
            name="[sketch] bass",
            track="[sketch] bass",
        )
        manifest = spool.manifest("gen_a-1", takes, stems=[drums, bass], position=96_001)
        spool.put_up(manifest)
        here.open()

        # Nothing comes in without permission: neither by itself, while the hook lives and looks, nor when fetched.
        alive = spool.folder / "alive"
        ardour.await_(alive.exists, "the hook lives")
        first_sign = alive.read_text()
        ardour.await_(lambda: alive.read_text() != first_sign, "the hook has looked for ten seconds")
        here.run("dgx_fetch_now")
        here.message()
        assert (spool.folder / "next").exists()
        assert here.audio_files() == []
        assert spool.reports() == []

        # Allowed, it lands by itself; a marker is another permission.
        spool.allow(**{"import": True})
        assert here.report() == {
            "kind": "landed",
            "delivery": "gen_a-1",
            "offer": 1,
            "regions": 5,
            "snapshot": session.name,
            "message": "5 regions at sample 96001, track [sketch] takes",
        }
        files = here.audio_files()
        assert len(files) == 9
        landed = here.saved()
        main = track_of(landed, "[sketch] takes")
        expected = {
            f"[sketch] takes {n}": [(f"[sketch] take {n}", 96_001, frames)]
            for n, frames in ((1, TAKE), (2, LONGER), (3, TAKE))
        }
        assert placed(main) == expected
        assert main.playlist.name == "[sketch] takes 1"
        assert (main.comment, main.colour_rgba, main.channel_count) == ("made by hand", 0x5A8FD6FF, 2)
        assert (main.muted, main.group) == (False, None)
        for name, colour, channels in (("[sketch] drums", 0xD65A5AFF, 2), ("[sketch] bass", 0xD6A85AFF, 1)):
            stem = track_of(landed, name)
            assert placed(stem) == {name: [(name, 96_001, TAKE)]}
            assert (stem.muted, stem.group, stem.colour_rgba, stem.channel_count) == (
                True,
                "Stems",
                colour,
                channels,
            )
        assert landed.groups == (RouteGroup("Stems", 0x6E7F99FF, shares_controls=False),)
        assert not any(region.fades or region.gain_db or region.start_samples for region in landed.regions)
        assert landed.session_range == TimeRange(96_001, 96_001 + LONGER)
        assert landed.markers == session.markers
        for take in takes:
            assert_same_audio(here, take)
        assert here.await_save()["delivery"] == "gen_a-1"

        # One undo empties all playlists, one redo fills them.
        ardour.run_action("Editor/undo")
        undone = here.saved()
        assert {track.name for track in undone.tracks} == {track.name for track in landed.tracks}
        assert undone.regions == ()
        ardour.run_action("Editor/redo")
        assert regions_of(here.saved()) == regions_of(landed)

        # The same delivery once more changes nothing, not even the region list.
        again = here.deliver({**manifest, "offer": 2})
        assert (again["kind"], again["regions"], again["offer"]) == ("landed", 5, 2)
        assert regions_of(here.saved()) == regions_of(landed)
        assert here.audio_files() == files

        # Undone and offered again, it is placed as it was, from what is in the session already.
        ardour.run_action("Editor/undo")
        shutil.rmtree(spool.folder / "audio")
        for file in [*takes, drums, bass]:
            file["path"] = file["path"].replace("gen_a-1-1", "gen_a-1-3")
        back = here.deliver({**manifest, "offer": 3})
        assert (back["kind"], back["regions"], back["offer"]) == ("landed", 5, 3)
        assert regions_of(here.saved()) == regions_of(landed)
        assert here.audio_files() == files

        # Removed, nothing of it is to be seen; a script cannot take the tracks themselves away in 7.3.
        assert here.remove_last()["kind"] == "removed"
        cleared = here.saved()
        assert cleared.regions == ()
        assert cleared.groups == ()
        assert "route-group=" not in here.session_file.read_text()
        assert {track.name for track in cleared.tracks} == {
            f"removed {track.name}" for track in landed.tracks
        }
        assert re.findall(r'<Route [^>]*name="removed[^>]* active="1"', here.session_file.read_text()) == []
        here.run("dgx_remove_last")
        here.message()  # there is no delivery before it
        assert ardour.complaints() == []
        ardour.quit()


def without_range(session_file):
    """A session as it is before anything was placed in it."""
    text = session_file.read_text()
    found = re.findall(r'\s*<Location [^>]*flags="IsSessionRange"[^>]*/>', text)
    assert len(found) == 1
    session_file.write_text(text.replace(found[0], ""))


def regions_of(session):
    return {track.name: placed(track) for track in session.tracks}


def assert_same_audio(here, take):
    """Ardour keeps a stereo file as two mono ones."""
    expected, _ = soundfile.read(take["path"], dtype="float32")
    folder = next(here.session_file.parent.glob("interchange/*/audiofiles"))
    stem = take["path"].rsplit("/", 1)[1].removesuffix(".wav")
    kept = np.stack(
        [soundfile.read(folder / f"{stem}%{side}.wav", dtype="float32")[0] for side in "LR"], axis=1
    )
    np.testing.assert_array_equal(kept, expected)


def own_music(tmp_path, name="Mine", *, at=48_000, frames=240_000, channels=2):
    """A session as a user has it: one track, one region."""
    path = tmp_path / "recorded.wav"
    write_noise(path, channels=channels, frames=frames, seed=77)
    region = Region("recorded", AudioFile.taken_in(path, channels).channels, frames, at)
    return Session(
        name="mine", tracks=(Track(name, Playlist(f"{name}.1", (region,)), channel_count=channels),)
    )


def test_an_existing_track_keeps_what_is_the_users(tmp_path):
    with scene(tmp_path, own_music(tmp_path), allowed=("import", "markers")) as here:
        spool, ardour = here.spool, here.ardour
        move, ask_for_names = ardour.install_actions(nudge("[sketch] take 1"), ASK_FOR_NAMES)
        here.open()
        ardour.run_script(ask_for_names)
        mine = ("recorded", 48_000, 240_000)

        def offer(delivery, count=2, **more):
            takes = takes_of(spool, delivery, count, track=more.pop("named", f"Mine {delivery}"))
            return here.deliver(
                spool.manifest(delivery, takes, **{"track": "Mine", "marker": delivery, **more})
            )

        # New playlists, the user's own on top; a marker at the place.
        assert offer("gen_new-1", on_top="mine")["kind"] == "landed"
        session = here.saved()
        (track,) = session.tracks
        assert track.playlist.name == "Mine.1"
        new = {
            f"Mine gen_new-1 {n}": [(f"[sketch] take {n}", 96_000, frames)]
            for n, frames in ((1, TAKE), (2, LONGER))
        }
        assert placed(track) == {"Mine.1": [mine], **new}
        assert session.markers == (Marker("gen_new-1", 96_000),)
        assert (track.comment, track.colour_rgba) != ("made by hand", 0x5A8FD6FF)

        ardour.await_only_window(
            "mine - Ardour"
        )  # and no question for the marker's name, which Ardour would ask here

        # A copy of what is there, in which the new take replaces the region; the take on top.
        replace = {"position": 48_000, "length": 240_000, "name": "recorded"}
        told = offer("gen_copy-1", 1, playlists="copy", replace=replace, position=48_000, marker="")
        assert told["message"] == "1 regions at sample 48000, track Mine"
        copied = {"Mine gen_copy-1 1": [("[sketch] take 1", 48_000, TAKE)]}
        (track,) = here.saved().tracks
        assert track.playlist.name == "Mine gen_copy-1 1"
        assert placed(track) == {"Mine.1": [mine], **new, **copied}
        # Undone, the copy is what was copied.
        ardour.run_action("Editor/undo")
        undone = placed(here.saved().tracks[0])
        ((copy, *place),) = undone.pop("Mine gen_copy-1 1")  # Ardour numbers the names of copies
        assert (copy.split(".")[0], *place) == mine
        assert undone == {"Mine.1": [mine], **new}
        ardour.run_action("Editor/redo")

        # A region that is not there any more is said to be so, and nothing else is taken out.
        told = offer("gen_gone-1", 1, playlists="copy", replace={**replace, "position": 5}, marker="")
        assert "not there any more" in told["message"]
        assert ("[sketch] take 1", 96_000, TAKE) in placed(here.saved().tracks[0])["Mine gen_gone-1 1"]
        assert here.remove_last()["delivery"] == "gen_gone-1"

        # Two deliveries share the playlists of their names.
        for n, position in ((1, 300_000), (2, 400_000)):
            offer(f"gen_join{n}-1", playlists="join", named="Sections", position=position, marker="")
        (track,) = here.saved().tracks
        assert track.playlist.name == "Sections 1"
        joined = placed(track)
        assert joined["Sections 1"] == [("[sketch] take 1", at, TAKE) for at in (300_000, 400_000)]
        assert joined["Sections 2"] == [("[sketch] take 2", at, LONGER) for at in (300_000, 400_000)]

        # Newest first, each call takes away one delivery, and only that.
        assert here.remove_last() == {
            "kind": "removed",
            "delivery": "gen_join2-1",
            "offer": 1,
            "regions": 2,
            "snapshot": "mine",
            "message": "removed by the user",
        }
        left = placed(here.saved().tracks[0])
        assert left["Sections 1"] == [("[sketch] take 1", 300_000, TAKE)]

        # What the user has touched since is theirs.
        ardour.run_script(move)
        touched = placed(here.saved().tracks[0])
        assert touched["Sections 1"] == [("[sketch] take 1", 300_001, TAKE)]
        here.run("dgx_remove_last")
        here.message()
        assert placed(here.saved().tracks[0]) == touched
        ardour.run_action("Editor/undo")

        for delivery in ("gen_join1-1", "gen_copy-1", "gen_new-1"):
            assert here.remove_last()["delivery"] == delivery
        session = here.saved()
        (track,) = session.tracks
        assert track.playlist.name == "Mine.1"
        assert {name: regions for name, regions in placed(track).items() if regions} == {"Mine.1": [mine]}
        assert session.markers == ()
        assert ardour.complaints() == []
        ardour.quit()
        settings = (ardour.home / ".config" / "ardour7" / "ui_config").read_text()
        assert 'name="name-new-markers" value="1"' in settings


EDITS = [
    ("region:set_muted (true)", "region:set_muted (false)", "is muted"),
    ("audio:set_scale_amplitude (0.5)", "audio:set_scale_amplitude (1)", "has another gain"),
    ("audio:set_fade_out_active (true)", "audio:set_fade_out_active (false)", "has a fade"),
    ("region:set_name ('mine now')", "region:set_name ('[sketch] take 1')", "was renamed"),
    ("region:trim_front (at (97000))", "region:trim_front (at (96000))", "was moved"),
    ("region:trim_end (at (150000))", f"region:trim_end (at ({96_000 + TAKE}))", "was trimmed or split"),
    (
        "playlist:add_region (ARDOUR.RegionFactory.clone_region (region, true, false), at (5), 1, false)",
        "playlist:remove_region (playlist:top_region_at (at (6)))",
        "a further region",
    ),
    (
        "playlist:add_region (ARDOUR.RegionFactory.clone_region (other, true, false), at (400000), 1, false)",
        "playlist:remove_region (playlist:top_region_at (at (400001)))",
        "something else was put into the playlist",
    ),
    (
        "track:gain_control ():set_value (0.5, no_group)",
        "track:gain_control ():set_value (1, no_group)",
        "fader",
    ),
    (
        "track:add_processor_by_index (ARDOUR.LuaAPI.new_luaproc (Session, 'ACE Inline Scope'), 0, nil, true)",
        "track:remove_processor (track:nth_plugin (0), nil, true)",
        "has a plugin",
    ),
    (
        "track:use_new_playlist (A) track:playlist ():add_region (ARDOUR.RegionFactory.clone_region (other, true, false), at (5), 1, false)",
        "track:playlist ():remove_region (track:playlist ():top_region_at (at (6))) track:use_playlist (A, playlist, true)",
        "has a playlist with something else",
    ),
]


def editor(folder):
    """An action that does what a file says to the first take's region, and tells what it met."""
    return f"""
ardour {{ ["type"] = "EditorAction", name = "edit" }}
function factory () return function ()
	local A = ARDOUR.DataType ("audio")
	local track = Session:route_by_name ("[sketch] takes"):to_track ()
	local playlist = Session:playlists ():by_name ("[sketch] takes 1")
	local region, other
	for one in playlist:region_list ():iter () do region = one end
	for one in Session:route_by_name ("Mine"):to_track ():playlist ():region_list ():iter () do other = one end
	local names = {{
		A = A, ARDOUR = ARDOUR, Session = Session, track = track, playlist = playlist, region = region, other = other,
		audio = region:to_audioregion (), at = Temporal.timepos_t, no_group = PBD.GroupControlDisposition.NoGroup,
	}}
	local ok, problem = pcall (loadfile ("{folder}/edit", "t", names))
	local file = io.open ("{folder}/part", "w")
	file:write (ok and "done" or tostring (problem))
	file:close ()
	os.rename ("{folder}/part", "{folder}/edited")
end end
"""


def test_what_was_edited_since_is_not_removed(tmp_path):
    with scene(tmp_path, own_music(tmp_path)) as here:
        spool, ardour = here.spool, here.ardour
        (slot,) = ardour.install_actions(editor(tmp_path))
        note_what_is_said(ardour.modules / "say.lua", tmp_path / "said")
        here.open()
        assert here.deliver(spool.manifest("gen_e-1", takes_of(spool, "gen_e-1", 2)))["kind"] == "landed"

        def edit(code):
            (tmp_path / "edit").write_text(code)
            ardour.run_script(slot)
            ardour.await_((tmp_path / "edited").exists, f"{code} is done")
            assert (tmp_path / "edited").read_text() == "done"
            (tmp_path / "edited").unlink()

        for change, back, text in EDITS:
            edit(change)
            here.run("dgx_remove_last")
            ardour.await_window(MESSAGE)
            assert text in (tmp_path / "said").read_text()
            here.message()
            edit(back)
        assert not any(spool.reports())
        # All edits undone, there is nothing against it.
        assert here.remove_last()["regions"] == 2
        assert [region.name for region in here.saved().regions] == ["recorded"]
        ardour.quit()


def note_what_is_said(module, file):
    """Let the dialogs' module write down what it shows: a test cannot read a window."""
    text = module.read_text()
    noting = text.replace(
        "local function show (kind, text)\n",
        f'local function show (kind, text)\n\tlocal file = io.open ("{file}", "w") file:write (text) file:close ()\n',
    )
    assert noting != text
    module.write_text(noting)


ASK_FOR_NAMES = """
ardour { ["type"] = "EditorAction", name = "ask" }
function factory () return function () ArdourUI.config ():set_name_new_markers (true) end end
"""


def nudge(name):
    """An action that moves the first region of this name by a sample, as an edit of the user's that can be undone."""
    return f"""
ardour {{ ["type"] = "EditorAction", name = "nudge" }}
function factory () return function ()
	for track in Session:get_tracks ():iter () do
		local playlist = track:to_track ():playlist ()
		for region in playlist:region_list ():iter () do
			if region:name () == "{name}" then
				playlist:to_stateful ():clear_changes ()
				region:to_stateful ():clear_changes ()
				Session:begin_reversible_command ("nudge")
				region:set_position (Temporal.timepos_t (region:position ():samples () + 1))
				Session:add_stateful_diff_command (region:to_statefuldestructible ())
				Session:commit_reversible_command (nil)
				return
			end
		end
	end
end end
"""


ON_OTHER = """
ardour { ["type"] = "EditorAction", name = "share" }
function factory () return function ()
	local other = Session:route_by_name ("Other"):to_track ()
	other:use_playlist (ARDOUR.DataType ("audio"), Session:route_by_name ("Mine"):to_track ():playlist (), false)
end end
"""


def rename(old, new):
    """An action that renames a track."""
    return f"""
ardour {{ ["type"] = "EditorAction", name = "rename" }}
function factory () return function () Session:route_by_name ("{old}"):set_name ("{new}") end end
"""


def owners_of(session_file):
    """The id of the track that each playlist belongs to."""
    found = re.findall(r"<Playlist [^>]*>", session_file.read_text())
    return {
        re.search(r' name="([^"]*)"', one)[1]: re.search(r' orig-track-id="([^"]*)"', one)[1] for one in found
    }


def test_deliveries_onto_one_track_give_it_back_as_it_was(tmp_path):
    mine = own_music(tmp_path)
    session = replace(mine, tracks=(*mine.tracks, Track("Other", Playlist("Other.1"), channel_count=2)))
    with scene(tmp_path, session) as here:
        spool, ardour = here.spool, here.ardour
        note_what_is_said(ardour.modules / "say.lua", tmp_path / "said")
        share, away, back = ardour.install_actions(ON_OTHER, rename("Mine", "Bass"), rename("Bass", "Mine"))
        here.open()

        def offer(delivery, track="Mine", **more):
            takes = takes_of(spool, delivery, 2, track=track)
            return here.deliver(spool.manifest(delivery, takes, track=track, **more))

        def mine_now():
            track = track_of(here.saved(), "Mine")
            return track.playlist.name, {name: len(regions) for name, regions in placed(track).items()}

        # The daemon names playlists after track and take, so those of two deliveries want the same names.
        for delivery in ("gen_a-1", "gen_b-1"):
            assert offer(delivery)["kind"] == "landed"
        first = {"Mine.1": 1, "Mine 1": 1, "Mine 2": 1}
        assert mine_now() == ("Mine 1 (2)", {**first, "Mine 1 (2)": 1, "Mine 2 (2)": 1})

        # Under another name the track is the user's until they give the name back.
        ardour.run_script(away)
        here.run("dgx_remove_last")
        ardour.await_window(MESSAGE)
        assert "the track Bass plays it" in (tmp_path / "said").read_text()
        here.message()
        ardour.run_script(back)
        assert here.remove_last()["delivery"] == "gen_b-1"
        assert mine_now() == ("Mine 1", first)

        # An undone delivery leaves the track on an empty playlist: to remove it gives the user's own back. The steps are
        # the removal, the second delivery, Ardour's own two of its import, and the first one.
        ardour.run_action(*["Editor/undo"] * 5)
        assert mine_now() == ("Mine 1", {"Mine.1": 1, "Mine 1": 0})
        assert here.remove_last()["delivery"] == "gen_a-1"
        assert mine_now()[0] == "Mine.1"

        # A playlist that two tracks share stays the one's whose it is, though the other one plays it on.
        ardour.run_script(share)
        here.saved()
        owner = owners_of(here.session_file)["Mine.1"]
        assert offer("gen_c-1", "Other", on_top="mine")["kind"] == "landed"
        assert track_of(here.saved(), "Other").playlist.name == "Mine.1"
        assert owners_of(here.session_file)["Mine.1"] == owner
        ardour.quit()


def test_a_session_saved_as_another_is_looked_after_as_that(tmp_path):
    with scene(tmp_path, own_music(tmp_path)) as here:
        spool, ardour = here.spool, here.ardour
        here.open()
        ardour.await_((spool.folder / "alive").exists, "the hook lives")

        # What the action has fetched is the hook's to watch as well.
        spool.put_up(spool.manifest("gen_f-1", takes_of(spool, "gen_f-1", 1)))
        here.run("dgx_fetch_now")
        assert here.report()["delivery"] == "gen_f-1"
        here.saved()
        assert here.await_save()["delivery"] == "gen_f-1"

        ardour.run_action("Main/SaveAs")
        ardour.await_window("Save As")
        ardour.press("ctrl+a")
        ardour.type("second")
        ardour.press("alt+o")
        ardour.await_no_window("Save As")
        ardour.await_only_window("second - Ardour")
        (saved_as,) = ardour.home.rglob("second.ardour")
        with HandMadeSpool(tmp_path, saved_as.parent) as other:
            other.allow(**{"import": True})
            ardour.await_((other.folder / "alive").exists, "the hook has followed")
            spool.put_up(spool.manifest("gen_old-1", takes_of(spool, "gen_old-1", 1)))
            other.put_up(other.manifest("gen_new-1", takes_of(other, "gen_new-1", 1), new_track=True))
            ardour.await_(lambda: any(other.folder.glob("report.*")), "it has landed")
            assert other.reports()[0]["delivery"] == "gen_new-1"
        assert (spool.folder / "next").exists()
        ardour.save(saved_as)
        ardour.kill()


def test_a_bad_file_is_reported_and_changes_nothing(tmp_path):
    with scene(tmp_path, own_music(tmp_path)) as here:
        spool, ardour = here.spool, here.ardour
        here.open()
        before = here.saved()
        files = here.audio_files()

        def refusal(delivery, spoil, **more):
            takes = takes_of(spool, delivery, 2)
            manifest = spool.manifest(delivery, takes, **more)
            spoil(takes[1])
            report = here.deliver(manifest)
            assert (report["kind"], report["delivery"]) == ("failed", delivery)
            return report["code"], report["message"]

        def truncate(take):
            with Path(take["path"]).open("r+b") as file:
                file.truncate(take["bytes"] - 1000)

        def vanish(take):
            (spool.folder / "audio" / take["path"].rsplit("/", 1)[1]).unlink()

        def change(take):
            with Path(take["path"]).open("r+b") as file:
                file.seek(-1024, 2)
                file.write(bytes(1024))

        def other_rate(take):
            take.update(spool.take("pad_gen_rate-1-1_t2", frames=TAKE, rate_hz=44_100))

        def unreadable(take):
            """A header that says it all, but audio that no library of Ardour's decodes."""
            with Path(take["path"]).open("r+b") as file:
                file.seek(20)
                file.write(b"\x99\x99")
            take.update(bytes=take["bytes"], fingerprint=spool.fingerprint(take))

        for delivery, spoil, code, text in (
            ("gen_trunc-1", truncate, "damaged", "bytes of audio"),
            ("gen_gone-1", vanish, "vanished", "not there any more"),
            ("gen_other-1", change, "damaged", "contents differ"),
            ("gen_rate-1", other_rate, "rate", "44100"),
        ):
            told = refusal(delivery, spoil)
            assert told[0] == code
            assert text in told[1]
        assert refusal("gen_44-1", lambda _: None, sample_rate=44_100)[0] == "rate"
        assert here.audio_files() == files
        assert here.saved() == before

        # What cannot be read as a manifest at all belongs to no delivery.
        spool.put_up({})
        (spool.folder / "next").write_text("return {")
        report = here.report()
        assert report["kind"] == "problem"
        assert "delivery" not in report

        # Only the import itself can find this out; the track is not made before it has.
        takes = takes_of(spool, "gen_mp3-1", 1)
        unreadable(takes[0])
        report = here.deliver(spool.manifest("gen_mp3-1", takes))
        assert (report["kind"], report["code"]) == ("failed", "import")
        assert here.saved() == before

        # And the hook is alive after all of that.
        assert here.deliver(spool.manifest("gen_good-1", takes_of(spool, "gen_good-1")))["kind"] == "landed"
        assert not spool.is_busy
        ardour.quit()


def test_nothing_lands_while_the_user_drags_records_or_imports(tmp_path):
    """A delivery in the middle of a drag would lose the drag's undo step, and one in an import that import's files."""
    with scene(tmp_path, own_music(tmp_path)) as here:
        spool, ardour = here.spool, here.ardour
        long_import = tmp_path / "long.wav"
        write_noise(long_import, frames=120 * 44_100, rate_hz=44_100)
        arm_slot, import_slot = ardour.install_actions(arm("Mine"), import_by_hand(long_import, spool.folder))
        here.open()
        ardour.fill_the_screen(f"{here.session_file.stem} - Ardour", 1500, 900)
        ardour.run_action("Editor/zoom-to-session")

        # The region is dragged to and fro for as long as the hook has looked some times.
        alive = spool.folder / "alive"
        ardour.await_(alive.exists, "the hook lives")
        ardour.move_mouse(640, 375)
        ardour.hold_mouse()
        for x in range(650, 700, 10):
            ardour.move_mouse(x, 375)
        spool.put_up(spool.manifest("gen_drag-1", takes_of(spool, "gen_drag-1", 2)))
        at_first, moves = alive.read_text(), 0

        def dragged_on():
            nonlocal moves
            moves += 1
            ardour.move_mouse(700 + 20 * (moves % 5), 375)
            assert (spool.folder / "next").exists()
            return alive.read_text() != at_first

        ardour.await_(dragged_on, "the hook has seen ten seconds of it")
        ardour.release_mouse()
        assert here.report()["delivery"] == "gen_drag-1"
        moved = regions_of(here.saved())
        ((_, position, _),) = moved.pop("Mine")["Mine.1"]
        assert position != 48_000
        assert [len(regions) for regions in moved["[sketch] takes"].values()] == [1, 1]
        # The first undo takes the delivery, the last the drag; those between belong to Ardour's import and show nothing.
        ardour.run_action("Editor/undo")
        assert regions_of(here.saved())["Mine"]["Mine.1"][0][1] == position
        assert not any(regions_of(here.saved())["[sketch] takes"].values())
        ardour.run_action("Editor/undo", "Editor/undo", "Editor/undo")
        assert regions_of(here.saved())["Mine"]["Mine.1"][0][1] == 48_000

        # While Ardour records, what is offered waits, also when it is fetched; the daemon hears of it again and again.
        assert transport_of(spool) == []
        ardour.run_script(arm_slot)
        ardour.send("/rec_enable_toggle")
        ardour.send("/transport_play")
        ardour.await_(lambda: transport_of(spool)[-1:] == ["recording"], "the daemon hears of the recording")
        spool.put_up(spool.manifest("gen_rec-1", takes_of(spool, "gen_rec-1", 1)))
        count = len(transport_of(spool))
        ardour.await_(lambda: len(transport_of(spool)) >= count + 1, "the daemon is told again")
        here.run("dgx_fetch_now")
        here.message()
        assert (spool.folder / "next").exists()
        assert set(transport_of(spool)[count:]) == {"recording"}
        ardour.send("/transport_stop")
        assert here.report()["delivery"] == "gen_rec-1"
        assert transport_of(spool)[-1] == "stopped"

        # While Ardour imports for the user, so does it.
        spool.put_up(spool.manifest("gen_import-1", takes_of(spool, "gen_import-1", 1)))
        ardour.run_script(import_slot)
        ardour.await_((tmp_path / "imported").exists, "the long import has ended", 120)
        assert (tmp_path / "imported").read_text() == "what was offered is still offered"
        assert here.report()["delivery"] == "gen_import-1"
        names = {name.split("%")[0] for name in here.audio_files()}
        assert {"long", "pad_gen_import-1-1_t1"} <= names
        ardour.quit()


def transport_of(spool):
    return [state for address, state, *_ in spool.heard() if address == "/dgx/transport"]


def arm(name):
    """An action that makes a track ready to record."""
    return f"""
ardour {{ ["type"] = "EditorAction", name = "arm" }}
function factory () return function ()
	local track = Session:route_by_name ("{name}"):to_track ()
	track:rec_enable_control ():set_value (1, PBD.GroupControlDisposition.NoGroup)
end end
"""


def import_by_hand(path, folder):
    return f"""
ardour {{ ["type"] = "EditorAction", name = "import" }}
function factory () return function ()
	local files = C.StringVector ()
	files:push_back ("{path}")
	Editor:do_import (files, Editing.ImportSerializeFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
		ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
		Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
	local offered = io.open ("{folder}/next")
	local file = io.open ("{folder.parent.parent}/part", "w")
	file:write (offered and "what was offered is still offered" or "it was taken")
	file:close ()
	os.rename ("{folder.parent.parent}/part", "{folder.parent.parent}/imported")
end end
"""


def test_what_ardours_end_interrupted_is_delivered_once_more_and_not_a_third_time(tmp_path):
    with scene(tmp_path, own_music(tmp_path)) as here:
        spool, ardour = here.spool, here.ardour
        # Two that an earlier Ardour had taken: one for the first time, and one which ended it twice.
        takes = takes_of(spool, "gen_died-1")
        manifest = spool.manifest("gen_died-1", takes)
        spool.put_up(manifest, "taken")
        spool.put_up(spool.manifest("gen_twice-1", takes_of(spool, "gen_twice-1")), "retaken")
        (spool.folder / "busy").write_text(f"{2**22 + 1} 12345")
        here.open()
        report = here.report()
        assert (report["kind"], report["delivery"], report["code"]) == ("failed", "gen_twice-1", "crashed")
        report = here.report()
        assert (report["kind"], report["delivery"], report["regions"]) == ("landed", "gen_died-1", 3)
        ardour.await_(lambda: not spool.is_busy, "the claim has ended")
        assert not any("twice" in name for name in here.audio_files())

        # Ardour dies before the session is saved: the delivery is offered again, and lands in the next one.
        ardour.kill()
        here.session_file.with_suffix(".pending").unlink(missing_ok=True)
        assert [track.name for track in read_session(here.session_file).tracks] == ["Mine"]
        here.open()
        spool.put_up({**manifest, "offer": 2})
        ardour.await_(
            lambda: ("/dgx/look", spool.session_path) in spool.heard(), "the session says that it is open"
        )
        assert here.report()["regions"] == 3
        session = here.saved()
        assert [len(regions) for regions in placed(track_of(session, "[sketch] takes")).values()] == [1, 1, 1]
        assert here.await_save()["offer"] == 2

        # Ardour is closed, and what the hook has not told any more is told when the session is opened again.
        second = spool.manifest("gen_late-1", takes_of(spool, "gen_late-1", 1), new_track=True)
        assert here.deliver(second)["kind"] == "landed"
        ardour.quit()
        here.reports.clear()
        here.saves.clear()
        here.open()
        assert here.await_save()["delivery"] == "gen_late-1"
        assert len(track_named(here.saved(), "[sketch] takes")) == 2

        # What was delivered in an earlier life of the session can still be removed.
        assert here.remove_last()["delivery"] == "gen_late-1"
        assert here.remove_last()["delivery"] == "gen_died-1"
        assert [region.name for region in here.saved().regions] == ["recorded"]
        ardour.quit()


def track_named(session, beginning):
    return [track for track in session.tracks if track.name.startswith(beginning)]


def test_fetch_now_brings_what_the_daemon_puts_up_and_says_when_there_is_nothing(tmp_path):
    """Without the hook: the action alone is enough."""
    scripts = ("dgx_fetch_now", "dgx_remove_last")
    with scene(tmp_path, Session(name="story", sample_rate_hz=44_100), scripts=scripts) as here:
        spool, ardour = here.spool, here.ardour
        here.open()

        def asked():
            return [values for address, *values in spool.heard() if address == "/dgx/ardour"]

        def fetch(*manifests):
            count = len(asked())
            here.run("dgx_fetch_now")
            ardour.await_(lambda: len(asked()) > count, "the daemon is asked")
            ask_id, path, command, arguments = asked()[-1]
            assert (path, command, arguments) == (spool.session_path, "fetch", "{}")
            for manifest in manifests:
                spool.put_up(manifest)
            spool.answer(ask_id)

        fetch()
        here.message()
        good = takes_of(spool, "gen_f-1", 2, rate_hz=44_100)
        fetch(spool.manifest("gen_f-1", good, sample_rate=44_100, position=12_345))
        assert here.report()["kind"] == "landed"
        ardour.await_only_window(f"*{here.session_file.stem} - Ardour")
        (track,) = here.saved().tracks
        assert placed(track) == {
            f"[sketch] takes {n}": [(f"[sketch] take {n}", 12_345, frames)]
            for n, frames in ((1, TAKE), (2, LONGER))
        }

        # What cannot be delivered is said at once, and reported.
        bad = takes_of(spool, "gen_bad-1", 1, rate_hz=48_000)
        fetch(spool.manifest("gen_bad-1", bad, sample_rate=44_100))
        here.message()
        assert here.report()["code"] == "rate"

        # Without a daemon, what lies there already comes all the same.
        spool.runtime.unlink()
        spool.put_up(
            spool.manifest(
                "gen_g-1", takes_of(spool, "gen_g-1", 1, rate_hz=44_100), sample_rate=44_100, new_track=True
            )
        )
        here.run("dgx_fetch_now")
        assert here.report()["delivery"] == "gen_g-1"

        # The daemon may ring for it; then nothing is said, whether there is something or not.
        manifest = spool.manifest(
            "gen_h-1", takes_of(spool, "gen_h-1", 1, rate_hz=44_100), sample_rate=44_100, new_track=True
        )
        spool.put_up(manifest)
        for _ in range(2):
            (spool.folder / "rung").write_text(f"{time.time():.3f}")
            here.run("dgx_fetch_now")
            ardour.await_(lambda: not (spool.folder / "rung").exists(), "the ring is heard")
        assert here.report()["delivery"] == "gen_h-1"
        ardour.await_only_window(f"*{here.session_file.stem} - Ardour")
        here.run("dgx_fetch_now")
        here.message()
        assert ardour.complaints() == []
        ardour.quit()
