from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.errors import LibraryError
from dgx_music.library import read_provenance


def _wav(*chunks):
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a WAV file"),
        (b"ID3 and so on", "not a WAV file"),
        (_wav((b"data", b"\0" * 10)), "no iXML chunk"),
        (_wav((b"iXML", b"<BWFXML/>")), "another program wrote it"),
        (_wav((b"iXML", b"<BWFXML><DGX_MUSIC>[1]</DGX_MUSIC></BWFXML>")), "another program wrote it"),
        (_wav((b"iXML", b"<BWFXML><DGX_MUSIC>{</DGX_MUSIC></BWFXML>")), "damaged"),
        (_wav((b"iXML", b"<BWFXML>")), "damaged"),
        (_wav((b"iXML", b"\xff\xfe\x00")), "damaged"),
        (_wav((b"iXML", b'<!DOCTYPE a [<!ENTITY b "c">]><BWFXML/>')), "document type"),
        (b"RIFF\0\0\0\0WAVEiXML\xff\xff\xff\x7f", "claims 2147483647 bytes"),
    ],
    ids=[
        "empty",
        "no WAV",
        "no iXML",
        "foreign",
        "a list",
        "bad JSON",
        "bad XML",
        "no text",
        "entities",
        "huge",
    ],
)
def test_files_without_a_record_are_refused_with_a_reason(data, message, tmp_path):
    path = tmp_path / "take.wav"
    path.write_bytes(data)
    with pytest.raises(LibraryError, match=message):
        read_provenance(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(LibraryError, match="No such file"):
        read_provenance(tmp_path / "nothing.wav")


@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6))
def test_no_damage_breaks_the_reader(cut, flips, tmp_path_factory):
    document = b'<?xml version="1.0"?><BWFXML><DGX_MUSIC>{"seed": 1, "prompt": "x"}</DGX_MUSIC></BWFXML>'
    data = bytearray(_wav((b"fmt ", b"\0" * 16), (b"iXML", document), (b"data", b"\0" * 8)))
    for place, value in flips:
        data[int(place * (len(data) - 1))] = value
    path = Path(tmp_path_factory.mktemp("damaged")) / "take.wav"
    path.write_bytes(data[: int(cut * len(data))])
    try:
        record = read_provenance(path)
    except LibraryError as err:
        refusal = str(err)
        record = {}
    else:
        refusal = str(path)
    assert isinstance(record, dict)
    assert str(path) in refusal
