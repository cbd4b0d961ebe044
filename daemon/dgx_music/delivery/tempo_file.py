"""A take's tempo as a standard MIDI file that holds nothing else, for a session that is to follow the music.

Ardour takes a file's tempo over where *Use MIDI Tempo Map* is ticked on import. It puts every change onto a whole
quarter note (`Editor::import_smf_tempo_map` in its gtk2_ardour/editor_audio_import.cc), and a MIDI file has no glides:
so a glide is written as one tempo a quarter note, each as long as the glide takes there.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.smf import write_smf
from dgx_music.request import Timeline

if TYPE_CHECKING:
    from dgx_music.jobs import Job
    from dgx_music.library.take import Take

__all__ = ["tempo_file", "tempo_of"]

_TICKS_PER_QUARTER = 1920
"""As Ardour's own, so that a change stands on a tick here where it does there."""
_MAX_BARS = 10_000


def tempo_of(job: Job, take: Take, *, measured: bool = False) -> Timeline | None:
    """Return the tempo and meter of a take; `None` where neither is known.

    Args:
        job: the take's job.
        take: one of its takes.
        measured: what was heard in the audio, rather than what the engine played in.
    """
    request = job.request
    if not measured and request.timeline is not None and not take.neural:
        return request.timeline  # played to the sample; a neural engine is only asked to
    bpm = take.tempo_measured_bpm if measured or take.bpm is None else take.bpm
    if bpm is None:
        return None
    meter = request.time_signature if take.meter is None else type(request.time_signature).parse(take.meter)
    return Timeline.constant(Fraction(repr(float(bpm))), meter, Fraction(take.frames, take.sample_rate_hz))


def tempo_file(timeline: Timeline, title: str) -> bytes:
    """Return a standard MIDI file, format 0, with tempo and meter and no notes.

    A MIDI file counts a quarter note in whole microseconds: 93.5 BPM becomes 641 711 µs, that is 93.50003 BPM.

    Args:
        timeline: the take's time.
        title: what the track is called.
    """
    end = timeline.length_quarters
    tempos = _tempos(timeline, end)
    events = [(0, _meta(0x03, title.encode()[:127])), *_meters(timeline, end)]
    events += [(_tick(place), _meta(0x51, us.to_bytes(3, "big"))) for place, us in tempos[1:]]
    return write_smf(
        events, division=_TICKS_PER_QUARTER, tempo_us=tempos[0][1], end=ceil(end * _TICKS_PER_QUARTER)
    )


def _tempos(timeline: Timeline, end: Fraction) -> list[tuple[Fraction, int]]:
    found: list[tuple[Fraction, int]] = []
    changes = timeline.changes
    for place, following in zip(changes, (*changes[1:], end), strict=True):
        if not timeline.glides_at(place):
            found.append((place, _microseconds(60 / timeline.bpm_at(place))))
            continue
        steps = [place, *map(Fraction, range(floor(place) + 1, ceil(following))), following]
        for step, until in pairwise(steps):
            quarter_s = (timeline.seconds_at(until) - timeline.seconds_at(step)) / (until - step)
            found.append((step, _microseconds(quarter_s)))
    return found


def _meters(timeline: Timeline, end: Fraction) -> list[tuple[int, bytes]]:
    events: list[tuple[int, bytes]] = []
    known = None
    for line in timeline.bar_lines(min(_MAX_BARS, ceil(end) * 8 + 1)):
        if line.quarters >= end and events:
            break
        if line.meter != known:
            known = line.meter
            power = known.note_value.bit_length() - 1
            events.append((_tick(line.quarters), _meta(0x58, bytes((known.beats, power, 24, 8)))))
    return events


def _microseconds(quarter_s: Fraction) -> int:
    return min(max(1, round(quarter_s * 1_000_000)), 0xFFFFFF)


def _tick(quarters: Fraction) -> int:
    return round(quarters * _TICKS_PER_QUARTER)


def _meta(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind, len(data))) + data
