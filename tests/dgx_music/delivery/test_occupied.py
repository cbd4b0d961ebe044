from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from dgx_music.delivery.ardour.layout import Spool
from dgx_music.delivery.occupied import hook_lives, open_snapshot, pending_file, why_open


@pytest.fixture
def song(tmp_path):
    folder = tmp_path / "my songs" / "song"
    (folder / "interchange").mkdir(parents=True)
    (folder / "song.ardour").write_text("<Session/>")
    return folder / "song.ardour"


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


@contextmanager
def program(tmp_path, name, *arguments, cwd=None, reading=None, home=None):
    """A process with Ardour's name, or another one's, that waits to be ended."""
    executable = tmp_path / name
    shutil.copy(shutil.which("tail"), executable)
    environ = {"HOME": str(home or tmp_path / "nobody")}
    with open(reading or os.devnull, "rb") as given:  # noqa: PTH123 - it is inherited
        process = subprocess.Popen(
            [executable, "-f", os.devnull, *arguments],
            cwd=cwd,
            env=environ,
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_session_that_nobody_has_open_is_free(song, spool):
    assert why_open(song, spool) is None


@pytest.mark.parametrize("name", ["ardour-7.3.0~ds0", "ardour-8.12.0", "hardour-7.3.0", "ardour9"])
@pytest.mark.parametrize("named", ["song", "song/song.ardour", "absolute"])
def test_an_ardour_that_was_started_with_the_session_has_it_open(song, spool, tmp_path, name, named):
    argument = str(song.parent) if named == "absolute" else named
    with program(tmp_path, name, argument, cwd=song.parent.parent) as process:
        assert f"process {process.pid}" in why_open(song, spool)
    assert why_open(song, spool) is None


def test_it_is_found_through_links(song, spool, tmp_path):
    (tmp_path / "link").symlink_to(song.parent)
    with program(tmp_path, "ardour-7.3.0", str(song)):
        assert why_open(tmp_path / "link" / "song.ardour", spool)


def test_an_ardour_that_plays_its_audio_has_it_open(song, spool, tmp_path):
    audio = song.parent / "interchange" / "take.wav"
    audio.write_text("audio")
    with program(tmp_path, "ardour-7.3.0", reading=audio):
        assert "a file of it open" in why_open(song, spool)


def test_another_program_or_another_session_is_no_reason(song, spool, tmp_path):
    with program(tmp_path, "gedit", str(song)), program(tmp_path, "ardour-7.3.0", str(tmp_path / "other")):
        assert why_open(song, spool) is None


def test_the_session_that_a_running_ardour_opened_from_its_menu_is_open(song, spool, tmp_path):
    config = tmp_path / "home" / ".config" / "ardour7"
    config.mkdir(parents=True)
    recent = config / "recent"
    with program(tmp_path, "ardour-7.3.0", home=tmp_path / "home"):
        recent.write_text(f"song\n{song.parent}\nolder\n{tmp_path / 'older'}\n")
        assert "opened it last" in why_open(song, spool)
        assert why_open(tmp_path / "older" / "older.ardour", spool) is None
        with program(tmp_path, "ardour-8.6", home=tmp_path / "home"):  # two Ardours: the last two
            assert "opened it last" in why_open(tmp_path / "older" / "older.ardour", spool)
        os.utime(recent, (1, 1))  # written by an earlier Ardour
        assert why_open(song, spool) is None


def test_a_fresh_sign_of_life_of_the_hook_means_open_and_an_old_one_does_not(song, spool, tmp_path):
    mine = spool.of(str(song.parent))
    mine.make()
    mine.alive.write_text('{"time": 1, "session": "…", "snapshot": "song", "lua": "1"}')
    (tmp_path / "link").symlink_to(song.parent)
    assert "sign of life" in why_open(song, spool)
    assert "sign of life" in why_open(tmp_path / "link" / "song.ardour", spool)
    os.utime(mine.alive, (1, 1))
    assert not hook_lives(song.parent, spool)
    assert why_open(song, spool) is None


@pytest.mark.parametrize(
    ("said", "found"),
    [('{"snapshot": "take two"}', True), ('{"snapshot": "gone"}', False), ("{", False), ("[]", False)],
)
def test_the_snapshot_that_is_open_is_the_one_that_the_hook_names(song, spool, said, found):
    (song.parent / "take two.ardour").write_text("<Session/>")
    mine = spool.of(str(song.parent))
    assert open_snapshot(song.parent, spool) is None
    mine.make()
    mine.alive.write_text(said)
    assert open_snapshot(song.parent, spool) == (song.parent / "take two.ardour" if found else None)


def test_unsaved_work_beside_the_session_is_seen(song):
    assert pending_file(song) is None
    song.with_name("song.pending").touch()
    (link := song.with_name("link.ardour")).symlink_to(song)
    assert pending_file(song) == pending_file(link) == song.with_name("song.pending")


def test_processes_that_end_while_they_are_looked_at_do_no_harm(song, spool, tmp_path):
    processes = tmp_path / "proc"
    (processes / "17").mkdir(parents=True)
    (processes / "self").mkdir()
    (processes / "17" / "exe").symlink_to("/usr/lib/ardour7/ardour-7.3.0 (deleted)")
    assert why_open(song, spool, processes) is None
