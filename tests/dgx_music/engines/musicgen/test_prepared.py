from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder
from dgx_music.errors import EngineError

KEY = PreparedKey("lm-int8", "ab" * 32, 3)


def build(folder):
    (folder / "weights").write_bytes(b"0123456789")
    (folder / "graph").write_text("g")


def must_not_build(folder):
    raise AssertionError("built again")


def parts(cache_dir):
    return [file.name for file in cache_dir.iterdir() if file.name.endswith(".part")]


def test_it_is_built_once_and_found_again(tmp_path):
    cache = tmp_path / "not" / "yet"
    made = prepared_folder(cache, KEY, build)

    assert (made / "weights").read_bytes() == b"0123456789"
    assert prepared_folder(cache, KEY, must_not_build) == made
    assert parts(cache) == []


def test_other_weights_and_other_purposes_stay_beside_it(tmp_path):
    others = [PreparedKey("lm-int8", "cd" * 32, 2), PreparedKey("lm-int8-odd", "ab" * 32, 2)]
    kept = [prepared_folder(tmp_path, other, build) for other in others]
    prepared_folder(tmp_path, KEY, build)

    assert all((folder / "weights").exists() for folder in kept)


@pytest.mark.parametrize("version", [2, 4, 33])
def test_another_version_of_the_same_is_removed(tmp_path, version):
    other = prepared_folder(tmp_path, PreparedKey(KEY.what, KEY.source_sha256, version), build)
    made = prepared_folder(tmp_path, KEY, build)

    assert made.exists()
    assert not other.exists()


@pytest.mark.parametrize("harm", ["truncated", "removed", "manifest"])
def test_a_damaged_folder_is_built_again(tmp_path, harm):
    made = prepared_folder(tmp_path, KEY, build)
    if harm == "truncated":
        os.truncate(made / "weights", 5)
    elif harm == "removed":
        (made / "graph").unlink()
    else:
        (made / "complete.json").write_text("[")

    assert (prepared_folder(tmp_path, KEY, build) / "weights").read_bytes() == b"0123456789"
    assert (made / "graph").exists()


def test_a_failed_build_leaves_nothing_and_can_be_repeated(tmp_path):
    def half(folder):
        (folder / "weights").write_bytes(b"01")
        raise KeyError("no such weight")

    with pytest.raises(KeyError):
        prepared_folder(tmp_path, KEY, half)

    assert parts(tmp_path) == []
    assert not (tmp_path / KEY.name).exists()
    assert prepared_folder(tmp_path, KEY, build).exists()


def start_child(code, cache):
    """Start a process that first says it is ready and then waits for a line to begin."""
    program = f"""
import os, signal, sys
from pathlib import Path
from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder
print("ready", flush=True)
sys.stdin.readline()
def build(folder):
    (folder / "graph").write_text("g")
    {code}
    (folder / "weights").write_bytes(b"0123456789")
prepared_folder(Path({str(cache)!r}), {KEY!r}, build)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout.readline() == b"ready\n"
    return child


def test_what_a_killed_process_leaves_is_never_used_and_is_cleared(tmp_path):
    child = start_child("os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    child.communicate(b"go\n")
    assert child.returncode == -signal.SIGKILL
    assert len(parts(tmp_path)) == 1

    assert (prepared_folder(tmp_path, KEY, build) / "weights").read_bytes() == b"0123456789"
    assert parts(tmp_path) == []


def test_several_processes_at_once_build_it_once(tmp_path):
    built = tmp_path / "built"
    children = [start_child(f"open({str(built)!r}, 'a').write('1')", tmp_path / "cache") for _ in range(4)]
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()

    assert [child.returncode for child in children] == [0] * 4
    assert built.read_text() == "1"


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(EngineError, match=r"takes 1000000000000 MB.*musicgen\.cache_dir"):
        prepared_folder(tmp_path, KEY, must_not_build, bytes_needed=10**18)


def test_a_full_disk_teaches(tmp_path):
    def fill(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "weights"))

    with pytest.raises(EngineError, match=r"weights: lm-int8 cannot be prepared: No space left.*make room"):
        prepared_folder(tmp_path, KEY, fill)
    assert parts(tmp_path) == []


def test_a_cache_folder_that_is_a_file_teaches(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(EngineError, match=r"cache: .*musicgen\.cache_dir must name a folder"):
        prepared_folder(tmp_path / "cache", KEY, build)
