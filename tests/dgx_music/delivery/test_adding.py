from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ardour_session import (
    AudioFile,
    FileFormat,
    MeterChange,
    Playlist,
    Session,
    SessionDocument,
    SessionError,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
    audio_folder,
    instantiate,
    lint,
    read_session,
    write_session,
    write_template,
)
from dgx_music.delivery.adding import add_jobs, take_over_tempo
from dgx_music.delivery.labels import track_name
from dgx_music.delivery.position import Place
from dgx_music.errors import RequestError
from support.ardour import ArdourTools, needs_ardour
from support.jobs import finished_job
from support.session_material import RATE_HZ, full_session, whole, write_noise

FOUR_BARS = 4 * 96_000


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library"


@pytest.fixture
def users(tmp_path):
    """A session of the user's: 120 bpm, 4/4 and from bar 9 on 3/4, one track with a region up to bar 4."""
    write_noise(tmp_path / "mine.wav", frames=3 * 96_000 - 1000)
    mine = Playlist(
        "mine", (whole(AudioFile.taken_in(tmp_path / "mine.wav"), "mine", 1000, 3 * 96_000 - 1000),)
    )
    session = Session(
        "song",
        RATE_HZ,
        TempoMap((TempoChange(120),), (MeterChange(4, 4), MeterChange(3, 4, bar=9))),
        (Track("mine", mine),),
    )
    return write_session(session, tmp_path / "song")


def add(path, jobs, library, at=None):
    document = SessionDocument.open(path)
    added = add_jobs(document, jobs, library, at, audio=audio_folder(path.parent))
    document.save_in_place("before")
    return added


def test_takes_begin_on_the_bar_after_the_last_region_and_each_job_on_the_bar_after_the_one_before(
    users, library
):
    jobs = [
        finished_job(library, 1, takes=2, stems=("drums",), frames=FOUR_BARS, bpm=120),
        finished_job(library, 2, frames=10, bpm=120),
        finished_job(library, 3, frames=10, bpm=120),
    ]
    added = add(users, jobs, library)
    starts = [made.start_samples for made in added.jobs]
    assert starts == [3 * 96_000, 7 * 96_000, 8 * 96_000]
    assert added.remarks == ()
    session = read_session(users)
    assert [marker.position_samples for marker in session.markers] == starts
    assert session.loop == TimeRange(3 * 96_000, 7 * 96_000)
    assert session.session_range.end_samples == 8 * 96_000 + 10
    assert {
        region.position_samples
        for track in session.tracks[1:]
        for p in track.playlists
        for region in p.regions
    } == set(starts)
    assert lint(users) == []


@pytest.mark.parametrize(
    ("at", "sample"),
    [(Place(bar=3), 192_000), (Place(bar=9, beat=3), 8 * 96_000 + 48_000), (Place(samples=12_345), 12_345)],
)
def test_takes_begin_where_the_user_says(users, library, at, sample):
    assert add(users, [finished_job(library, frames=10)], library, at).jobs[0].start_samples == sample


def test_a_bar_that_is_not_there_is_refused(users, library):
    with pytest.raises(SessionError, match="beats 1 to 3"):
        add(users, [finished_job(library, frames=10)], library, Place(bar=9, beat=4))


def test_takes_at_another_rate_are_refused_with_the_remedy_and_nothing_is_touched(users, library):
    before = users.read_bytes()
    with pytest.raises(RequestError, match=r"44100 Hz, the session 48000 Hz.*--sample-rate 48000 --seed 7"):
        add(users, [finished_job(library, rate=44_100, frames=10)], library)
    assert users.read_bytes() == before


def test_a_take_in_another_tempo_is_added_and_said_to_drift(users, library):
    job = finished_job(library, frames=10, bpm=93.5)
    assert "plays at 93.5 BPM, the session there at 120" in add(users, [job], library).remarks[0]


def test_the_same_job_twice_shares_its_audio_and_has_names_of_its_own(users, library):
    job = finished_job(library, takes=2, stems=("drums",), frames=FOUR_BARS)
    add(users, [job], library)
    add(users, [job], library)
    session = read_session(users)
    assert [track.name for track in session.tracks] == [
        "mine",
        track_name(job),
        "[sketch] drums",
        f"{track_name(job)} 2",
        "[sketch] drums 2",
    ]
    assert len(list(audio_folder(users.parent).glob("gen_*.wav"))) == 3
    assert lint(users) == []


def test_audio_that_another_snapshot_has_left_keeps_its_name_and_the_new_one_gets_a_number(users, library):
    job = finished_job(library, frames=10)
    audio_folder(users.parent).joinpath(f"{job.id}_t1.wav").write_text("of a snapshot")
    add(users, [job], library)
    assert audio_folder(users.parent).joinpath(f"{job.id}_t1.wav").read_text() == "of a snapshot"
    assert audio_folder(users.parent).joinpath(f"{job.id}_t1-2.wav").is_file()
    assert lint(users) == []


def test_the_library_and_the_session_share_no_audio(users, library):
    job = finished_job(library, frames=10)
    add(users, [job], library)
    copied = audio_folder(users.parent) / f"{job.id}_t1.wav"
    assert not copied.samefile(library / job.takes[0].files[0].final)


def test_a_session_of_ardour_6_takes_them_too(users, library, tmp_path):
    path = write_session(Session("old", RATE_HZ), tmp_path / "old", file_format=FileFormat.ARDOUR_6)
    add(path, [finished_job(library, frames=10)], library, Place(bar=2))
    assert read_session(path).tracks[0].playlist.regions[0].position_samples == 96_000


@pytest.fixture
def templates(tmp_path):
    (tmp_path / "templates").mkdir()
    return tmp_path / "templates"


def test_a_template_gets_the_jobs_tempo_and_keeps_its_tracks(templates, library, tmp_path):
    made_of = write_template(Session("t", tracks=(Track("Voice", Playlist("Voice")),)), templates / "t")
    job = finished_job(library, frames=FOUR_BARS, bpm=93.5, meter="7/8")
    document = instantiate(made_of, "new", RATE_HZ)
    assert take_over_tempo(document, [job])
    add_jobs(document, [job], library, audio=audio_folder(tmp_path / "new"))
    session = read_session(document.save_new(tmp_path / "new"))
    assert [track.name for track in session.tracks] == ["Voice", track_name(job)]
    assert session.tempo_map == TempoMap.constant(93.5, 7, 8)
    assert session.loop == session.session_range == TimeRange(0, FOUR_BARS)
    assert lint(tmp_path / "new" / "new.ardour") == []


def test_a_template_with_a_tempo_map_of_its_own_keeps_it(templates, library):
    changing = TempoMap((TempoChange(100), TempoChange(120, 8)))
    document = instantiate(write_template(Session("t", tempo_map=changing), templates / "t"), "new", RATE_HZ)
    assert not take_over_tempo(document, [finished_job(library, frames=10, bpm=93.5)])
    assert document.session.tempo_map == changing


def test_a_job_that_knows_no_tempo_leaves_a_templates_alone(templates, library):
    document = instantiate(write_template(Session("t"), templates / "t"), "new", RATE_HZ)
    assert not take_over_tempo(document, [finished_job(library, frames=10, bpm=None)])


@needs_ardour
@pytest.mark.ardour
def test_what_was_added_to_a_session_of_ardours_loads_there_and_plays_bit_for_bit(library, tmp_path):
    saved = Path(__file__).parents[2] / "ardour_session" / "data" / "saved-by-ardour-7.3.ardour"
    path = write_session(full_session(tmp_path / "material"), tmp_path / "full")
    shutil.copy(saved, path)
    job = finished_job(library, takes=2, stems=("drums",), frames=48_000)
    noise = np.random.default_rng(1).uniform(-0.2, 0.2, (48_000, 2)).astype("float32")
    soundfile.write(library / job.takes[0].files[0].final, noise, RATE_HZ, subtype="FLOAT")
    end = SessionDocument.open(path).end_samples
    added = add(path, [job], library)
    start = added.jobs[0].start_samples
    assert start >= end
    ardour = ArdourTools(tmp_path / "ardour-home")
    found = ardour.inventory(path)
    assert found.missing_sources == []
    takes, drums = found.tracks[track_name(job)], found.tracks["[sketch] drums"]
    assert (takes.connected, takes.muted, drums.muted) == (True, False, True)
    assert [region.position_samples for p in takes.playlists for region in p.regions] == [start, start]
    assert found.session_range == (0, start + 48_000)
    assert set(found.tracks) > {"take", "drums", "bass"}
    out = ardour.export(path, tmp_path / "out.wav", frames=start + 48_000)
    played, _ = soundfile.read(out, dtype="float32", start=start)
    np.testing.assert_array_equal(played, noise)
