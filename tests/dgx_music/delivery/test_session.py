from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ardour_session import lint, read_session, write_session
from dgx_music.delivery.session import session_from_jobs, session_name, write_job_session
from dgx_music.errors import RequestError
from dgx_music.jobs import Job, JobState, JobStep, Source
from dgx_music.request import GenerationRequest
from support.takes import take


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


def job(
    library, number=0, takes=1, stems=(), frames=480_000, rate=48_000, prompt="warm: pad / keys", **facts
):
    job_id = f"gen_{number:012x}"
    made = [take(i, job_id, stems, frames=frames, sample_rate_hz=rate, **facts) for i in range(takes)]
    for one in made:
        for file in one.files:
            path = library / file.final
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.zeros((frames, 2)), rate, subtype="PCM_24")
    return Job(
        id=job_id,
        request=GenerationRequest.from_fields({"prompt": prompt, "seed": 7}),
        source=Source("cli"),
        state=JobState.COMPLETED,
        step=JobStep.COMPLETED,
        progress=1.0,
        engine="sketch",
        attempts=1,
        error_code=None,
        error_message=None,
        created_at="2026-11-22T12:00:00+00:00",
        started_at=None,
        finished_at=None,
        session_path=None,
        cancel_asked=False,
        takes=tuple(made),
    )


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
