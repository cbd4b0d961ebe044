from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from ardour_session import (
    AudioFile,
    FileFormat,
    Playlist,
    Region,
    RouteGroup,
    Session,
    SessionError,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
    write_session,
)
from ardour_session.xml_file import write_file
from support.session_material import RATE_HZ, TAKE_SAMPLES, full_session, whole, write_noise


def _one_take(path, name="s", **changes):
    file = AudioFile.taken_in(path)
    session = Session(name, RATE_HZ, tracks=(Track("take", Playlist("take 1", (whole(file, "take 1"),))),))
    return replace(session, **changes)


@pytest.fixture
def take(tmp_path):
    path = tmp_path / "take.wav"
    write_noise(path)
    return path


def test_the_folder_is_laid_out_as_ardour_does(take, tmp_path):
    written = write_session(_one_take(take, "größe & <co>"), tmp_path / "out")
    assert written == tmp_path / "out" / "größe & <co>.ardour"
    files = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert files == ["größe & <co>.ardour", "interchange/out/audiofiles/take.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "take.wav"]


def test_audio_is_linked_and_survives_the_deletion_of_its_origin(take, tmp_path):
    content = take.read_bytes()
    write_session(_one_take(take), tmp_path / "out")
    inside = tmp_path / "out/interchange/out/audiofiles/take.wav"
    assert inside.samefile(take)
    take.unlink()
    assert inside.read_bytes() == content


def test_audio_is_copied_where_links_are_not_wanted(take, tmp_path):
    write_session(_one_take(take), tmp_path / "out", hard_link=False)
    inside = tmp_path / "out/interchange/out/audiofiles/take.wav"
    assert not inside.samefile(take)
    assert inside.read_bytes() == take.read_bytes()


def test_audio_is_copied_where_links_are_not_possible(take, tmp_path):
    shared_memory = Path("/dev/shm")
    if not os.access(shared_memory, os.W_OK) or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system to write to")
    with tempfile.TemporaryDirectory(dir=shared_memory) as other_disk:
        written = write_session(_one_take(take), Path(other_disk) / "out")
        inside = written.parent / "interchange/out/audiofiles/take.wav"
        assert inside.read_bytes() == take.read_bytes()


def test_audio_left_outside_is_named_by_its_absolute_path(take, tmp_path):
    file = AudioFile.left_outside(take)
    session = _one_take(take, tracks=(Track("t", Playlist("p", (whole(file, "r"),))),))
    written = write_session(session, tmp_path / "out")
    assert {source.get("name") for source in etree.parse(written).iterfind("Sources/Source")} == {str(take)}
    assert not list((tmp_path / "out").rglob("*.wav"))


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "dangling link"])
def test_whatever_exists_already_is_refused_and_stays(take, tmp_path, kind):
    target = tmp_path / "out"
    if kind == "file":
        target.write_text("mine")
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.mkdir()
        if kind == "folder":
            (target / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        write_session(_one_take(take), target)
    assert not list(tmp_path.glob("**/*.ardour"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "take.wav"]


def test_a_write_that_fails_half_way_leaves_nothing(take, tmp_path):
    # The first file is taken in, the second cannot be: the folder's name makes its path too long for the system.
    second = tmp_path / "second.wav"
    write_noise(second)
    files = [AudioFile.taken_in(take), AudioFile.taken_in(second, name="x" * 200)]
    tracks = tuple(Track(f"t{n}", Playlist(f"p{n}", (whole(f, "r"),))) for n, f in enumerate(files))
    deep = tmp_path
    while len(str(deep)) < 3700:
        deep = deep / ("d" * 100)
        deep.mkdir()
    target = deep / ("o" * 100)
    with pytest.raises(OSError, match="too long"):
        write_session(Session("s", RATE_HZ, tracks=tracks), target)
    assert list(deep.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda take: write_noise(take, rate_hz=44_100), "44100 Hz, the session 48000 Hz"),
        (lambda take: write_noise(take, channels=1), "has 1 channels, the session uses 2"),
        (
            lambda take: write_noise(take, frames=TAKE_SAMPLES - 1),
            "up to sample 72000, the file ends at 71999",
        ),
        (lambda take: take.unlink(), "not there"),
        (lambda take: take.write_bytes(b"fLaC" + bytes(50)), "not a WAV file"),
    ],
)
def test_audio_that_ardour_would_play_wrong_is_refused_before_anything_is_written(
    take, tmp_path, make, reason
):
    make(take)
    with pytest.raises(SessionError, match=reason):
        write_session(_one_take(take), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_take_without_an_origin_is_refused_with_the_way_out(tmp_path):
    file = AudioFile("take.wav")
    session = Session("s", RATE_HZ, tracks=(Track("t", Playlist("p", (whole(file, "r"),))),))
    with pytest.raises(SessionError, match="taken_in"):
        write_session(session, tmp_path / "out")


def _track(**changes):
    return replace(Track("t", Playlist("p")), **changes)


def _region(**changes):
    region = replace(Region("r", AudioFile("/x.wav").channels, 10), **changes)
    return _track(playlist=Playlist("p", (region,)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "a/b"}, "contains /"),
        ({"sample_rate_hz": 44_101}, "44101 Hz"),
        ({"tracks": (_track(name="a:b"),)}, "contains :"),
        ({"tracks": (_track(name="Master"),)}, "keeps it for itself"),
        ({"tracks": (_track(), _track(playlist=Playlist("q")))}, "2 different tracks are named 't'"),
        ({"tracks": (_track(), _track(name="u"))}, "2 different playlists are named 'p'"),
        ({"tracks": (_track(channel_count=3),)}, "mono .1. and stereo .2."),
        ({"tracks": (_track(gain_db=6.5),)}, r"\+6 dB"),
        ({"tracks": (_track(gain_db=float("nan")),)}, "nan dB"),
        ({"tracks": (_track(group="stems"),)}, "which the session does not have"),
        ({"tracks": (_track(comment="bell \a"),)}, r"U\+0007"),
        ({"tracks": (_track(colour_rgba=1 << 32),)}, "0xRRGGBBAA"),
        ({"tracks": (_region(length_samples=0),)}, "at least 1"),
        ({"tracks": (_region(position_samples=-1),)}, "at least 0"),
        ({"tracks": (_region(sources=()),)}, "no source"),
        ({"tracks": (_region(name=""),)}, "it is empty"),
        ({"tracks": (replace(_region(), channel_count=1),)}, "plays only 1"),
        ({"groups": (RouteGroup("g"), RouteGroup("g"))}, "2 different groups"),
        ({"loop": TimeRange(10, 10)}, "loop runs from 10 to 10"),
        ({"session_range": TimeRange(20, 10)}, "session range runs"),
    ],
)
def test_what_ardour_would_load_as_something_else_is_refused_with_the_reason(tmp_path, changes, reason):
    with pytest.raises(SessionError, match=reason):
        write_session(replace(Session("s"), **changes), tmp_path / "out")


def test_all_problems_are_told_at_once(tmp_path):
    session = Session("a:b", 44_101, tracks=(_track(name="Click", gain_db=20),))
    with pytest.raises(SessionError) as caught:
        write_session(session, tmp_path / "out")
    assert all(part in str(caught.value) for part in ("contains :", "44101", "Click", "20 dB"))


def test_two_files_of_one_name_are_not_mixed_up(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_noise(tmp_path / folder / "take.wav")
    tracks = tuple(
        Track(f, Playlist(f, (whole(AudioFile.taken_in(tmp_path / f / "take.wav"), f),))) for f in ("a", "b")
    )
    with pytest.raises(SessionError, match=r"2 different audio files are named 'take\.wav'"):
        write_session(Session("s", tracks=tracks), tmp_path / "out")
    renamed = AudioFile.taken_in(tmp_path / "b/take.wav", name="take-b.wav")
    tracks = (tracks[0], Track("b", Playlist("b", (whole(renamed, "b"),))))
    write_session(Session("s", tracks=tracks), tmp_path / "out")


@pytest.mark.parametrize(
    ("tempos", "reason"),
    [
        ((TempoChange(100, 0, 4, 140), TempoChange(140, 8)), "glide"),
        ((TempoChange(180, 0, 8),), "90 quarter notes"),
        ((TempoChange(100), TempoChange(140, 7.5)), "whole quarter"),
    ],
)
def test_what_ardour_7_would_convert_wrongly_is_refused_in_the_ardour_6_format(tmp_path, tempos, reason):
    session = Session("s", tempo_map=TempoMap(tempos))
    with pytest.raises(SessionError, match=reason):
        write_session(session, tmp_path / "out", file_format=FileFormat.ARDOUR_6)
    write_session(session, tmp_path / "out")


def test_an_empty_comment_is_left_out_because_ardour_crashes_on_it(tmp_path):
    written = write_session(Session("s", tracks=(_track(),)), tmp_path / "out")
    assert etree.parse(written).find(".//Comment") is None


def test_a_file_is_replaced_only_when_asked_and_leaves_no_temporary(tmp_path):
    path = tmp_path / "x.ardour"
    write_file(path, b"first")
    with pytest.raises(FileExistsError):
        write_file(path, b"second")
    assert path.read_bytes() == b"first"
    write_file(path, b"third", overwrite=True)
    assert path.read_bytes() == b"third"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.ardour"]


def test_the_full_session_is_written_in_all_its_parts(tmp_path):
    root = etree.parse(write_session(full_session(tmp_path / "library"), tmp_path / "out")).getroot()
    assert len(root.findall("Sources/Source")) == 9
    assert len(root.findall("Playlists/Playlist")) == 3
    assert len(root.findall("UnusedPlaylists/Playlist")) == 2
