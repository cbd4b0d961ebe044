from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ardour_session import Session, read_session, write_session
from dgx_music.delivery.tempo_file import tempo_file, tempo_of
from dgx_music.request import Meter, TempoPoint, Timeline
from support.ardour_gui import ardour_gui, needs_ardour_gui
from support.jobs import finished_job
from support.midi import read_meta_events, tempos_and_meters

MAP = [
    {"at": 0, "bpm": 93.5, "meter": "7/8"},
    {"at": 431_230, "bpm": 93.5, "end_bpm": 140.0, "meter": "4/4"},
    {"at": 631_230, "bpm": 120.0, "meter": "3/4"},
]


def test_the_file_says_tempo_and_meter_and_nothing_else():
    content = tempo_file(Timeline.constant(Fraction("93.5"), Meter(7, 8), Fraction(9)), "rain")
    file_format, division, events = read_meta_events(content)
    assert (file_format, division) == (0, 1920)
    assert [kind for _, kind, _ in events] == [0x51, 0x03, 0x58, 0x2F]
    assert tempos_and_meters(content) == ([(0, pytest.approx(93.5, abs=1e-4))], [(0, "7/8")])
    assert events[-1][0] == pytest.approx(9 * 93.5 / 60 * 1920, abs=1)


@given(
    st.floats(20, 400),
    st.integers(1, 32),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.fractions(Fraction(1, 2), Fraction(600)),
)
def test_every_tempo_and_meter_comes_back(bpm, beats, note_value, length_s):
    timeline = Timeline.constant(Fraction(bpm), Meter(beats, note_value), length_s)
    ((_, tempo),), meters = tempos_and_meters(tempo_file(timeline, "x"))
    assert tempo == pytest.approx(bpm, rel=1e-5)  # whole microseconds
    assert meters == [(0, f"{beats}/{note_value}")]


def test_a_glide_becomes_a_tempo_a_quarter_note_that_takes_just_as_long():
    points = [TempoPoint(**point) for point in MAP]
    timeline = Timeline.of_seconds(points, 48_000, Meter(4, 4), Fraction(20))
    tempos, meters = tempos_and_meters(tempo_file(timeline, "map"))
    assert [place for place, _ in meters] == [0, 14, 22]
    assert [text for _, text in meters] == ["7/8", "4/4", "3/4"]
    ends = [*(place for place, _ in tempos[1:]), float(timeline.length_quarters)]
    seconds = sum((end - place) * 60 / bpm for (place, bpm), end in zip(tempos, ends, strict=True))
    assert seconds == pytest.approx(20, abs=1e-4)
    gliding = [bpm for place, bpm in tempos if 14 <= place < 21.9]
    assert gliding == sorted(gliding)
    assert len(gliding) == 8
    assert tempos[-1][1] == pytest.approx(120)


def test_the_tempo_is_what_the_engine_played_and_else_what_was_measured(tmp_path):
    job = finished_job(tmp_path, frames=480_000)
    bpm = lambda timeline: float(timeline.bpm_at(Fraction(0)))  # noqa: E731
    assert bpm(tempo_of(job, job.takes[0])) == 93.5
    assert bpm(tempo_of(job, job.takes[0], measured=True)) == 93.4
    free = finished_job(tmp_path, frames=480_000, bpm=None, meter="3/4")
    assert bpm(tempo_of(free, free.takes[0])) == 93.4
    assert str(tempo_of(free, free.takes[0]).meters[0].meter) == "3/4"
    unknown = finished_job(tmp_path, frames=480_000, bpm=None, tempo_measured_bpm=None)
    assert tempo_of(unknown, unknown.takes[0]) is None


def test_a_take_that_followed_a_tempo_map_hands_that_back(tmp_path):
    job = finished_job(tmp_path, frames=960_000, fields={"tempo_map": MAP, "samples": 960_000})
    assert len(tempo_of(job, job.takes[0]).changes) == 3
    assert tempo_of(job, job.takes[0], measured=True).is_constant


_IMPORT = """ardour { ["type"] = "EditorAction", name = "import tempo", description = "" }
function factory () return function ()
	local files = C.StringVector ()
	files:push_back ("%s")
	Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
		ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoUse,
		Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
	Session:save_state ("imported", false, false, false, false, false)
end end
"""


@needs_ardour_gui
@pytest.mark.ardour
@pytest.mark.slow
def test_ardour_takes_the_tempo_of_the_file_over(tmp_path):
    points = [TempoPoint(**point) for point in MAP]
    timeline = Timeline.of_seconds(points, 48_000, Meter(4, 4), Fraction(20))
    (tmp_path / "map.mid").write_bytes(tempo_file(timeline, "map"))
    session_file = write_session(Session("song", 48_000), tmp_path / "song")
    with ardour_gui(tmp_path) as gui:
        gui.install_actions(_IMPORT % (tmp_path / "map.mid"))
        gui.open(session_file)
        gui.run_script(1)
        saved = session_file.with_name("imported.ardour")
        gui.await_(saved.exists, "the session is saved with the imported tempo")
        gui.await_only_window(next(iter(gui.windows())))
        assert gui.complaints() == []
    tempo_map = read_session(saved).tempo_map
    tempos, meters = tempos_and_meters((tmp_path / "map.mid").read_bytes())
    assert [float(tempo.bpm) for tempo in tempo_map.tempos] == pytest.approx(
        [bpm for _, bpm in tempos], abs=1e-4
    )
    assert [float(tempo.quarters) for tempo in tempo_map.tempos] == [round(place) for place, _ in tempos]
    assert [f"{meter.beats_per_bar}/{meter.note_value}" for meter in tempo_map.meters] == [
        text for _, text in meters
    ]
