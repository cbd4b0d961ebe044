"""Finished takes go into sessions: new ones, templates', the user's own, and those that are open in Ardour."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

import pytest

from ardour_session import (
    MeterChange,
    Playlist,
    Session,
    SessionDocument,
    TempoChange,
    TempoMap,
    Track,
    lint,
    read_session,
    write_session,
    write_template,
)
from support.daemon import installation
from support.midi import tempos_and_meters

QUICK = ("--engine", "test-noise")
TEMPO_MAP = TempoMap((TempoChange(93.5), TempoChange(120, 14)), (MeterChange(7, 8), MeterChange(4, 4, bar=5)))


@pytest.fixture(scope="module")
def studio(tmp_path_factory, environ):
    """An installation with two finished jobs, one at 48 and one at 44.1 kHz, and a home with an Ardour of its own."""
    home = tmp_path_factory.mktemp("studio")
    (home / ".config" / "ardour7" / "templates").mkdir(parents=True)
    with installation(home / "dgx", environ | {"HOME": str(home)}) as here:
        here.user = home
        here.job = here.json(
            "generate", "rain", *QUICK, "--bars", 4, "--bpm", 93.5, "--meter", "7/8", "--takes", 2
        )
        here.other = here.json("generate", "hail", *QUICK, "--duration", 1, "--sample-rate", 44_100)
        yield here


@pytest.fixture
def song(tmp_path):
    session = Session("song", 48_000, TEMPO_MAP, (Track("mine", Playlist("mine")),))
    return write_session(session, tmp_path / "song")


def refused(done, *words):
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr.replace("\n", " ")
    return done


def test_a_session_starts_from_a_template_of_the_users_ardour(studio, tmp_path):
    mine = Session("Band", tracks=(Track("Guitar", Playlist("Guitar")),), description="the band's")
    write_template(mine, studio.user / ".config/ardour7/templates/Band")
    listed = {item["name"]: item["description"] for item in studio.json("template", "list")}
    assert listed["Band"] == "the band's"
    assert "DGX Takes" in listed
    made = studio.json("session", studio.job["job_id"], "-o", tmp_path / "new", "--template", "Band")
    session = read_session(Path(made["session"]))
    assert [track.name for track in session.tracks] == ["Guitar", "[test-noise] rain"]
    assert session.tempo_map == TempoMap.constant(93.5, 7, 8)
    assert session.loop == session.session_range
    assert lint(Path(made["session"])) == []


@pytest.mark.parametrize("template", ["DGX Stems", "a file"])
def test_a_session_starts_from_a_template_that_comes_along_or_a_file(studio, tmp_path, template):
    if template == "a file":
        template = write_template(Session("x", tracks=(Track("Mine", Playlist("Mine")),)), tmp_path / "x")
    made = studio.json(
        "session", studio.job["job_id"], "-o", tmp_path / "new", "--template", template, "--at", 3
    )
    session = read_session(Path(made["session"]))
    start = session.tracks[-1].playlist.regions[0].position_samples
    assert start == SessionDocument.open(Path(made["session"])).grid.sample_at(Fraction(7))
    assert len(session.tracks) > 1
    assert lint(Path(made["session"])) == []


def test_a_template_that_is_not_there_is_refused_with_those_that_are(studio, tmp_path):
    done = studio.run(
        "session", studio.job["job_id"], "-o", tmp_path / "new", "--template", "Nix", check=False
    )
    refused(done, "no template 'Nix'", "'DGX Takes'")
    assert not (tmp_path / "new").exists()


def test_takes_are_added_to_a_session_and_it_is_kept_as_it_was(studio, song):
    before = song.read_bytes()
    added = studio.json("session", studio.job["job_id"], "--append", song.parent, "--at", 5)
    assert Path(added["kept"]).read_bytes() == before
    assert Path(added["kept"]).name == "song.ardour.before-dgx-music"
    assert list(song.parent.glob("*.ardour")) == [song]
    session = read_session(song)
    assert session.tempo_map == TEMPO_MAP
    start = added["jobs"][0]["position_samples"]
    assert start == SessionDocument.open(song).grid.sample_at(Fraction(14))
    takes = session.tracks[-1]
    assert [playlist.regions[0].position_samples for playlist in takes.playlists] == [start, start]
    assert lint(song) == []


def test_an_open_session_is_not_written_and_the_way_out_is_named(studio, song):
    spool = studio.home / "state" / "ardour"
    from dgx_music.delivery.ardour.layout import Spool

    mine = Spool(spool).of(str(song.parent))
    mine.make()
    mine.alive.write_text("{}")
    before = song.read_bytes()
    done = studio.run("session", studio.job["job_id"], "--append", song, check=False)
    refused(done, "is open in Ardour", "sign of life", "dgx-music deliver")
    mine.alive.unlink()
    song.with_suffix(".pending").touch()
    done = studio.run("session", studio.job["job_id"], "--append", song, check=False)
    refused(done, "unsaved work", "save and close it")
    assert song.read_bytes() == before
    assert sorted(path.name for path in song.parent.iterdir()) == [
        "interchange",
        "song.ardour",
        "song.pending",
    ]


def test_takes_at_another_rate_are_refused_wherever_they_should_go(studio, song):
    before = song.read_bytes()
    for command in (
        ("session", studio.other["job_id"], "--append"),
        ("deliver", studio.other["job_id"], "--into"),
    ):
        done = studio.run(*command, song, check=False)
        refused(done, "44100 Hz, the session 48000 Hz", "--sample-rate 48000")
    assert song.read_bytes() == before
    assert studio.json("deliveries", "--session", song) == []


def test_a_session_that_is_not_there_is_named_and_one_behind_a_link_found(studio, song, tmp_path):
    gone, link = tmp_path / "gone", tmp_path / "link"
    for command in (("inspect", gone), ("session", studio.job["job_id"], "--append", gone)):
        refused(studio.run(*command, check=False), f"{gone}: is not there; name a session's folder")
    (song.parent / "take two.ardour").write_bytes(song.read_bytes())
    link.symlink_to(song.parent)
    assert Path(studio.json("inspect", link)["path"]).name == "song.ardour"


def test_deliveries_to_a_session_are_listed_after_it_is_gone(studio, song):
    (made,) = studio.json("deliver", studio.job["job_id"], "--into", song)
    song.rename(song.parent / "a.ardour")
    (song.parent / "b.ardour").touch()
    folder = song.parent
    for place in (folder, folder / "a.ardour", folder / "gone.ardour"):
        assert [one["id"] for one in studio.json("deliveries", "--session", place)] == [made["id"]]
    folder.rename(folder.with_name("moved"))
    assert [one["id"] for one in studio.json("deliveries", "--session", folder)] == [made["id"]]


def test_a_landing_that_is_out_of_bounds_is_refused_and_not_stored(studio, song):
    studio.run("deliver", studio.job["job_id"], "--into", song)
    before = studio.json("deliveries")
    done = studio.run("deliver", studio.job["job_id"], "--into", song, "--track", "x" * 300, check=False)
    refused(done, "track: ", "at most 200 characters")
    assert studio.json("deliveries") == before


def test_no_option_is_taken_where_it_means_nothing(studio, song, tmp_path):
    job = studio.job["job_id"]
    for arguments in (
        ("session", job),
        ("session", job, "-o", tmp_path / "x", "--append", song),
        ("session", job, "--append", song, "--template", "DGX Takes"),
        ("session", job, "-o", tmp_path / "x", "--at", "3"),
        ("generate", "x", "--at", "3"),
        ("generate", "x", "--on-top", "mine"),
        ("deliver", job, "--into", song, "--on-top", "yours"),
    ):
        assert studio.run(*arguments, check=False).returncode == 2


def test_a_request_into_a_session_has_its_rate_its_tempo_map_and_its_place(studio, song):
    made = studio.json(
        "generate", "brushes", *QUICK, "--bars", 3, "--into", song.parent, "--at", 4, "--track", "mine"
    )
    request = made["request"]
    grid = SessionDocument.open(song).grid
    start, end = grid.sample_at(Fraction(21, 2)), grid.sample_at(Fraction(22))
    assert (
        request["session"] | {"path": os.path.realpath(song.parent), "position": start, "track": "mine"}
        == request["session"]
    )
    assert request["samples"] == end - start
    assert [point["bpm"] for point in request["tempo_map"]] == [93.5, 120]
    assert made["takes"][0]["frames"] == end - start
    waiting = studio.json("deliveries", "--session", song.parent)
    assert [(one["job_id"], one["state"]) for one in waiting] == [(made["job_id"], "waiting")]
    (again,) = studio.json("deliver", made["job_id"], "--into", song.parent)  # by default to the same place
    assert again["target"] == made["request"]["session"]
    assert again["id"] == f"{made['job_id']}-2"
    said = studio.run("generate", "x, 84 bpm", *QUICK, "--bars", 1, "--into", song, "--no-wait").stderr
    for words in ("session's 93.5 BPM are taken", "no daemon runs", "import = yes", "no Ardour"):
        assert words in said


def test_a_finished_job_is_delivered_once_more_and_the_daemon_puts_it_up_at_once(studio, song):
    (song.parent / "dgx-music.permissions").write_text("import = yes\n")
    studio.start()
    (made,) = studio.json("deliver", studio.job["job_id"], "--into", song, "--at", "2.3", "--track", "mine")
    start = SessionDocument.open(song).grid.sample_at(Fraction(9, 2))
    assert (made["target"]["position"], made["target"]["track"]) == (start, "mine")
    (spool,) = (
        folder
        for folder in (studio.home / "state" / "ardour").iterdir()
        if str(song.parent) in (folder / "session.json").read_text()
    )
    studio.await_((spool / "next").exists)
    manifest = (spool / "next").read_text()
    assert f'delivery = "{made["id"]}"' in manifest
    assert f"position = {start}" in manifest
    assert 'track = "mine"' in manifest
    listed = studio.run("deliveries").stdout
    assert re.search(rf"{made['id']} .* offered +{song.parent}", listed)


def test_the_tempo_of_a_take_is_shown_and_written_as_a_midi_file(studio, tmp_path):
    file = tmp_path / "tempo.mid"
    job = studio.json(
        "generate", "drums", "--bars", 1, "--bpm", 93.5, "--meter", "7/8", "--engine", "sketch"
    )["job_id"]
    said = studio.json("tempo", job, "--midi", file)
    assert said["asked"]["bpm"] == said["played"]["bpm"] == 93.5
    assert set(said["measured"]) == {"bpm", "confidence"}
    (tempo,), (meter,) = tempos_and_meters(file.read_bytes())
    assert tempo == (0, pytest.approx(93.5, abs=1e-3))
    assert meter == (0, "7/8")
    before = file.read_bytes()
    refused(studio.run("tempo", job, "--midi", file, check=False), "is there already")
    assert file.read_bytes() == before
    refused(studio.run("tempo", job, "--take", 3, check=False), "takes 1 to 1")
    nothing = studio.run("tempo", studio.job["job_id"], "--midi", tmp_path / "noise.mid", check=False)
    refused(nothing, "no tempo can be heard")
    assert not (tmp_path / "noise.mid").exists()
