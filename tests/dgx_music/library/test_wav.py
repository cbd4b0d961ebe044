from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.library.chunks import bext, info_list
from dgx_music.library.wav import Chunk, header, write_wav

NOTHING = ()


def _chunks(data):
    """Return `(id, offset, size)` of each chunk in a RIFF or RF64 head."""
    found, at = [], 12
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        found.append((data[at : at + 4], at + 8, size))
        at += 8 + size + size % 2
    return found


@given(
    frames=st.integers(0, 2**33),
    channels=st.integers(1, 2),
    bits=st.sampled_from([16, 24, 32]),
    extra=st.lists(st.binary(max_size=9), max_size=3),
)
def test_the_head_is_consistent_for_every_size(frames, channels, bits, extra):
    metadata = [Chunk(b"xtra", data) for data in extra]
    head = header(frames=frames, channels=channels, sample_rate_hz=48_000, bit_depth=bits, metadata=metadata)
    data_bytes = frames * channels * bits // 8
    riff_bytes = len(head) - 8 + data_bytes + data_bytes % 2
    assert len(head) % 2 == 0
    chunks = {name: (at, size) for name, at, size in _chunks(head)}
    if head[:4] == b"RIFF":
        assert struct.unpack_from("<I", head, 4)[0] == riff_bytes
        assert chunks[b"data"][1] == data_bytes
    else:
        assert head[:4] == b"RF64"
        assert riff_bytes - 36 > 0xFFFFFFFF
        at, size = chunks[b"ds64"]
        assert (at, size) == (20, 28)
        assert struct.unpack_from("<QQQI", head, at) == (riff_bytes, data_bytes, frames, 0)
        assert chunks[b"data"][1] == 0xFFFFFFFF


def test_a_file_beyond_4_gib_is_read_by_libsndfile(tmp_path):
    frames = 2**31
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(header(frames=frames, channels=1, sample_rate_hz=48_000, bit_depth=24, metadata=NOTHING))
        file.truncate(file.tell() + frames * 3)  # a hole: no disk is filled
    info = soundfile.info(path)
    assert (info.frames, info.format) == (frames, "RF64")


def test_an_odd_number_of_bytes_is_padded(tmp_path):
    path = tmp_path / "odd.wav"
    audio = np.array([[1, -2, 3]], np.int32)
    _, size = write_wav(path, audio, sample_rate_hz=48_000, bit_depth=24, metadata=NOTHING)
    data = path.read_bytes()
    assert size == len(data) == 12 + 24 + 8 + 9 + 1
    assert data[-10:] == b"\x01\0\0\xfe\xff\xff\x03\0\0\0"
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8


def test_a_file_that_exists_is_not_replaced(tmp_path):
    path = tmp_path / "mine.wav"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_wav(path, np.zeros((1, 10), np.int16), sample_rate_hz=48_000, bit_depth=16, metadata=NOTHING)
    assert path.read_bytes() == b"mine"


def test_bext_has_its_fixed_size_whatever_the_text(tmp_path):
    from datetime import UTC, datetime

    chunk = bext(
        description="é" * 500,
        reference="r" * 50,
        made_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        time_reference_samples=2**40,
        level=None,
        coding_history="",
    )
    assert len(chunk.data) == 602 + len(b"\r\n\0")
    assert chunk.data[:256] == b"?" * 256
    assert chunk.data[288:320] == b"r" * 32


@given(texts=st.dictionaries(st.sampled_from(["INAM", "ICMT", "ISFT"]), st.text(max_size=20)))
def test_an_info_list_is_a_chain_of_even_chunks(texts):
    data = info_list(texts).encoded()
    assert len(data) % 2 == 0
    assert [name.decode() for name, _, _ in _chunks(data)] == list(texts)
