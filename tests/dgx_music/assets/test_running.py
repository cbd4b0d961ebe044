"""Which running Ardour keeps a configuration folder in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from dgx_music.assets.running import running_ardours


@contextmanager
def running(program, **environ):
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"], env={"PATH": os.environ["PATH"], **environ})
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["ardour-7.3.0~ds0", "ardour-7.5", "ardour7", "ardour"])
def test_an_ardour_is_found_by_its_home(tmp_path, name):
    folder = tmp_path / ".config" / "ardour7"

    with running(tmp_path / name, HOME=str(tmp_path)) as pid:
        assert running_ardours(folder) == [pid]
        assert running_ardours(tmp_path / "other" / ".config" / "ardour7") == []
    assert running_ardours(folder) == []


def test_an_ardour_is_found_by_its_configuration_folder_and_through_links(tmp_path):
    (tmp_path / "real" / "ardour8").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with running(
        tmp_path / "ardour-8.12.0", HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "link")
    ) as pid:
        assert running_ardours(tmp_path / "real" / "ardour8") == [pid]
        assert running_ardours(tmp_path / ".config" / "ardour8") == []


def test_another_major_version_has_another_folder(tmp_path):
    with running(tmp_path / "ardour-8.12.0", HOME=str(tmp_path)):
        assert running_ardours(tmp_path / ".config" / "ardour7") == []


@pytest.mark.parametrize(
    "name", ["ardour7-export", "ardour-vst-scanner", "hardour-7.3.0~ds0", "luasession", "myardour"]
)
def test_its_tools_are_no_ardours(tmp_path, name):
    with running(tmp_path / name, HOME=str(tmp_path)):
        assert running_ardours(tmp_path / ".config" / "ardour7") == []


def test_an_ardour_whose_program_was_upgraded_meanwhile_is_still_one(tmp_path):
    program = tmp_path / "ardour-7.3.0~ds0"
    with running(program, HOME=str(tmp_path)) as pid:
        program.unlink()
        assert running_ardours(tmp_path / ".config" / "ardour7") == [pid]
