"""Where jobs stand that follow each other on bar lines, and the tempo map that fits them all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ardour_session import MeterChange, TempoChange, TempoMap
from dgx_music.request import BarLine, Meter, Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgx_music.jobs import Job

__all__ = ["PlacedJob", "known_tempo", "place_jobs", "tempo_map_of"]

_FALLBACK_BPM = 120.0
_TICKS_PER_QUARTER = 1920
_ROUNDING = 1e-4
"""A take that fills its bars to the sample must not spill into one more by a rounding of its length; in bars."""


@dataclass(frozen=True)
class PlacedJob:
    """A job with the bar that it starts on, counted from 1, and that bar's place in quarter notes."""

    job: Job
    bar: int
    quarters: Fraction
    timeline: Timeline
    """Its own tempo and meter."""
    lines: tuple[BarLine, ...]
    """The bars that it fills, the last perhaps in part; their places count from its start."""

    @property
    def length_quarters(self) -> Fraction:
        """How far it is to the bar line behind it."""
        return self.lines[-1].quarters + self.lines[-1].meter.quarters_per_bar


def known_tempo(job: Job) -> float | None:
    """Return the tempo that a job was played or asked for in, at its start: quarter notes a minute, `None` if unknown."""
    return job.takes[0].bpm or job.request.bpm


def place_jobs(jobs: Sequence[Job]) -> list[PlacedJob]:
    """Let jobs that have takes follow each other, each on the first bar line after the one before."""
    placed: list[PlacedJob] = []
    bar, quarters = 1, Fraction(0)
    for job in jobs:
        timeline = _timeline(job)
        placed.append(PlacedJob(job, bar, quarters, timeline, _lines(job, timeline)))
        bar += len(placed[-1].lines)
        quarters += placed[-1].length_quarters
    return placed


def tempo_map_of(placed: Sequence[PlacedJob]) -> TempoMap:
    """Return the tempo map in which each job has its own tempo and meter."""
    tempos: dict[Fraction, TempoChange] = {}
    meters: list[MeterChange] = []
    for item in placed:
        tempos |= {tempo.quarters: tempo for tempo in _tempos(item)}
        for number, line in enumerate(item.lines):
            meter = MeterChange(line.meter.beats, line.meter.note_value, item.bar + number)
            if not meters or _kind(meters[-1]) != _kind(meter):
                meters.append(meter)
    ordered = [tempos[place] for place in sorted(tempos)]
    changes = ordered[:1]
    for tempo in ordered[1:]:
        if tempo.end_bpm is not None or changes[-1].end_bpm is not None or changes[-1].bpm != tempo.bpm:
            changes.append(tempo)
    return TempoMap(tuple(changes), tuple(meters))


def _timeline(job: Job) -> Timeline:
    if job.request.timeline is not None:
        return job.request.timeline
    first = job.takes[0]
    bpm = known_tempo(job) or first.tempo_measured_bpm or _FALLBACK_BPM
    meter = Meter.parse(first.meter) if first.meter else job.request.time_signature
    return Timeline.constant(Fraction(bpm), meter, Fraction(_longest(job), first.sample_rate_hz))


def _lines(job: Job, timeline: Timeline) -> tuple[BarLine, ...]:
    end = float(timeline.quarters_at(Fraction(_longest(job), job.takes[0].sample_rate_hz)))
    shortest = min(line.meter.quarters_per_bar for line in timeline.meters)
    lines = timeline.bar_lines(math.ceil(end / shortest) + 1)
    return tuple(
        line
        for line in lines
        if line.quarters == 0 or end - line.quarters > _ROUNDING * line.meter.quarters_per_bar
    )


def _longest(job: Job) -> int:
    return max(take.frames for take in job.takes)


def _tempos(item: PlacedJob) -> list[TempoChange]:
    timeline, found = item.timeline, []
    end = item.length_quarters
    stretches = [stretch for stretch in timeline.stretches if stretch.start_quarters < end]
    for stretch in stretches:
        place = Fraction(round(stretch.start_quarters * _TICKS_PER_QUARTER), _TICKS_PER_QUARTER)
        to_bpm = (
            stretch.bpm_at(end) if stretch is stretches[-1] else stretch.to_bpm
        )  # it may go on behind the job
        found.append(
            TempoChange(stretch.from_bpm, item.quarters + place, 4, to_bpm if stretch.glides else None)
        )
    if stretches and stretches[-1].glides:  # it has to end somewhere
        found.append(TempoChange(stretches[-1].bpm_at(end), item.quarters + end))
    return found


def _kind(meter: MeterChange) -> tuple[int, int]:
    return meter.beats_per_bar, meter.note_value
