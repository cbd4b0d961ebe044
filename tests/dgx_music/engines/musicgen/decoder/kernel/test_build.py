"""Compiling the decoder where the user is: found again, and a clear word where it cannot be."""

import pytest

from dgx_music.engines.musicgen.decoder.kernel import build
from dgx_music.engines.musicgen.decoder.kernel.binding import Kernel
from dgx_music.errors import EngineError, EngineUnavailableError


def needs_a_fast_path():
    if build.best_variants() == [build.PORTABLE]:
        pytest.skip("this processor has no fast path")


def test_it_is_compiled_once(tmp_path, libraries):
    needs_a_fast_path()
    made = build.build_kernel(tmp_path)
    before = made.stat().st_mtime_ns
    assert build.build_kernel(tmp_path) == made
    assert made.stat().st_mtime_ns == before
    assert build.kernel_unavailable(tmp_path) is None


def test_without_a_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert "apt install gcc" in build.kernel_unavailable(tmp_path / "cache")


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    needs_a_fast_path()
    broken = tmp_path / "cc"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit\necho "no such thing" >&2\nexit 3\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert "no such thing" in build.kernel_unavailable(tmp_path / "cache")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.suffix == ".so"]


def test_a_compiler_too_old_for_the_newest_instructions_gets_the_next_path(tmp_path, monkeypatch, libraries):
    needs_a_fast_path()
    newest = build.Variant("newest", "", frozenset(), ("-mno-such-instructions",))
    monkeypatch.setattr(build, "VARIANTS", (newest, *build.VARIANTS))
    assert build.build_kernel(tmp_path).parent.name.startswith(f"kernel-{build.best_variants()[1].name}")


def test_a_processor_without_a_fast_path_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_features", frozenset)
    with pytest.raises(EngineUnavailableError, match="AVX2"):
        build.build_kernel(tmp_path)


def test_a_file_that_is_no_decoder_is_refused(tmp_path):
    (tmp_path / "decoder.so").write_bytes(b"\x7fELF nonsense")
    with pytest.raises(EngineError, match="no compiled decoder"):
        Kernel(tmp_path / "decoder.so", tmp_path, None, positions=None, longest=1, threads=1)
