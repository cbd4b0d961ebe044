"""Preparing in another process: how it ends is told, and whoever gives up ends it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from dgx_music.engines.musicgen import prepare
from dgx_music.engines.musicgen.checkpoint import ModelError
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.errors import EngineError


@pytest.fixture
def prepare_by(monkeypatch, tmp_path):
    """Return a function that prepares by a shell script in the other process's stead."""

    def prepare_by(script, loading=lambda _share: None):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        program.chmod(0o700)
        monkeypatch.setattr(prepare.sys, "executable", str(program))
        files = SimpleNamespace(name="musicgen-small", folder=tmp_path)
        prepare.prepare_apart(files, MusicGenSettings(), loading)

    return prepare_by


def test_progress_is_passed_on_and_what_a_library_prints_is_not(prepare_by):
    shares = []
    prepare_by(
        """cat >/dev/null; echo '{"fraction": 0.5}'; echo loading; echo '{"fraction": 1.0}'""", shares.append
    )
    assert shares == [0.5, 1.0]


def test_an_error_keeps_its_kind(prepare_by):
    with pytest.raises(ModelError, match="too short"):
        prepare_by(f"""cat >/dev/null; echo '{{"error": "too short", "code": "{ModelError.code}"}}'""")


def test_a_process_that_was_killed_for_want_of_memory_is_told_as_such(prepare_by):
    with pytest.raises(
        EngineError, match="musicgen-small was ended by signal 9; systems short of memory do that"
    ):
        prepare_by("kill -9 $$")


def test_a_process_that_ends_unheard_is_told_with_its_status(prepare_by):
    with pytest.raises(
        EngineError, match="musicgen-small ended with status 3; its last words are in the log"
    ):
        prepare_by("exec <&-; exit 3")


def test_whoever_gives_up_ends_the_process(prepare_by):
    class GaveUpError(Exception):
        pass

    def give_up(_share):
        raise GaveUpError

    began_s = time.monotonic()
    with pytest.raises(GaveUpError):
        prepare_by("""echo '{"fraction": 0.1}'; exec sleep 60""", give_up)
    assert time.monotonic() - began_s < 20
