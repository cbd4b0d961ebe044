"""The round trip in a real Ardour: asked in its dialog, made by the real daemon, lying on its timeline to the sample.

Few long stories, since a start of Ardour takes seconds; the session that Ardour saves is the judge.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
from fractions import Fraction

import pytest

from ardour_session import (
    AudioFile,
    MeterChange,
    Playlist,
    Region,
    Session,
    TempoChange,
    TempoMap,
    Track,
)
from support.ardour_gui import needs_ardour_gui
from support.daemon import OscSender
from support.session_material import write_noise
from support.studio import GENERATE, PERMISSIONS, leave, placed, studio

pytestmark = [pytest.mark.ardour, pytest.mark.slow, needs_ardour_gui]

PROMPT, CONTINUE = "dusty lo-fi drums", "DGX Music: Continue this region"


@pytest.fixture
def environ(environ):
    """Without the test engines: `auto` is what it is for users."""
    return {name: value for name, value in environ.items() if name != "PYTHONPATH"}


def bar_line(bars, *, bpm, quarters_per_bar, sample_rate_hz):
    """Where Ardour draws the bar line after so many bars: on the floor of its exact place."""
    return math.floor(bars * Fraction(quarters_per_bar) * 60 / Fraction(str(bpm)) * sample_rate_hz)


def ours(session):
    return [track for track in session.tracks if track.name.startswith("[")]


def test_four_bars_in_7_8_are_asked_for_delivered_undone_redone_and_removed(tmp_path, environ):
    """Generate at bar 3 by slot and dialog: three takes on one new track, on the bar's own sample."""
    session = Session("Odd meter", 48_000, TempoMap((TempoChange(93.5),), (MeterChange(7, 8),)))
    start, end = (
        bar_line(bars, bpm=93.5, quarters_per_bar=Fraction(7, 2), sample_rate_hz=48_000) for bars in (2, 6)
    )
    with studio(tmp_path, session, environ) as here:
        ardour, daemon = here.ardour, here.daemon
        here.open()
        ardour.locate(start)

        # The first time, it asks what it may do; then the prompt, and nothing more.
        here.run("dgx_generate")
        leave(ardour, PERMISSIONS)
        ardour.await_window(GENERATE)
        ardour.type(PROMPT)
        leave(ardour, GENERATE)
        here.await_deliveries("landed")

        landed = here.saved(ours)
        (track,) = ours(landed)
        wanted = [(start, end - start)]
        assert list(placed(track).values()) == [wanted, wanted, wanted]
        assert len(landed.tracks) == 1
        assert "sketch" in track.name
        assert landed.markers == ()
        assert landed.session_range.end_samples == end
        (job,) = daemon.json("history")
        assert [job["request"][name] for name in ("bpm", "meter", "samples")] == [93.5, "7/8", end - start]
        here.await_deliveries("saved")

        # One undo takes all of it off, one redo brings it back.
        ardour.send("/undo")
        here.saved(lambda session: session.regions == ())  # of empty playlists it writes only the active one
        ardour.send("/redo")
        here.saved(lambda session: placed(ours(session)[0]) == placed(track))

        # The same again changes nothing: neither fetched, nor sent once more.
        files = sorted(here.session_folder.glob("interchange/*/audiofiles/*"))
        here.run("dgx_fetch_now")
        here.message()
        assert sorted(here.session_folder.glob("interchange/*/audiofiles/*")) == files

        # And away with it.
        here.run("dgx_remove_last")
        here.await_deliveries("removed")
        left = here.saved(lambda session: session.regions == ())
        assert left.markers == ()
        assert ardour.complaints() == []
        ardour.quit()
        assert not list(here.session_folder.glob("*.pending"))


def test_a_range_over_a_tempo_change_survives_a_killed_daemon_and_a_closed_ardour(tmp_path, environ):
    """At 44.1 kHz, with the daemon killed between accept and delivery, and Ardour closed between ask and delivery."""
    tempo_map = TempoMap((TempoChange(90), TempoChange(120, Fraction(8), end_bpm=None)), (MeterChange(4, 4),))
    session = Session("Two tempos", 44_100, tempo_map)
    with studio(tmp_path, session, environ) as here:
        ardour, daemon = here.ardour, here.daemon
        here.allow("import")
        daemon.run("pause")
        here.open()
        start, end = 4 * 29_400 + 17, 400_003
        here.select_range(start, end)
        here.generate(PROMPT)
        daemon.await_(lambda: daemon.states() == {"pending": 1})

        daemon.stop(signal.SIGKILL)
        ardour.quit()
        daemon.start()
        daemon.run("resume")
        daemon.await_(lambda: daemon.states() == {"completed": 1}, 180)
        here.await_deliveries("offered")
        (job,) = daemon.json("history")
        assert [point["bpm"] for point in job["request"]["tempo_map"]] == [90, 120]

        here.open()
        here.await_deliveries("landed")
        landed = here.saved(ours)
        (track,) = ours(landed)
        assert list(placed(track).values()) == [[(start, end - start)]] * 3
        assert landed.sample_rate_hz == 44_100
        ardour.quit()


def test_nothing_is_imported_while_recording(tmp_path, environ):
    """What is finished while one records waits for the end."""
    write_noise(tmp_path / "mine.wav", channels=1, frames=96_000, rate_hz=48_000, seed=1)
    mine = AudioFile.taken_in(tmp_path / "mine.wav", 1)
    session = Session(
        "Takes",
        48_000,
        tracks=(Track("Mine", Playlist("Mine", (Region("mine", mine.channels, 96_000, 48_000),)), 1),),
    )
    with studio(tmp_path, session, {**environ, "DGX_MUSIC__QUEUE__HOLD_WHILE_RECORDING": "true"}) as here:
        ardour, daemon = here.ardour, here.daemon
        here.allow("import")
        here.open()
        ardour.send("/strip/recenable", 1, 1)
        ardour.send("/rec_enable_toggle")
        ardour.send("/transport_play")
        with OscSender(daemon.osc) as sender:

            def told():
                sender.send("/dgx/queue")
                return sender.until("/dgx/queue")[-1]

            daemon.await_(lambda: told() == "recording")
        job = daemon.json(
            "generate", PROMPT, "--engine", "sketch", "--bars", "1", "--bpm", "120",
            "--into", here.session_folder, "--at", "480000",
        )  # fmt: skip
        assert job["status"] == "completed"
        here.await_deliveries("offered")
        here.await_another_look()
        assert (here.spool / "next").exists()
        ardour.send("/transport_stop")
        here.await_deliveries("landed")
        landed = here.saved(ours)
        assert list(placed(ours(landed)[0]).values()) == [[(480_000, 96_000)]]
        ardour.quit()


def test_audio_that_was_damaged_is_refused_and_what_vanished_is_brought_again(tmp_path, environ):
    session = Session("Damaged")
    with studio(tmp_path, session, environ) as here:
        daemon = here.daemon
        here.allow("import")

        def ask(at):
            daemon.run(
                "generate", PROMPT, "--engine", "sketch", "--bars", "1", "--bpm", "120", "--into",
                here.session_folder, "--at", at,
            )  # fmt: skip

        ask(96_000)
        here.await_deliveries("offered")
        (audio,) = (here.spool / "audio").rglob("*.wav")
        os.truncate(audio, audio.stat().st_size // 2)  # and with it the library's: it is the same file
        ask(480_000)
        here.open()
        here.await_deliveries("failed", "landed")
        assert here.deliveries()[0][1] == "damaged"
        landed = here.saved(ours)
        (track,) = ours(landed)
        assert list(placed(track).values()) == [[(480_000, 96_000)]]
        (failed,) = [one for one in daemon.json("deliveries") if one["state"] == "failed"]
        assert failed["message"]
        here.ardour.quit()

        ask(960_000)
        daemon.await_(lambda: any((here.spool / "audio").rglob("*.wav")))
        for gone in (here.spool / "audio").rglob("*.wav"):
            gone.unlink()
        here.open()
        here.await_deliveries("failed", "landed", "landed")
        landed = here.saved(lambda session: len(session.regions) == 2)
        assert sorted(region.position_samples for region in landed.regions) == [480_000, 960_000]
        here.ardour.quit()


def test_a_region_is_continued_on_its_next_sample_and_left_as_it_is(tmp_path, environ):
    """With MusicGen's own code on tiny random weights: what it makes is noise, where it lies is what counts."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    from support.musicgen_checkpoints import build

    write_noise(tmp_path / "mine.wav", channels=2, frames=480_001, rate_hz=48_000, seed=1)
    mine = AudioFile.taken_in(tmp_path / "mine.wav", 2)
    region = Region("mine", mine.channels, 480_000, 48_000, start_samples=1)
    session = Session("Go on", 48_000, tracks=(Track("Mine", Playlist("Mine", (region,)), 2),))
    own = {
        **environ,
        "DGX_MUSIC__MUSICGEN__MODEL": str(build(tmp_path / "model", "tiny", format="hub")),
        "DGX_MUSIC__MUSICGEN__DOWNLOAD": "false",
    }
    with studio(tmp_path, session, own) as here:
        ardour, daemon = here.ardour, here.daemon
        here.allow("import", "read")
        sources = list(here.session_folder.glob("interchange/*/audiofiles/*"))
        before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}
        here.open()
        here.run_on_all_regions("dgx_continue", CONTINUE)
        ardour.type(PROMPT)
        leave(ardour, CONTINUE)
        here.await_deliveries("landed")
        (job,) = daemon.json("history")
        assert job["engine"] == "musicgen"
        heard = job["request"]["continue_from"]
        assert heard["start"] + heard["length"] == 480_001
        landed = here.saved(lambda session: len(session.regions) > 1)
        (track,) = landed.tracks
        kept = [playlist for playlist in track.playlists if playlist.regions == (region,)]
        longer = [playlist for playlist in track.playlists if playlist not in kept]
        assert len(kept) == 1
        assert len(longer) == job["request"]["takes"]
        for playlist in longer:
            old, new = sorted(playlist.regions, key=lambda one: one.position_samples)
            assert (old.position_samples, old.end_samples) == (region.position_samples, region.end_samples)
            assert new.position_samples == region.end_samples
        assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources} == before
        ardour.quit()
