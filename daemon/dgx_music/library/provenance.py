"""How a file was made: the record that goes into every take, and back out of it.

The record is JSON inside the iXML chunk's `DGX_MUSIC` element; `make it again` needs nothing else.
"""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from dgx_music.errors import LibraryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["ELEMENT", "how_made", "ixml", "read_provenance"]

ELEMENT = "DGX_MUSIC"
_MAX_IXML_BYTES = 4 * 1024 * 1024
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def how_made(*, neural: bool) -> str:
    """Return the words that say whether a neural model made the audio."""
    return "AI-generated" if neural else "procedural, no neural model"


def ixml(
    record: dict[str, Any],
    *,
    note: str,
    take: int,
    tracks: Sequence[str],
    sample_rate_hz: int,
    bit_depth: int,
) -> bytes:
    """Return the iXML document that holds the record, and what other programs look for in iXML."""
    root = ET.Element("BWFXML")
    for tag, text in (
        ("IXML_VERSION", "2.10"),
        ("PROJECT", "DGX Music"),
        ("SCENE", str(record.get("job_id", ""))),
        ("TAKE", str(take)),
        ("NOTE", note),
    ):
        ET.SubElement(root, tag).text = _NOT_IN_XML.sub("�", text)
    speed = ET.SubElement(root, "SPEED")
    for tag, text in (
        ("FILE_SAMPLE_RATE", str(sample_rate_hz)),
        ("AUDIO_BIT_DEPTH", str(bit_depth)),
    ):
        ET.SubElement(speed, tag).text = text
    track_list = ET.SubElement(root, "TRACK_LIST")
    ET.SubElement(track_list, "TRACK_COUNT").text = str(len(tracks))
    for number, name in enumerate(tracks, 1):
        track = ET.SubElement(track_list, "TRACK")
        for tag, text in (("CHANNEL_INDEX", str(number)), ("INTERLEAVE_INDEX", str(number)), ("NAME", name)):
            ET.SubElement(track, tag).text = text
    # ASCII JSON keeps control characters and lone surrogates of a prompt out of the XML and intact.
    ET.SubElement(root, ELEMENT).text = json.dumps(record, ensure_ascii=True, sort_keys=True)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def read_provenance(path: Path) -> dict[str, Any]:
    """Return the record that a take of ours carries.

    Raises:
        LibraryError: when the file cannot be read, is no WAV, or carries no record of ours.
    """
    try:
        document = _find_chunk(path, b"iXML")
    except OSError as err:
        raise LibraryError(f"{path}: cannot be read: {err.strerror}") from err
    if document is None:
        raise LibraryError(
            f"{path}: carries no iXML chunk, so it was not made by DGX Music or was saved anew since"
        )
    if b"<!" in document:
        raise LibraryError(
            f"{path}: its iXML chunk declares a document type, which no take of DGX Music does"
        )
    try:
        text = ET.fromstring(document.rstrip(b"\0")).findtext(ELEMENT)  # noqa: S314 - no DTD, bounded size
        record = json.loads(text) if text else None
    except (ET.ParseError, ValueError) as err:
        raise LibraryError(f"{path}: its iXML chunk is damaged: {err}") from err
    if not isinstance(record, dict):
        raise LibraryError(f"{path}: its iXML chunk holds no {ELEMENT} record, so another program wrote it")
    return record


def _find_chunk(path: Path, wanted: bytes) -> bytes | None:
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] not in (b"RIFF", b"RF64") or start[8:12] != b"WAVE":
            raise LibraryError(f"{path}: is not a WAV file; takes are RIFF/WAVE or RF64")
        while len(head := file.read(8)) == 8:
            size = struct.unpack("<I", head[4:])[0]
            if head[:4] == wanted:
                if size > _MAX_IXML_BYTES:
                    raise LibraryError(
                        f"{path}: its iXML chunk claims {size} bytes; at most {_MAX_IXML_BYTES} are read"
                    )
                return file.read(size)
            file.seek(size + size % 2, 1)
    return None
