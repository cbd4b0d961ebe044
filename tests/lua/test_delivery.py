"""Deliveries in a real Ardour 7.3, from a spool that is filled by hand: few long stories, for each start takes seconds.

The saved session is the judge: every position and length is exact to the sample.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ardour_session import (
    Marker,
    RouteGroup,
    Session,
    TimeRange,
)
from support.ardour_gui import needs_ardour_gui
from support.ardour_scene import (
    LONGER,
    TAKE,
    nudge,
    own_music,
    placed,
    regions_of,
    scene,
    takes_of,
    track_of,
)
from support.ardour_spool import HandMadeSpool

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]


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


def assert_same_audio(here, take):
    """Ardour keeps a stereo file as two mono ones."""
    expected, _ = soundfile.read(take["path"], dtype="float32")
    folder = next(here.session_file.parent.glob("interchange/*/audiofiles"))
    stem = take["path"].rsplit("/", 1)[1].removesuffix(".wav")
    kept = np.stack(
        [soundfile.read(folder / f"{stem}%{side}.wav", dtype="float32")[0] for side in "LR"], axis=1
    )
    np.testing.assert_array_equal(kept, expected)


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


ASK_FOR_NAMES = """
ardour { ["type"] = "EditorAction", name = "ask" }
function factory () return function () ArdourUI.config ():set_name_new_markers (true) end end
"""


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
