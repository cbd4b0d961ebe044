from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from ardour_session import (
    AudioFile,
    FileFormat,
    Marker,
    OtherRoute,
    Playlist,
    RangeMarker,
    RouteGroup,
    Session,
    SessionDocument,
    SessionError,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
    lint,
    read_session,
    write_session,
)
from support.session_material import RATE_HZ, TAKE_SAMPLES, full_session, whole, write_noise

SAVED_BY_ARDOUR = Path(__file__).parent / "data" / "saved-by-ardour-7.3.ardour"


@pytest.fixture
def users_session(tmp_path):
    """A session as Ardour saved it, with its audio, as the user has it on disk."""
    written = write_session(full_session(tmp_path / "library"), tmp_path / "full")
    shutil.copy(SAVED_BY_ARDOUR, written)
    return written


@pytest.fixture
def new_track(tmp_path):
    path = tmp_path / "generated.wav"
    write_noise(path, seed=9)
    take = Playlist("gen 1", (whole(AudioFile.taken_in(path), "gen 1", 96_000),))
    other = Playlist("gen 2", (whole(AudioFile.taken_in(path), "gen 2", 96_000),))
    return Track("generated", take, other_playlists=(other,), colour_rgba=0x123456FF, group="stems")


@pytest.mark.parametrize("file_format", FileFormat)
def test_what_is_read_and_written_again_has_the_same_canonical_xml(tmp_path, file_format):
    session = replace(
        full_session(tmp_path / "library"), tempo_map=TempoMap((TempoChange(93), TempoChange(100, 8)))
    )
    opened = SessionDocument.open(write_session(session, tmp_path / "out", file_format=file_format))
    saved = SessionDocument.open(opened.save_snapshot("again"))
    assert saved.canonical_xml() == opened.canonical_xml()


def test_a_session_of_ardour_loses_nothing(users_session):
    before = users_session.read_bytes()
    saved = SessionDocument.open(users_session).save_snapshot("again")
    assert etree.tostring(etree.parse(saved), method="c14n") == etree.tostring(
        etree.parse(users_session), method="c14n"
    )
    assert users_session.read_bytes() == before


def test_added_tracks_are_all_that_changes(users_session, new_track):
    before = users_session.read_bytes()
    document = SessionDocument.open(users_session)
    present = document.session
    document.append(
        [new_track],
        groups=[RouteGroup("made")],
        markers=[Marker("Here", 5)],
        ranges=[RangeMarker("There", 5, 9)],
    )
    saved = document.save_snapshot("with generated")

    assert users_session.read_bytes() == before
    assert lint(saved) == []
    end = 96_000 + TAKE_SAMPLES
    assert read_session(saved) == replace(
        present,
        tracks=(*present.tracks, new_track),
        groups=(*present.groups, RouteGroup("made")),
        markers=(*present.markers, Marker("Here", 5)),
        ranges=(*present.ranges, RangeMarker("There", 5, 9)),
        session_range=TimeRange(0, end),
    )
    inside = saved.parent / "interchange/full/audiofiles/generated.wav"
    assert inside.is_file()
    _remove_additions(root := etree.parse(saved).getroot(), present)
    assert (
        etree.tostring(root, method="c14n").split()
        == etree.tostring(etree.parse(users_session), method="c14n").split()
    )


def _remove_additions(root, present):
    """Undo an append by hand: what is left must be the user's file."""
    root.set("id-counter", etree.parse(SAVED_BY_ARDOUR).getroot().get("id-counter"))
    counter = int(root.get("id-counter"))
    for element in list(root.iter("Source", "Playlist", "Route", "RouteGroup", "Location")):
        if int(element.get("id")) >= counter:
            element.getparent().remove(element)
    for group in root.iterfind("RouteGroups/RouteGroup"):
        group.set("routes", " ".join(i for i in group.get("routes").split() if int(i) < counter) + " ")
    session_range = root.find("Locations/Location[@flags='IsSessionRange']")
    session_range.set("end", f"a{present.session_range.end_samples * 5880}")


def test_added_ids_start_above_the_counter_and_move_it(users_session, new_track):
    root = etree.parse(users_session).getroot()
    root.set("id-counter", "1000000")
    users_session.write_bytes(etree.tostring(root))
    document = SessionDocument.open(users_session)
    document.append([new_track])
    saved = etree.parse(document.save_snapshot("b")).getroot()
    route = saved.find("Routes/Route[@name='generated']")
    assert int(route.get("id")) >= 1_000_000
    ids = [int(element.get("id")) for element in saved.iter("*") if element.get("id")]
    assert int(saved.get("id-counter")) == max(ids) + 1
    assert len(ids) == len(set(ids))


def test_added_tracks_come_last_and_play_into_the_master_bus_by_its_own_name(users_session, new_track):
    text = users_session.read_text().replace('"Master/audio_in', '"Summe/audio_in')
    users_session.write_text(text)
    document = SessionDocument.open(users_session)
    document.append([new_track])
    root = etree.parse(document.save_snapshot("b")).getroot()
    route = root.find("Routes/Route[@name='generated']")
    orders = [int(info.get("order")) for info in root.iterfind("Routes/Route/PresentationInfo")]
    assert int(route.find("PresentationInfo").get("order")) == max(orders)
    outputs = route.findall("IO[@direction='Output']/Port/Connection")
    assert [output.get("other") for output in outputs] == ["Summe/audio_in 1", "Summe/audio_in 2"]


def test_a_range_that_the_user_fixed_stays(users_session, new_track):
    users_session.write_text(
        users_session.read_text().replace('session-range-is-free="1"', 'session-range-is-free="0"')
    )
    document = SessionDocument.open(users_session)
    document.append([new_track])
    assert document.session.session_range == TimeRange(0, 144_000)


def test_audio_that_the_session_has_is_used_again(users_session):
    document = SessionDocument.open(users_session)
    file = next(file for file in document.session.audio_files if file.name == "take2.wav")
    document.append([Track("again", Playlist("again", (whole(file, "again", 10),)))])
    saved = document.save_snapshot("b")
    assert len(etree.parse(saved).findall("Sources/Source")) == 9
    assert lint(saved) == []


def test_channels_that_the_session_does_not_have_of_a_file_are_refused(users_session):
    track = Track("again", Playlist("again", (whole(AudioFile("bass.wav", 2), "again", 10),)))
    with pytest.raises(SessionError, match="other channels"):
        SessionDocument.open(users_session).append([track])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda track: replace(track, name="drums"), "track or bus 'drums' is there already"),
        (lambda track: replace(track, name="Master"), "keeps it for itself"),
        (lambda track: replace(track, playlist=Playlist("take 2")), "playlist 'take 2' is there already"),
        (lambda track: replace(track, group="nobody"), "group 'nobody'"),
    ],
)
def test_names_that_are_taken_are_refused_and_nothing_changes(users_session, new_track, change, reason):
    document = SessionDocument.open(users_session)
    before = document.canonical_xml()
    with pytest.raises(SessionError, match=reason):
        document.append([change(new_track)])
    assert document.canonical_xml() == before
    document.save_snapshot("b")
    assert not list(users_session.parent.rglob("generated.wav"))


def test_new_audio_under_a_name_that_the_session_has_is_refused(users_session, tmp_path):
    write_noise(tmp_path / "take2.wav", seed=11)
    track = Track("x", Playlist("x", (whole(AudioFile.taken_in(tmp_path / "take2.wav"), "x"),)))
    with pytest.raises(SessionError, match=r"audio file 'take2\.wav' is there already"):
        SessionDocument.open(users_session).append([track])


def test_a_snapshot_never_replaces_a_file(users_session, new_track):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    with pytest.raises(FileExistsError):
        document.save_snapshot("full")
    assert not list(users_session.parent.rglob("generated.wav"))
    with pytest.raises(SessionError, match="contains /"):
        document.save_snapshot("../elsewhere")


def test_a_snapshot_that_fails_can_be_tried_again_and_a_second_one_shares_its_audio(users_session, new_track):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    blocked = users_session.parent / "interchange/full/audiofiles/generated.wav"
    blocked.write_text("mine")
    with pytest.raises(FileExistsError):
        document.save_snapshot("first")
    assert blocked.read_text() == "mine"
    assert not (users_session.parent / "first.ardour").exists()
    blocked.unlink()
    first = document.save_snapshot("first")
    second = document.save_snapshot("second")
    assert lint(first) == lint(second) == []


def test_tracks_are_added_to_a_session_of_ardour_6_in_its_own_notation(tmp_path, new_track):
    session = replace(full_session(tmp_path / "library"), tempo_map=TempoMap.constant(93))
    document = SessionDocument.open(write_session(session, tmp_path / "out", file_format=FileFormat.ARDOUR_6))
    document.append([new_track])
    saved = document.save_snapshot("b")
    region = etree.parse(saved).find("Playlists/Playlist[@name='gen 1']/Region")
    assert (region.get("position"), region.get("length")) == ("96000", "72000")
    assert read_session(saved).tracks[-1] == new_track


def test_a_session_with_another_clock_is_left_alone(users_session, new_track):
    text = users_session.read_text().replace(
        'superclocks-per-second="282240000"', 'superclocks-per-second="508032000"'
    )
    users_session.write_text(text)
    with pytest.raises(SessionError, match="another unit"):
        SessionDocument.open(users_session).append([new_track])


def test_buses_are_kept_and_listed(users_session):
    assert SessionDocument.open(users_session).other_routes == (OtherRoute("Master", "MasterOut"),)


def test_a_session_is_saved_as_a_snapshot_only_and_may_be_empty_before(tmp_path):
    document = SessionDocument.open(write_session(Session("s", RATE_HZ), tmp_path / "s"))
    with pytest.raises(SessionError, match="saved as a snapshot"):
        document.save_new(tmp_path / "t")
    document.append([Track("first", Playlist("first"))])
    assert [track.name for track in document.session.tracks] == ["first"]
