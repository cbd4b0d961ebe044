from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ardour_session import SessionError, WavHeader, read_wav_header


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_headers_written_by_libsndfile_are_read(tmp_path, subtype, container):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros((1234, 3)), 44_100, subtype=subtype, format=container)
    assert read_wav_header(path) == WavHeader(44_100, 3, 1234)


def test_chunks_before_the_audio_are_stepped_over_with_their_padding(tmp_path):
    path = tmp_path / "x.wav"
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 48_000, 96_000, 2, 16)
    odd = struct.pack("<4sI", b"note", 3) + b"abc\0"
    data = struct.pack("<4sI", b"data", 10) + bytes(10)
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(odd + fmt + data), b"WAVE") + odd + fmt + data)
    assert read_wav_header(path) == WavHeader(48_000, 1, 5)


def test_a_file_cut_off_has_only_the_frames_that_are_there(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros((1000, 2)), 48_000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: -4 * 100])
    assert read_wav_header(path).frames == 900


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends inside its header"),
        (b"fLaC" + bytes(40), "not a WAV file"),
        (b"RIFF\x24\0\0\0WAVE", "no 'data' chunk"),
        (b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0\0\0\0\0", "no 'fmt ' chunk"),
    ],
)
def test_what_is_no_wav_file_is_refused_with_its_path(tmp_path, content, reason):
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=reason) as caught:
        read_wav_header(path)
    assert caught.value.path == path


@settings(max_examples=200)
@given(st.binary(max_size=64), st.booleans())
def test_no_bytes_make_it_fail_in_another_way(tmp_path_factory, content, with_start):
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    path.write_bytes((b"RIFF\0\0\0\0WAVE" if with_start else b"") + content)
    try:
        header = read_wav_header(path)
    except SessionError:
        return
    assert header.frames >= 0
