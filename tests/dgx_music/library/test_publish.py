from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dgx_music.errors import LibraryError
from dgx_music.library import StagedFile, discard, publish, verify, withdraw


@pytest.fixture
def staged(root):
    """Return three staged files with content of their own."""
    folder = root / ".staging" / "job"
    folder.mkdir(parents=True)
    files = []
    for name in ("take", "take_drums", "take_bass"):
        path = folder / f"{name}.wav"
        data = f"the sound of {name}".encode() * 100
        path.write_bytes(data)
        stem = name.partition("_")[2] or None
        files.append(
            StagedFile(str(path), f"2026/11/22/{name}.wav", hashlib.sha256(data).hexdigest(), len(data), stem)
        )
    return files


def _in_place(files, root):
    return all(hashlib.sha256((root / f.final).read_bytes()).hexdigest() == f.sha256 for f in files)


def test_files_appear_under_their_names_and_leave_staging(staged, root):
    assert publish(staged, root) == [root / file.final for file in staged]
    assert _in_place(staged, root)
    assert not any(Path(file.staged).exists() for file in staged)


def test_publishing_again_changes_nothing(staged, root):
    publish(staged, root)
    before = [(root / file.final).stat().st_ino for file in staged]
    publish(staged, root)
    assert [(root / file.final).stat().st_ino for file in staged] == before


CRASH = """
import os, sys, json
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from dgx_music.library import StagedFile, publish
calls = 0
def dying(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls > int(sys.argv[4]):
            os._exit(9)
        return real(*args, **kwargs)
    return call
for name in ("link", "unlink", "mkdir", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
publish([StagedFile(*item) for item in json.loads(sys.argv[3])], Path(sys.argv[2]))
print("done", calls)
"""


def test_a_crash_at_any_call_is_rolled_forward(staged, root, tmp_path):
    import json
    import shutil
    from dataclasses import astuple

    arguments = [
        json.dumps([path for path in sys.path if path]),
        str(root),
        json.dumps([astuple(f) for f in staged]),
    ]
    aside = tmp_path / "aside"
    shutil.copytree(root, aside)
    for calls in range(200):
        done = subprocess.run(
            [sys.executable, "-c", CRASH, *arguments, str(calls)], capture_output=True, text=True, check=False
        )
        assert verify(staged, root), f"a crash after {calls} calls lost a file"
        publish(staged, root)
        assert _in_place(staged, root)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        shutil.rmtree(root)
        shutil.copytree(aside, root)
    assert calls > 8


def test_a_foreign_file_under_the_name_is_left_alone(staged, root):
    mine = root / staged[1].final
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my own recording")
    with pytest.raises(LibraryError, match="taken by another file"):
        publish(staged, root)
    assert mine.read_bytes() == b"my own recording"
    assert Path(staged[1].staged).exists()


def test_a_link_under_the_name_is_not_followed(staged, root, tmp_path):
    mine = tmp_path / "precious.wav"
    mine.write_bytes(Path(staged[0].staged).read_bytes())
    link = root / staged[0].final
    link.parent.mkdir(parents=True)
    link.symlink_to(mine)
    with pytest.raises(LibraryError, match="taken"):
        publish(staged, root)
    withdraw(staged, root)
    assert mine.exists()
    assert link.is_symlink()


def test_a_file_neither_staged_nor_in_place_is_reported(staged, root):
    Path(staged[2].staged).unlink()
    assert not verify(staged, root)
    with pytest.raises(LibraryError, match="is gone"):
        publish(staged, root)


@pytest.mark.parametrize("final", ["../outside.wav", "/etc/outside.wav", "2026/../../outside.wav", "", "."])
def test_nothing_is_written_outside_the_library(final, staged, root):
    with pytest.raises(LibraryError):
        publish([replace(staged[0], final=final)], root)
    assert not (root.parent / "outside.wav").exists()
    assert Path(staged[0].staged).exists()


def test_a_linked_folder_does_not_lead_outside(staged, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "2026").symlink_to(outside)
    with pytest.raises(LibraryError, match="leads out of the library"):
        publish(staged, root)
    assert not list(outside.rglob("*"))


def test_a_library_that_is_itself_a_link_works(staged, root, tmp_path):
    link = tmp_path / "Music"
    link.symlink_to(root)
    publish(staged, link)
    assert _in_place(staged, root)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV])
def test_without_hard_links_files_are_copied(code, staged, root, monkeypatch):
    def no_link(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_link)
    publish(staged, root)
    publish(staged, root)
    assert _in_place(staged, root)
    assert sorted(path.name for path in (root / "2026/11/22").iterdir()) == sorted(
        Path(f.final).name for f in staged
    )


def test_without_hard_links_a_foreign_file_is_left_alone_too(staged, root, monkeypatch):
    def no_link(*_args, **_kwargs):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_link)
    mine = root / staged[0].final
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my own recording")
    with pytest.raises(LibraryError, match="taken"):
        publish(staged, root)
    assert mine.read_bytes() == b"my own recording"
    assert list(mine.parent.iterdir()) == [mine]


def test_a_file_damaged_in_staging_is_not_copied(staged, root, monkeypatch):
    def no_link(*_args, **_kwargs):
        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr(os, "link", no_link)
    Path(staged[0].staged).write_bytes(b"damaged")
    with pytest.raises(LibraryError, match="not what was staged"):
        publish(staged, root)
    assert not (root / staged[0].final).exists()


def test_verify_sees_a_changed_file(staged, root):
    assert verify(staged, root)
    publish(staged, root)
    assert verify(staged, root)
    with (root / staged[0].final).open("r+b") as file:
        file.write(b"X")
    assert not verify(staged, root)


def test_withdraw_takes_back_ours_and_nothing_else(staged, root):
    publish(staged[:2], root)
    (root / staged[1].final).write_bytes(b"edited by the user")
    withdraw(staged, root)
    assert not (root / staged[0].final).exists()
    assert (root / staged[1].final).read_bytes() == b"edited by the user"


def test_discard_removes_a_folder_and_does_not_mind_its_absence(staged, root):
    folder = Path(staged[0].staged).parent
    discard(folder)
    assert not folder.exists()
    discard(folder)


def test_the_daemons_part_of_the_library_imports_nothing_heavy():
    code = (
        "import sys; sys.path[:0] = %r; import dgx_music.library; "
        "print([name for name in ('numpy', 'scipy', 'librosa', 'soundfile', 'numba', 'soxr') if name in sys.modules])"
    ) % [path for path in sys.path if path]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
