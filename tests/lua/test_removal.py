"""*Remove last delivery* in a real Ardour: it takes away what was added, and nothing that somebody has edited since."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ardour_session import (
    Playlist,
    Track,
)
from support.ardour_gui import needs_ardour_gui
from support.ardour_scene import (
    MESSAGE,
    TAKE,
    note_what_is_said,
    own_music,
    placed,
    scene,
    takes_of,
    track_of,
)

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]


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
