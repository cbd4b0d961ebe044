"""Where the daemon and Ardour's scripts look: names that both compute, and nothing outside of the spool."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dgx_music.delivery.ardour.fnv import fingerprint, fnv1a_64
from dgx_music.delivery.ardour.layout import Spool, is_safe_id, session_key, write_beside


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # the reference implementation's own test vectors
        ("", 0xCBF29CE484222325),
        ("a", 0xAF63DC4C8601EC8C),
        ("foobar", 0x85944171F73967E8),
    ],
)
def test_the_hash_is_fnv_1a(text, expected):
    assert fnv1a_64(text.encode()) == expected


def test_a_slash_at_the_end_makes_no_other_session():
    assert session_key("/songs/one") == session_key("/songs/one/") == session_key("/songs/one///")
    assert session_key("/") == session_key("//")
    assert session_key("/songs/one") != session_key("/songs/two")
    assert session_key("/songs/Stück & so") == f"{fnv1a_64('/songs/Stück & so'.encode()):016x}"


@given(
    st.text(alphabet=st.characters())
    | st.sampled_from(["", "/", "..", "../../etc", "a/../../b", "\0", "\ud800"])
)
def test_whatever_a_path_holds_its_folder_lies_in_the_spool(tmp_path_factory, path):
    root = tmp_path_factory.getbasetemp() / "spool"
    folder = Spool(root).of(path).folder
    assert folder.parent == root
    assert len(folder.name) == 16
    assert set(folder.name) <= set("0123456789abcdef")


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9_-]{0,66}"))
@example("../x")
@example("a\n")
@example("ü")
@example("a" * 65)
def test_only_an_id_of_plain_letters_names_an_answer(tmp_path_factory, ask_id):
    spool = Spool(tmp_path_factory.getbasetemp() / "spool").of("/songs/one")
    if is_safe_id(ask_id):
        assert spool.answer(ask_id).parent == spool.folder
        assert ask_id.isascii()
        assert 1 <= len(ask_id) <= 64
    else:
        with pytest.raises(ValueError, match="no id of an ask"):
            spool.answer(ask_id)


def test_a_session_s_folder_is_private_and_says_whose_it_is(tmp_path):
    spool = Spool(tmp_path / "state" / "ardour").of("/songs/Stück/")
    assert not spool.exists()
    spool.make()
    spool.make()
    assert spool.exists()
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert json.loads((spool.folder / "session.json").read_text()) == {"path": "/songs/Stück"}
    [found] = Spool(tmp_path / "state" / "ardour").all()
    assert found == spool


def test_several_threads_may_make_a_folder_and_write_a_file_at_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    start = threading.Barrier(8)

    def write(number):
        spool = Spool(tmp_path / f"spool{number // 8}").of(f"{tmp_path}/link")
        start.wait(10)
        spool.make()
        write_beside(spool.answer("x"), b"x" * 100_000)
        return spool.answer("x").stat().st_size

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(write, range(160))) == {100_000}
    assert list(tmp_path.glob("spool*/*/part.*")) == []


def test_a_session_known_by_a_link_is_found_by_both_names(tmp_path):
    """Ardour calls a session that it has just made by the path as typed, and later by the one without links."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    root = tmp_path / "spool"
    typed = Spool(root).of(f"{tmp_path}/link")
    typed.make()
    typed.make()
    later = Spool(root).of(f"{tmp_path}/real")
    write_beside(later.next, b"x")
    assert (root / session_key(f"{tmp_path}/link") / "next").read_bytes() == b"x"
    assert later.folder == typed.folder == root / session_key(f"{tmp_path}/real")
    assert [found.session_path for found in Spool(root).all()] == [f"{tmp_path}/real"]


def test_a_link_in_a_session_s_path_that_leads_elsewhere_now_is_followed(tmp_path):
    root = tmp_path / "spool"
    for disk in ("old", "new"):
        (tmp_path / disk / "song").mkdir(parents=True)
        (tmp_path / "songs").unlink(missing_ok=True)
        (tmp_path / "songs").symlink_to(disk)
        made = Spool(root).of(f"{tmp_path}/songs/song")
        made.make()
        write_beside(made.next, disk.encode())
        assert (root / session_key(f"{tmp_path}/songs/song") / "next").read_bytes() == disk.encode()
    assert (root / session_key(f"{tmp_path}/old/song") / "next").read_bytes() == b"old"


def test_a_folder_that_says_it_is_another_session_s_is_not_believed(tmp_path):
    spool = Spool(tmp_path).of("/songs/one")
    spool.make()
    (spool.folder / "session.json").write_text('{"path": "/songs/two"}')
    [found] = Spool(tmp_path).all()
    assert found.session_path == ""
    for nonsense in ("[]", "null", "{", '{"path": 3}', "\xff"):
        (spool.folder / "session.json").write_bytes(nonsense.encode("latin-1"))
        assert Spool(tmp_path).all()[0].session_path == ""


def test_only_finished_reports_are_listed_and_the_oldest_comes_first(tmp_path):
    spool = Spool(tmp_path).of("/songs/one")
    assert spool.reports() == []
    spool.make()
    for age, name in enumerate(("report.new", "report.old", "part.x", "report.", "report.a.b", "report.ü")):
        (spool.folder / name).write_text("{}")
        os.utime(spool.folder / name, (1000 - age, 1000 - age))
    assert [path.name for path in spool.reports()] == ["report.old", "report.new"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "answer.x").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_beside(tmp_path / "answer.x", b"return {}")
    assert [path.name for path in tmp_path.iterdir()] == ["answer.x"]


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 5000, 100_003])
def test_a_fingerprint_covers_the_size_the_start_and_the_end(tmp_path, size):
    path = tmp_path / "take.wav"
    content = bytes(number * 7 % 256 for number in range(size))
    path.write_bytes(content)
    blocks = [content]
    if size > 1024:
        blocks = [content[(start := i * (size - 1024) // 15) : start + 1024] for i in range(16)]
    assert fingerprint(path) == f"{fnv1a_64(str(size).encode() + b''.join(blocks)):016x}"
    seen = {fingerprint(path)}
    for changed in (
        content + b"\0",
        content[:-1],
        bytes([*content[:-1], 255 - content[-1]]) if size else b"1",
    ):
        path.write_bytes(changed)
        seen.add(fingerprint(path))
    assert len(seen) == (4 if size else 3)
