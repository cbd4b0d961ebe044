"""Reads standard MIDI files (MIDI 1.0, RP-001) without the code that wrote them."""

from __future__ import annotations

import struct


def read_meta_events(data: bytes) -> tuple[int, int, list[tuple[int, int, bytes]]]:
    """Format, ticks a quarter note, and the meta events as (tick, kind, data); anything else in the track fails."""
    kind, length, file_format, tracks, division = struct.unpack(">4sIHHH", data[:14])
    assert (kind, length, tracks) == (b"MThd", 6, 1)
    kind, length = struct.unpack(">4sI", data[14:22])
    assert kind == b"MTrk"
    assert len(data) == 22 + length
    at, tick, events = 22, 0, []
    while at < len(data):
        delta, at = _variable_length(data, at)
        tick += delta
        assert data[at] == 0xFF, "no meta event"
        kind = data[at + 1]
        size, at = _variable_length(data, at + 2)
        events.append((tick, kind, data[at : at + size]))
        at += size
    assert events[-1][1] == 0x2F
    return file_format, division, events


def tempos_and_meters(data: bytes) -> tuple[list[tuple[float, float]], list[tuple[float, str]]]:
    """Quarter notes a minute and meters, each with its place in quarter notes."""
    _, division, events = read_meta_events(data)
    tempos = [
        (tick / division, 60e6 / int.from_bytes(value, "big")) for tick, kind, value in events if kind == 0x51
    ]
    meters = [
        (tick / division, f"{value[0]}/{2 ** value[1]}") for tick, kind, value in events if kind == 0x58
    ]
    return tempos, meters


def _variable_length(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
