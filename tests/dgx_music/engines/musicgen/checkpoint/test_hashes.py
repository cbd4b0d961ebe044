"""Weights are hashed once, and again when they change."""

from __future__ import annotations

import hashlib
import os

import pytest

from dgx_music.engines.musicgen.checkpoint import ModelError, hashes
from dgx_music.engines.musicgen.checkpoint.hashes import weights_sha256


@pytest.fixture
def reads(monkeypatch):
    """Count the files that are read to be hashed."""
    seen = []
    real = hashes.file_sha256

    def counted(path):
        seen.append(path.name)
        return real(path)

    monkeypatch.setattr(hashes, "file_sha256", counted)
    return seen


@pytest.fixture
def files(tmp_path):
    made = tuple(tmp_path / name for name in ["a", "b"])
    for path in made:
        path.write_bytes(path.name.encode() * 100)
    return made


def test_one_files_hash_is_its_own_as_the_hub_shows_it(files):
    assert weights_sha256(files[:1], None) == hashlib.sha256(b"a" * 100).hexdigest()


def test_several_files_have_one_hash_that_depends_on_their_order(files):
    both = weights_sha256(files, None)
    assert both != weights_sha256(files[::-1], None)
    assert len(both) == 64


def test_a_file_is_read_once_also_by_another_process(files, tmp_path, reads):
    first = weights_sha256(files, tmp_path / "cache")
    assert weights_sha256(files, tmp_path / "cache") == first
    assert reads == ["a", "b"]


@pytest.mark.parametrize("how", ["longer", "touched", "replaced"])
def test_a_file_that_changed_is_read_again(files, tmp_path, reads, how):
    first = weights_sha256(files, tmp_path / "cache")
    status = files[0].stat()
    if how == "longer":
        files[0].write_bytes(b"x" * 101)
        os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "touched":
        files[0].write_bytes(b"x" * 100)
        os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        fresh = tmp_path / "fresh"
        fresh.write_bytes(b"x" * 100)
        os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
        fresh.replace(files[0])
    assert weights_sha256(files, tmp_path / "cache") != first
    assert reads == ["a", "b", "a"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_memory_that_is_none_is_made_anew(files, tmp_path, text):
    cache = tmp_path / "cache"
    first = weights_sha256(files, cache)
    (memory,) = cache.iterdir()
    memory.write_text(text)
    assert weights_sha256(files, cache) == first
    assert memory.read_text() != text


def test_a_cache_that_cannot_be_written_is_done_without(files, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert weights_sha256(files, tmp_path / "cache") == weights_sha256(files, None)


def test_files_that_are_gone_are_forgotten(files, tmp_path):
    weights_sha256(files, tmp_path / "cache")
    files[0].unlink()
    files[1].write_bytes(b"new")
    weights_sha256(files[1:], tmp_path / "cache")
    (memory,) = (tmp_path / "cache").iterdir()
    assert str(files[0]) not in memory.read_text()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="nothing"):
        weights_sha256((tmp_path / "nothing",), None)
