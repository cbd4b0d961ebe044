"""When a delivery waits in a real Ardour, and what becomes of one that was interrupted."""

from __future__ import annotations

import time

import pytest

from ardour_session import (
    Session,
    read_session,
)
from support.ardour_gui import needs_ardour_gui
from support.ardour_scene import (
    LONGER,
    TAKE,
    own_music,
    placed,
    regions_of,
    scene,
    takes_of,
    track_of,
)
from support.session_material import write_noise

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]


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
