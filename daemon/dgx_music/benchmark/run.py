"""Which measurements are made, in which order, and what comes of their rounds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dgx_music.benchmark.machine import describe
from dgx_music.benchmark.task import EngineName, Task, measure
from dgx_music.engines.musicgen.choice import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dgx_music.engines.musicgen.settings import MusicGenSettings, Precision

__all__ = ["Result", "plan", "run"]

_BATCHES = (1, 4, 8)
_PEERS: tuple[EngineName, ...] = ("audiocraft", "transformers")
_LATE_FRAME = 1440
"""Close to 30 s, where the cache is fullest."""
_MIDDLE_FRAME = 500
_TARGETS_S = {8.0: 10.0, 16.0: 18.0, 30.0: 28.0}
"""So many seconds of audio within so many, prompt to waveform: what the first DGX Music promised."""


@dataclass
class Result:
    """A task and what its rounds gave."""

    name: str
    task: Task
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def skipped(self) -> str:
        """Why there are no figures; empty where there are."""
        return next((str(each["skipped"]) for each in self.rounds if "skipped" in each), "")

    def median(self, name: str) -> float | None:
        """Return the median of a figure over the rounds, `None` where it was not measured."""
        values = [each[name] for each in self.rounds if isinstance(each.get(name), int | float)]
        return statistics.median(values) if values else None

    def best(self, name: str, *, largest: bool) -> float | None:
        """Return the best of a figure over the rounds."""
        values = [each[name] for each in self.rounds if isinstance(each.get(name), int | float)]
        return (max if largest else min)(values) if values else None

    def to_json(self) -> dict[str, Any]:
        """Return the figures with their names: medians, and every round."""
        names = sorted({name for each in self.rounds for name in each if name != "skipped"})
        return {
            "name": self.name,
            "kind": self.task.kind,
            "engine": self.task.engine,
            "precision": self.task.settings.precision,
            "batch": self.task.batch,
            "at_frame": self.task.at_frame if self.task.kind == "steps" else None,
            "duration_s": self.task.duration_s if self.task.kind == "take" else None,
            "target_s": _TARGETS_S.get(self.task.duration_s) if self.task.kind == "take" else None,
            "skipped": self.skipped(),
            "median": {name: self.median(name) for name in names if self.median(name) is not None},
            "rounds": self.rounds,
        }


def plan(settings: MusicGenSettings, *, durations_s: Iterable[float], peers: bool) -> list[Result]:
    """Return what is to be measured, in the order in which a round goes through it."""
    choice = choose(settings)
    own = replace(settings, precision=choice.precision)
    results = [Result("memory bandwidth", Task("bandwidth", own))]
    for frame in (0, _MIDDLE_FRAME, _LATE_FRAME):
        for batch in _BATCHES:
            name = f"{choice.precision}, batch {batch}, after {frame} frames"
            results.append(Result(name, Task("steps", own, batch=batch, at_frame=frame)))
    others = [each for each in _precisions(choice.device) if each != choice.precision]
    for precision in others:
        other = replace(settings, precision=precision)
        results += [
            Result(
                f"{precision}, batch 1, after {frame} frames", Task("steps", other, at_frame=frame, steps=20)
            )
            for frame in (0, _MIDDLE_FRAME)
        ]
    if peers:
        results += [
            Result(
                f"{engine}, batch {batch}, after {frame} frames",
                Task("steps", own, engine=engine, batch=batch, at_frame=frame, steps=10),
            )
            for engine in _PEERS
            for batch, frame in ((1, 0), (1, _MIDDLE_FRAME), (8, 0))
        ]
    results += [
        Result(f"take of {duration_s:g} s", Task("take", own, duration_s=duration_s))
        for duration_s in durations_s
    ]
    results += [
        Result(f"{precision} against fp32", Task("precision", replace(settings, precision=precision)))
        for precision in (choice.precision, *others)
        if precision != "fp32"
    ]
    return results


def run(results: list[Result], rounds: int, say: Callable[[float, str], None]) -> dict[str, Any]:
    """Measure everything, round after round, and return the report's data.

    Args:
        results: from `plan`; filled in.
        rounds: how many; precision needs one only, being no matter of time.
        say: told the share done and what is being measured.
    """
    turns = [
        (number, result)
        for number in range(rounds)
        for result in results
        if number == 0 or result.task.kind != "precision"
    ]
    for done, (_, result) in enumerate(turns):
        say(done / len(turns), result.name)
        if not result.skipped():
            result.rounds.append(measure(result.task))
    return {"machine": describe(), "rounds": rounds, "results": [result.to_json() for result in results]}


def _precisions(device: str) -> tuple[Precision, ...]:
    return ("int8", "bf16", "fp32") if device == "cpu" else ("fp16", "bf16", "fp32")
