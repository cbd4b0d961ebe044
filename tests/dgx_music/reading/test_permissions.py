"""A session's own permission file: what counts as one, and that it opens this session's audio and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat

import numpy as np
import pytest
import soundfile

from dgx_music.errors import RequestError
from dgx_music.jobs import JobState, Source
from dgx_music.reading.permissions import PERMISSIONS_FILE, need_readable, permissions, session_roots
from dgx_music.request import GenerationRequest
from support.core import ended, running_core

YES = "read = yes\n"


@pytest.fixture
def session(tmp_path):
    """A session's folder with two mono files of one recording, as Ardour keeps them."""
    folder = tmp_path / "sessions" / "Dusty"
    audio = folder / "interchange" / "Dusty" / "audiofiles"
    audio.mkdir(parents=True)
    for index, side in enumerate("LR"):
        samples = np.random.default_rng(index).normal(0, 0.1, 48_000).astype(np.float32)
        soundfile.write(audio / f"x%{side}.wav", samples, 48_000, subtype="FLOAT")
    return folder


def continuing(session, **fields):
    audio = session / "interchange" / "Dusty" / "audiofiles"
    excerpt = {
        "path": str(audio / "x%L.wav"),
        "start": 24_000,
        "length": 12_000,
        "more": [{"path": str(audio / "x%R.wav"), "channel": 0}],
    }
    return {
        "prompt": "go on",
        "engine": "test-hears",
        "duration": 0.5,
        "bit_depth": 32,
        "loudness": "none",
        "session": {"path": str(session), "position": 48_000},
        "continue_from": {**excerpt, **fields},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", {}),
        ("import = yes\nread=no", {"import": True, "read": False}),
        ("# read = yes\n  READ =  Yes  # the user said so\n", {"read": True}),
        ("read = yes\nread = no", {"read": False}),
        ("read\nread yes\nread = \nmarkers = maybe", {"read": False, "markers": False}),
        ("read = yes\r\nimport = yes\r\n", {"read": True, "import": True}),
    ],
)
def test_the_file_is_lines_of_a_name_and_yes_or_no(session, text, said):
    (session / PERMISSIONS_FILE).write_text(text)
    assert permissions(session) == said


def test_without_the_file_nothing_is_allowed(session):
    assert permissions(session) == {}
    assert session_roots(str(session)) == ()


def test_what_is_no_regular_file_of_our_own_does_not_count(session, tmp_path, monkeypatch):
    file = session / PERMISSIONS_FILE
    os.mkfifo(file)
    assert permissions(session) == {}
    file.unlink()
    file.mkdir()
    assert permissions(session) == {}
    file.rmdir()
    (tmp_path / "elsewhere").write_text(YES)
    file.symlink_to(tmp_path / "elsewhere")
    assert permissions(session) == {}
    file.unlink()
    file.write_bytes(b"\xff\xfe\0read = yes\n" + YES.encode())
    assert permissions(session)["read"] is True
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    assert permissions(session) == {}


def test_the_sessions_audio_folder_is_what_may_be_read(session):
    (session / PERMISSIONS_FILE).write_text(YES)
    assert session_roots(str(session)) == (session / "interchange",)
    assert session_roots(f"{session}/../Dusty/") == (session / "interchange",)
    for nothing in (None, "Dusty", "\0", "", "relative/path"):
        assert session_roots(nothing) == ()


def test_an_audio_folder_that_leads_out_of_the_session_does_not_count(session, tmp_path):
    (session / PERMISSIONS_FILE).write_text(YES)
    (session / "interchange").rename(tmp_path / "moved")
    (session / "interchange").symlink_to(tmp_path)
    assert session_roots(str(session)) == ()


def test_a_refusal_names_every_way_to_allow_it(session, tmp_path):
    request = GenerationRequest.from_fields(continuing(session))
    with pytest.raises(RequestError) as caught:
        need_readable(request, (tmp_path / "library",))
    assert len(caught.value.problems) == 2
    for problem in caught.value.problems:
        assert problem.startswith("continue_from: '")
        assert f"only what lies in {tmp_path / 'library'} may be read (reading.roots)" in problem
        assert problem.endswith(f"by a line 'read = yes' in {session / PERMISSIONS_FILE}")
    need_readable(request, (tmp_path,))
    (session / PERMISSIONS_FILE).write_text(YES)
    need_readable(request, (tmp_path / "library",))


def test_one_sessions_permission_opens_no_other_folder(session, tmp_path):
    (session / PERMISSIONS_FILE).write_text(YES)
    for path in (
        str(tmp_path / "a.wav"),
        str(session / "Dusty.ardour"),
        f"{session}/interchange/../../Other/interchange/a.wav",
    ):
        request = GenerationRequest.from_fields(continuing(session, path=path))
        with pytest.raises(RequestError, match="lies outside"):
            need_readable(request, (tmp_path / "library",))
    other = continuing(session)
    other["session"] = {"path": str(tmp_path / "sessions" / "Other")}
    with pytest.raises(RequestError, match="lies outside"):
        need_readable(GenerationRequest.from_fields(other), (tmp_path / "library",))


@pytest.mark.usefixtures("faulty_engines")
def test_a_job_goes_on_from_a_sessions_audio_only_where_the_session_lets_it(session, tmp_path):
    sources = sorted((session / "interchange" / "Dusty" / "audiofiles").iterdir())
    before = [(hashlib.sha256(file.read_bytes()).digest(), file.stat().st_mtime_ns) for file in sources]

    async def main():
        async with running_core(tmp_path / "home") as core:
            with pytest.raises(RequestError, match="read = yes"):
                await core.intake.submit(continuing(session), Source("cli"))
            with pytest.raises(RequestError, match=r"request 2: continue_from: .*read = yes"):
                await core.intake.submit_batch(
                    [{"prompt": "a", "engine": "test-noise"}, continuing(session)], Source("cli")
                )
            (session / PERMISSIONS_FILE).write_text(YES)
            allowed = await ended(core, (await core.intake.submit(continuing(session), Source("cli"))).job_id)
            core.dispatcher.pause()
            waiting = await core.intake.submit(continuing(session), Source("cli"))
            (session / PERMISSIONS_FILE).write_text("read = no\n")
            core.dispatcher.resume()
            return allowed, await ended(core, waiting.job_id)

    allowed, withdrawn = asyncio.run(main())
    assert allowed.state is JobState.COMPLETED, allowed.error_message
    made = soundfile.read(tmp_path / "home" / "library" / allowed.takes[0].files[0].final, dtype="float32")[0]
    halves = [soundfile.read(file, dtype="float32")[0][24_000:36_000] for file in sources]
    assert np.array_equal(made[:12_000], np.stack(halves, axis=1))
    assert withdrawn.state is JobState.FAILED
    assert "reading.roots" in (withdrawn.error_message or "")
    after = [(hashlib.sha256(file.read_bytes()).digest(), file.stat().st_mtime_ns) for file in sources]
    assert after == before
    assert all(stat.S_ISREG(file.stat().st_mode) for file in sources)
