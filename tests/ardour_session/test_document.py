from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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
    in_place,
    instantiate,
    lint,
    read_session,
    write_session,
    write_template,
)
from ardour_session.writer import session_root
from support.session_material import RATE_HZ, TAKE_SAMPLES, full_session, whole, write_noise
from support.session_strategies import sessions

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


def _stripped_of(saved, before):
    """What is left of a session when everything that an append may add or move is taken out again."""
    known = {element.get("id") for element in before.iter("*")} - {None}
    root = etree.parse(saved).getroot()
    for element in list(root.iter("Source", "Playlist", "Route", "RouteGroup", "Location")):
        if element.get("id") not in known:
            element.getparent().remove(element)
    for group in root.iterfind("RouteGroups/RouteGroup"):
        old = before.find(f"RouteGroups/RouteGroup[@id='{group.get('id')}']")
        assert group.get("routes").split()[: len(old.get("routes").split())] == old.get("routes").split()
        group.set("routes", old.get("routes"))
    for location in root.iterfind("Locations/Location"):
        old = before.find(f"Locations/Location[@id='{location.get('id')}']")
        if "IsSessionRange" in location.get("flags"):
            location.attrib.update({edge: old.get(edge) for edge in ("start", "end")})
    if "id-counter" in before.attrib:
        root.set("id-counter", before.get("id-counter"))
    for holder in list(root):
        if not len(holder) and before.find(holder.tag) is None:
            root.remove(holder)
    return _canonical(root)


def _canonical(root):
    """The XML without the white space between elements."""
    root = deepcopy(root)
    for element in root.iter("*"):
        for part in ("text", "tail"):
            if not (getattr(element, part) or "").strip():
                setattr(element, part, None)
    return etree.tostring(root, method="c14n")


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(session=sessions(), name=st.text("ab ", min_size=1, max_size=3).filter(str.strip))
def test_whatever_a_session_holds_an_append_keeps_it_and_every_id_stays_unique(session, name, tmp_path):
    folder = tmp_path / secrets.token_hex(8)
    (folder / "interchange" / "x" / "audiofiles").mkdir(parents=True)
    path = folder / "x.ardour"
    path.write_bytes(etree.tostring(session_root(session, FileFormat.ARDOUR_7)))
    before = etree.parse(path).getroot()
    document = SessionDocument.open(path)
    file = tmp_path / f"{session.sample_rate_hz}.wav"
    if not file.exists():
        write_noise(file, frames=100, rate_hz=session.sample_rate_hz)
    track = Track(
        f"{name.strip()} new", Playlist(f"{name} new", (whole(AudioFile.taken_in(file), "new", 7, 100),))
    )
    document.append([track], markers=[Marker("new", 7)], loop=TimeRange(7, 107))
    document.save_in_place("kept")
    after = read_session(path)
    assert after.tracks == (*session.tracks, track)
    assert after.loop == (session.loop or TimeRange(7, 107))
    assert _stripped_of(path, before) == _canonical(before)
    ids = [element.get("id") for element in etree.parse(path).iter("*") if element.get("id")]
    assert len(ids) == len(set(ids))


def test_saved_in_its_place_the_session_as_it_was_is_kept_under_no_name_of_a_snapshot(
    users_session, new_track
):
    before, mode = users_session.read_bytes(), 0o640
    users_session.chmod(mode)
    document = SessionDocument.open(users_session)
    document.append([new_track])
    kept = document.save_in_place("before-us")
    assert kept.name == "full.ardour.before-us"
    assert kept.read_bytes() == before
    assert list(users_session.parent.glob("*.ardour")) == [users_session]  # what Ardour lists as snapshots
    assert users_session.stat().st_mode & 0o777 == mode
    assert read_session(users_session).tracks[-1] == new_track
    assert lint(users_session) == []
    document.append([Track("more", Playlist("more"))])
    assert document.save_in_place("before-us").name == "full.ardour.before-us-2"
    assert kept.read_bytes() == before


def test_a_session_that_was_saved_meanwhile_is_left_alone(users_session, new_track):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    users_session.write_bytes(changed := users_session.read_bytes().replace(b"Gr", b"GR"))
    present = sorted(users_session.parent.rglob("*"))
    with pytest.raises(SessionError, match="saved by somebody else"):
        document.save_in_place("before-us")
    assert users_session.read_bytes() == changed
    assert sorted(users_session.parent.rglob("*")) == present


@pytest.mark.parametrize("failing", ["write_file", "_keep", "digest_of"])
def test_where_saving_in_place_fails_nothing_has_happened(users_session, new_track, monkeypatch, failing):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    before, present = users_session.read_bytes(), sorted(users_session.parent.rglob("*"))
    content = {path: path.read_bytes() for path in present if path.is_file()}

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(in_place, failing, full)
        with pytest.raises(OSError, match="No space"):
            document.save_in_place("before-us")
    assert users_session.read_bytes() == before
    assert sorted(users_session.parent.rglob("*")) == present
    assert {path: path.read_bytes() for path in present if path.is_file()} == content
    document.save_in_place("before-us")
    assert read_session(users_session).tracks[-1] == new_track


def test_audio_that_is_there_already_under_the_name_of_new_audio_stops_a_save_in_place(
    users_session, new_track
):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    mine = users_session.parent / "interchange/full/audiofiles/generated.wav"
    mine.write_text("mine")
    before = users_session.read_bytes()
    with pytest.raises(FileExistsError):
        document.save_in_place("before-us")
    assert (mine.read_text(), users_session.read_bytes()) == ("mine", before)


def test_a_write_protected_session_is_left_alone(users_session, new_track):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    users_session.chmod(0o444)
    before, present = users_session.read_bytes(), sorted(users_session.parent.rglob("*"))
    with pytest.raises(SessionError, match="write-protected"):
        document.save_in_place("before-us")
    assert (users_session.read_bytes(), sorted(users_session.parent.rglob("*"))) == (before, present)


def test_a_link_to_a_session_stays_a_link(users_session, new_track, tmp_path):
    link = tmp_path / "link.ardour"
    link.symlink_to(users_session)
    document = SessionDocument.open(link)
    document.append([new_track])
    kept = document.save_in_place("before-us")
    assert kept.parent == users_session.parent
    assert link.is_symlink()
    assert read_session(users_session).tracks[-1] == new_track


def test_a_template_or_a_new_document_is_not_saved_in_place(tmp_path):
    template = write_template(Session("t", RATE_HZ), tmp_path / "t")
    with pytest.raises(SessionError, match="only a session that was opened"):
        instantiate(template, "new", RATE_HZ).save_in_place("kept")


def test_a_session_that_never_had_a_region_gets_its_session_range(tmp_path, new_track):
    path = write_session(Session("s", RATE_HZ, groups=(RouteGroup("stems"),)), tmp_path / "s")
    root = etree.parse(path)
    locations = root.find("Locations")
    for location in list(locations):
        locations.remove(location)  # as Ardour saves a session into which nothing was ever put
    path.write_bytes(etree.tostring(root))
    document = SessionDocument.open(path)
    document.append([new_track])
    assert document.session.session_range == TimeRange(96_000, 96_000 + TAKE_SAMPLES)


def test_a_loop_range_of_the_users_stays_and_one_is_set_where_there_is_none(users_session, new_track):
    document = SessionDocument.open(users_session)
    loop = document.session.loop
    document.append([new_track], loop=TimeRange(1, 2))
    assert document.session.loop == loop
    text = users_session.read_text()
    start = text.index("IsAutoLoop")
    line = text.rindex("<Location", 0, start), text.index("/>", start) + 2
    users_session.write_text(text[: line[0]] + text[line[1] :])
    document = SessionDocument.open(users_session)
    document.append([new_track], loop=TimeRange(1, 2))
    assert document.session.loop == TimeRange(1, 2)


def test_without_a_master_bus_tracks_play_to_the_sound_card(users_session, new_track):
    root = etree.parse(users_session)
    master = root.find("Routes/Route[@name='Master']")
    master.getparent().remove(master)
    users_session.write_bytes(etree.tostring(root))
    document = SessionDocument.open(users_session)
    document.append([new_track])
    saved = etree.parse(document.save_snapshot("b"))
    outputs = saved.findall("Routes/Route[@name='generated']/IO[@direction='Output']/Port/Connection")
    assert [output.get("other") for output in outputs] == ["system:playback_1", "system:playback_2"]


def test_the_end_of_a_session_is_that_of_its_last_region_midi_included(users_session):
    document = SessionDocument.open(users_session)
    assert document.end_samples == max(region.end_samples for region in document.session.regions)
    text = users_session.read_text().replace(
        "<Playlists>",
        '<Playlists><Playlist id="90001" name="m" type="midi"><Region name="m" type="midi" id="90002"'
        f' length="a5880@a{5880 * 9_000_000}"/></Playlist>',
    )
    users_session.write_text(text)
    document = SessionDocument.open(users_session)
    assert document.end_samples == 9_000_001
    assert "m" in document.playlist_names


def test_a_session_made_of_a_template_takes_a_tempo_and_its_markers_keep_their_bars(tmp_path):
    session = Session(
        "t",
        RATE_HZ,
        TempoMap.constant(120),
        markers=(Marker("Verse", 8 * 24_000),),
        ranges=(RangeMarker("Chorus", 16 * 24_000, 32 * 24_000),),
    )
    document = instantiate(write_template(session, tmp_path / "t"), "new", RATE_HZ)
    document.set_tempo_map(tempo_map := TempoMap.constant(60, 3, 4))
    document.save_new(tmp_path / "new")
    made = read_session(tmp_path / "new/new.ardour")
    assert made.tempo_map == tempo_map
    assert made.markers == (Marker("Verse", 8 * 48_000),)
    assert made.ranges == (RangeMarker("Chorus", 16 * 48_000, 32 * 48_000),)
    assert lint(tmp_path / "new/new.ardour") == []


def test_a_tempo_map_on_which_more_depends_is_not_exchanged(users_session, tmp_path):
    changing = TempoMap((TempoChange(93), TempoChange(100, 8)))
    template = write_template(Session("t", RATE_HZ, changing), tmp_path / "t")
    for document in (instantiate(template, "new", RATE_HZ), SessionDocument.open(users_session)):
        before = document.canonical_xml()
        with pytest.raises(SessionError, match="not ours to change"):
            document.set_tempo_map(TempoMap.constant(60))
        assert document.canonical_xml() == before


def test_the_files_in_which_plugins_keep_their_state_come_along_from_a_template(tmp_path):
    template = write_template(Session("t", RATE_HZ), tmp_path / "t")
    state = template.parent / "plugins" / "4711" / "state1"
    state.mkdir(parents=True)
    (state / "state.ttl").write_text("<reverb>")
    instantiate(template, "new", RATE_HZ).save_new(tmp_path / "new")
    assert (tmp_path / "new/plugins/4711/state1/state.ttl").read_text() == "<reverb>"


_ADD = """
import sys
from pathlib import Path
from ardour_session import Playlist, SessionDocument, SessionError, Track
path, name = Path(sys.argv[1]), sys.argv[2]
sys.stdin.read()
while True:
    document = SessionDocument.open(path)
    document.append([Track(name, Playlist(name))])
    try:
        document.save_in_place("before-us")
    except SessionError:
        continue
    break
"""


def test_two_who_add_at_once_lose_nothing_of_each_other(tmp_path):
    path = write_session(Session("s", RATE_HZ), tmp_path / "s")
    names = [f"track {number}" for number in range(4)]
    added = [
        subprocess.Popen([sys.executable, "-c", _ADD, path, name], stdin=subprocess.PIPE) for name in names
    ]
    for one in added:
        one.stdin.close()
    assert [one.wait(60) for one in added] == [0] * len(names)
    assert sorted(track.name for track in read_session(path).tracks) == names
    assert len(list(path.parent.glob("s.ardour.before-us*"))) == len(names)


def test_audio_that_is_cut_off_while_it_is_copied_never_bears_its_name(users_session, new_track, monkeypatch):
    document = SessionDocument.open(users_session)
    document.append([new_track])
    present = sorted(users_session.parent.rglob("*"))

    def full(source, copy, _size):
        copy.write(source.read(100))
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space"):
            document.save_in_place("before-us")
    assert sorted(users_session.parent.rglob("*")) == present
