"""`dgx-music benchmark`: measures MusicGen on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from dgx_music.benchmark.picture import picture
from dgx_music.benchmark.report import table
from dgx_music.benchmark.run import plan, run
from dgx_music.cli.progress import progress_bar
from dgx_music.engines.musicgen.checkpoint import Missing, ModelError, locate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.cli.context import Cli

__all__ = ["benchmark"]


def benchmark(
    cli: Cli,
    *,
    model: str | None,
    durations_s: Sequence[float],
    rounds: int,
    peers: bool,
    output: Path | None,
) -> None:
    """Measure, and print the table; with `output`, also write `benchmark.json`, `.txt` and `.svg` into that folder.

    Raises:
        ModelError: the model is not on this machine.
    """
    settings = cli.config.for_engines(cli.paths).musicgen
    if model is not None:
        settings = replace(settings, model=model)
    found = locate(settings.model, settings)
    if isinstance(found, Missing):
        raise ModelError(found.reason)
    with progress_bar(quiet=cli.as_json) as report:
        data = run(plan(settings, durations_s=durations_s, peers=peers), rounds, report)
    data = {"model": found.name, **data}
    text = table(data)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "benchmark.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        (output / "benchmark.txt").write_text(text + "\n", encoding="utf-8")
        (output / "benchmark.svg").write_bytes(picture(data))
    cli.show(data, text)
