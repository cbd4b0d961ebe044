"""One measurement in a process of its own: `python -m dgx_music.benchmark.task` reads it from standard input as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from dgx_music.engines.musicgen.decoder.base import OutOfRoomError
from dgx_music.engines.musicgen.settings import MusicGenSettings  # noqa: TC001 - pydantic reads the types
from dgx_music.errors import DgxMusicError

__all__ = ["EngineName", "Kind", "Task", "main", "measure"]

_QUIET = {
    # What the worker has too: threads of numpy's would fight with those of the decoder.
    "OPENBLAS_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
EngineName = Literal["musicgen", "audiocraft", "transformers"]
Kind = Literal["bandwidth", "steps", "take", "precision"]


@dataclass(frozen=True)
class Task:
    """What is to be measured."""

    kind: Kind
    settings: MusicGenSettings
    """Model, device and precision among them."""
    engine: EngineName = "musicgen"
    batch: int = 1
    """Takes decoded together."""
    at_frame: int = 0
    """For `steps`: how many frames were decoded before."""
    steps: int = 50
    """For `steps`: how many are timed."""
    duration_s: float = 8.0
    """For `take`: how much audio is made."""


def measure(task: Task) -> dict[str, Any]:
    """Run a task in a process of its own.

    Returns:
        What the task gives (see the modules of its kind), with `peak_mb` of the process; or `{"skipped": reason}`.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dgx_music.benchmark.task"],
        input=json.dumps(asdict(task), default=str),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**_QUIET, **os.environ},
    )
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            result: dict[str, Any] = json.loads(line)
            return result
    return {"skipped": f"the process ended with status {done.returncode} and said nothing"}


def main() -> None:
    """Run in the process of its own."""
    task = TypeAdapter(Task).validate_json(sys.stdin.read())
    try:
        result = _run(task)
    except DgxMusicError as err:
        result = {"skipped": str(err)}
    except ImportError as err:
        result = {"skipped": f"{task.engine} needs {err.name}, which is not installed"}
    except (MemoryError, OutOfRoomError) as err:
        result = {"skipped": f"too little memory{f': {err}' if str(err) else ''}"}
    except RuntimeError as err:  # torch's OutOfMemoryError among them
        result = {"skipped": (str(err) or type(err).__name__).splitlines()[0]}
    print(json.dumps(result), flush=True)


def _run(task: Task) -> dict[str, Any]:
    from dgx_music.benchmark import machine, peers, precision, steps, takes  # noqa: PLC0415 - only here

    match task.kind:
        case "bandwidth":
            result = machine.bandwidth(task.settings)
        case "steps":
            result = steps.measure(task) if task.engine == "musicgen" else peers.measure(task)
        case "take":
            result = takes.measure(task)
        case "precision":
            result = precision.measure(task)
    return {**result, "peak_mb": machine.peak_mb()}


if __name__ == "__main__":
    main()
