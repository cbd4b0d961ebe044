from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from lxml import etree

from ardour_session import (
    AudioFile,
    Marker,
    Playlist,
    Session,
    SessionDocument,
    SessionError,
    TimeRange,
    Track,
    instantiate,
    lint,
    read_session,
    write_session,
    write_template,
)
from support.session_material import RATE_HZ, TAKE_SAMPLES, full_session, whole, write_noise


def test_a_template_keeps_tracks_groups_tempo_and_markers_but_no_audio(tmp_path):
    session = full_session(tmp_path / "library")
    written = write_template(replace(session, description="for <ideas> & more"), tmp_path / "Mine")
    assert written == tmp_path / "Mine" / "Mine.template"
    root = etree.parse(written).getroot()
    assert "name" not in root.attrib
    assert "sample-rate" not in root.attrib
    assert len(root.find("Sources")) == 0
    assert not list(root.iter("Region"))
    session_range = root.find("Locations/Location[@flags='IsSessionRange']")
    assert (session_range.get("start"), session_range.get("end")) == ("a0", "a0")
    assert root.findtext("description") == "for <ideas> & more"

    read = read_session(written)
    assert read.name == "Mine"
    assert (read.tempo_map, read.markers, read.groups) == (session.tempo_map, session.markers, session.groups)
    assert [(track.name, track.muted, track.group) for track in read.tracks] == [
        (track.name, track.muted, track.group) for track in session.tracks
    ]


def test_a_session_starts_from_a_template_and_gets_its_take(tmp_path):
    template = write_template(full_session(tmp_path / "library"), tmp_path / "Mine")
    write_noise(tmp_path / "new.wav", seed=5)
    document = instantiate(template, "Evening", RATE_HZ)
    take = whole(AudioFile.taken_in(tmp_path / "new.wav"), "new take", 4000)
    document.append([Track("new", Playlist("new take", (take,)))], markers=[Marker("here", 4000)])
    written = document.save_new(tmp_path / "Evening")

    assert written == tmp_path / "Evening" / "Evening.ardour"
    session = read_session(written)
    assert (session.name, session.sample_rate_hz, session.description) == ("Evening", RATE_HZ, "")
    assert session.session_range == TimeRange(4000, 4000 + TAKE_SAMPLES)
    assert session.tracks[-1].playlist.regions == (take,)
    assert lint(written) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Evening", "Mine", "library", "new.wav"]


def test_positions_in_a_template_keep_their_time_at_another_rate(tmp_path):
    template = write_template(full_session(tmp_path / "library"), tmp_path / "Mine")
    assert instantiate(template, "x", 96_000).session.markers[1].position_samples == 96_000


def test_a_template_with_audio_left_outside_refers_to_it(tmp_path):
    write_noise(tmp_path / "loop.wav")
    file = AudioFile.left_outside(tmp_path / "loop.wav")
    session = Session("s", RATE_HZ, tracks=(Track("t", Playlist("p", (whole(file, "r"),))),))
    template = write_template(session, tmp_path / "Loop", keep_audio=True)
    written = instantiate(template, "x", RATE_HZ).save_new(tmp_path / "x")
    assert read_session(written).regions == session.regions
    assert lint(written) == []


def test_a_template_with_audio_taken_in_carries_it_along(tmp_path):
    session = full_session(tmp_path / "library")
    template = write_template(session, tmp_path / "Mine", keep_audio=True)
    shutil.rmtree(tmp_path / "library")
    written = instantiate(template, "x", RATE_HZ).save_new(tmp_path / "x")
    assert lint(written) == []
    assert len(read_session(written).regions) == len(session.regions)


def test_a_template_with_audio_makes_no_session_of_another_rate_or_without_its_audio(tmp_path):
    template = write_template(full_session(tmp_path / "library"), tmp_path / "Mine", keep_audio=True)
    with pytest.raises(SessionError, match="48000 Hz, the session 96000 Hz"):
        instantiate(template, "x", 96_000)
    (tmp_path / "Mine" / "audiofiles" / "take1.wav").unlink()
    with pytest.raises(SessionError, match="not there"):
        instantiate(template, "x", RATE_HZ)


def test_a_session_that_plays_from_its_own_folder_is_no_template(tmp_path):
    written = write_session(full_session(tmp_path / "library"), tmp_path / "s")
    with pytest.raises(SessionError, match="absolute paths"):
        instantiate(written, "x", RATE_HZ)


def test_templates_are_not_written_over_anything_nor_under_names_that_ardour_refuses(tmp_path):
    (tmp_path / "Mine").mkdir()
    with pytest.raises(FileExistsError):
        write_template(Session("s"), tmp_path / "Mine")
    with pytest.raises(SessionError, match="contains :"):
        write_template(Session("s"), tmp_path / "a:b")
    with pytest.raises(SessionError, match="contains /"):
        instantiate(write_template(Session("s"), tmp_path / "T"), "a/b", RATE_HZ)


def test_a_template_that_was_not_instantiated_takes_no_tracks(tmp_path):
    document = SessionDocument.open(write_template(Session("s"), tmp_path / "T"))
    with pytest.raises(SessionError, match="instantiate"):
        document.append([Track("t", Playlist("p"))])
    with pytest.raises(SessionError, match="instantiate"):
        document.save_new(tmp_path / "x")
    with pytest.raises(SessionError, match="only a session has snapshots"):
        document.save_snapshot("x")
