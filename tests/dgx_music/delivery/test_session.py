from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from ardour_session import lint, read_session, write_session
from dgx_music.delivery.session import session_from_jobs, session_name, write_job_session
from dgx_music.errors import RequestError
from support.jobs import finished_job as job


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


def test_takes_are_playlists_of_one_track_and_stems_are_muted_tracks_in_a_group(library, tmp_path):
    session = session_from_jobs([job(library, takes=3, stems=("drums", "bass"))], library, "s")
    first, drums, bass = session.tracks
    assert len(first.playlists) == 3
    assert not first.muted
    assert drums.muted
    assert bass.muted
    assert {drums.group, bass.group} == {group.name for group in session.groups}
    path = write_session(session, tmp_path / "s")
    assert read_session(path) == session
    assert lint(path) == []


def test_every_region_and_track_says_which_engine_made_it(library):
    session = session_from_jobs([job(library, stems=("drums",))], library, "s")
    for track in session.tracks:
        assert track.name.startswith("[sketch]")
        assert all(region.name.startswith("[sketch]") for region in track.playlist.regions)
    assert "no neural model" in session.tracks[0].comment


def test_tempo_meter_loop_and_markers_are_the_takes(library):
    session = session_from_jobs([job(library, bpm=93.5, meter="7/8")], library, "s")
    assert float(session.tempo_map.tempos[0].bpm) == 93.5
    assert (session.tempo_map.meters[0].beats_per_bar, session.tempo_map.meters[0].note_value) == (7, 8)
    assert (session.loop.start_samples, session.loop.end_samples) == (0, 480_000)
    assert session.markers[0].position_samples == 0


def test_jobs_follow_each_other_on_bar_lines_with_their_own_tempo(library, tmp_path):
    four_bars = round(4 * 4 * 60 / 120 * 48_000)
    jobs = [
        job(library, 1, bpm=120, meter="4/4", frames=four_bars),
        job(library, 2, bpm=90, meter="3/4", frames=100_000),
        job(library, 3, bpm=90, meter="3/4", frames=100_000),
    ]
    session = session_from_jobs(jobs, library, "s")
    starts = [marker.position_samples for marker in session.markers]
    bar_of_three = 3 * 60 / 90 * 48_000
    assert starts == [0, four_bars, four_bars + 2 * bar_of_three]
    assert len(session.tempo_map.tempos) == 2
    assert [(meter.bar, meter.beats_per_bar) for meter in session.tempo_map.meters] == [(1, 4), (5, 3)]
    assert lint(write_session(session, tmp_path / "s")) == []


def test_a_tempo_that_nobody_knows_is_the_measured_one(library):
    session = session_from_jobs([job(library, bpm=None, meter=None)], library, "s")
    assert float(session.tempo_map.tempos[0].bpm) == pytest.approx(93.4)


def test_takes_of_different_rates_are_refused(library):
    with pytest.raises(RequestError, match="44100 Hz, 48000 Hz"):
        session_from_jobs([job(library, 1), job(library, 2, rate=44_100)], library, "s")


def test_jobs_without_takes_are_refused(library):
    with pytest.raises(RequestError, match="only completed jobs"):
        session_from_jobs([replace(job(library), takes=())], library, "s")


def test_the_session_beside_the_takes_is_written_once(library):
    made = job(library)
    path = write_job_session(made, library, library / ".staging")
    assert path.parent.parent == (library / made.takes[0].files[0].final).parent
    before = path.read_bytes()
    assert write_job_session(made, library, library / ".staging") == path
    assert path.read_bytes() == before


def test_what_a_crash_left_of_a_half_built_session_is_not_taken_for_one(library):
    made = job(library)
    left = library / ".staging" / session_name(made)
    (left / "interchange").mkdir(parents=True)
    (left / "half.ardour").write_text("<Session")
    day = (library / made.takes[0].files[0].final).parent
    before = set(day.iterdir())
    path = write_job_session(made, library, library / ".staging")
    assert read_session(path).tracks
    assert set(day.iterdir()) - before == {path.parent}
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted(["interchange", path.name])
    assert list((library / ".staging").iterdir()) == []


MAP = [
    {"at": 0, "bpm": 93.5, "meter": "7/8"},
    {"at": 107_807, "bpm": 93.5, "end_bpm": 140.0, "meter": "4/4"},
    {"at": 307_807, "bpm": 120.0, "meter": "3/4"},
]


def test_a_job_that_followed_a_tempo_map_brings_it_and_the_next_one_begins_on_a_bar_behind_it(
    library, tmp_path
):
    fields = {"tempo_map": MAP, "samples": 480_000}
    jobs = [job(library, 1, bpm=None, meter=None, fields=fields), job(library, 2, bpm=100, meter="4/4")]
    session = session_from_jobs(jobs, library, "s")
    timeline = jobs[0].request.timeline
    lines = timeline.bar_lines(8)
    inside = [line for line in lines if line.quarters < timeline.length_quarters]
    for number, line in enumerate(inside, start=1):
        exact = timeline.seconds_at(line.quarters) * 48_000
        assert abs(session.tempo_map.sample_at_bar(number, 48_000) - exact) <= 2
    assert session.markers[1].position_samples == session.tempo_map.sample_at_bar(len(inside) + 1, 48_000)
    assert session.markers[1].position_samples >= 480_000
    assert float(session.tempo_map.tempos[-1].bpm) == 100
    assert lint(write_session(session, tmp_path / "s")) == []


def test_a_glide_that_ends_behind_the_take_is_as_steep_in_the_session_as_it_was_played(library):
    glide = [{"at": 0, "bpm": 60.0, "end_bpm": 240.0, "meter": "4/4"}, {"at": 2_400_000, "bpm": 240.0}]
    one = job(library, 1, bpm=None, meter=None, fields={"tempo_map": glide, "samples": 480_000})
    session = session_from_jobs([one, job(library, 2, bpm=120, meter="4/4")], library, "s")
    timeline = one.request.timeline
    for quarters in range(12):
        exact = timeline.seconds_at(Fraction(quarters)) * 48_000
        assert abs(session.tempo_map.sample_at(Fraction(quarters), 48_000) - exact) <= 2
    assert session.markers[1].position_samples >= 480_000


def test_a_map_that_still_glides_at_the_end_of_the_take_ends_its_glide_on_the_bar_line(library, tmp_path):
    glide = [{"at": 0, "bpm": 100.0, "end_bpm": 120.0, "meter": "4/4"}]
    one = job(library, 1, bpm=None, meter=None, fields={"tempo_map": glide, "samples": 480_000})
    session = session_from_jobs([one, job(library, 2, bpm=120, meter="4/4")], library, "s")
    assert session.tempo_map.tempos[0].end_bpm is not None
    assert lint(write_session(session, tmp_path / "s")) == []
    assert read_session(tmp_path / "s" / "s.ardour").tempo_map == session.tempo_map
