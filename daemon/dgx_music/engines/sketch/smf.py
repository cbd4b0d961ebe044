"""Standard MIDI files, format 0, from channel messages at absolute ticks."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["all_sound_off", "note_off", "note_on", "program_change", "write_smf"]


def note_on(channel: int, pitch: int, velocity: int) -> bytes:
    """Return the message that strikes a key, velocity 1 to 127."""
    return bytes((0x90 | channel, pitch, velocity))


def note_off(channel: int, pitch: int) -> bytes:
    """Return the message that releases a key."""
    return bytes((0x80 | channel, pitch, 0))


def program_change(channel: int, program: int) -> bytes:
    """Return the message that chooses an instrument, 0 to 127."""
    return bytes((0xC0 | channel, program))


def all_sound_off(channel: int) -> bytes:
    """Return the message that silences a channel at once (controller 120)."""
    return bytes((0xB0 | channel, 120, 0))


def write_smf(messages: Iterable[tuple[int, bytes]], *, division: int, tempo_us: int, end: int) -> bytes:
    """Return a file (MIDI 1.0, RP-001).

    Args:
        messages: `(tick, message)`; at one tick they keep their order.
        division: ticks a quarter note, 1 to 32767.
        tempo_us: microseconds a quarter note.
        end: the tick at which the track ends, at the earliest.
    """
    track = bytearray(b"\x00\xff\x51\x03" + tempo_us.to_bytes(3, "big"))
    now = 0
    for tick, message in sorted(messages, key=lambda item: item[0]):
        track += _variable_length(tick - now) + message
        now = tick
    track += _variable_length(max(0, end - now)) + b"\xff\x2f\x00"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, division)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + bytes(track)


def _variable_length(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))
