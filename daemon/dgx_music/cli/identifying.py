"""`dgx-music who-made`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from dgx_music.cli.looking import level_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.cli.context import Cli
    from dgx_music.library.identify import Made

__all__ = ["who_made"]


def who_made(cli: Cli, paths: Sequence[Path]) -> None:
    """Print what made each file; leaves with status 1 where something was not made here.

    Raises:
        RequestError: a file is no audio file.
    """
    from dgx_music.library.identify import Sounding, identify  # noqa: PLC0415 - numpy and soundfile

    found = [identify(cli.paths.database, cli.library, [Sounding(str(path))]) for path in paths]
    data = [
        {"file": str(path), **(made.to_json() if made else {"found": False})}
        for path, made in zip(paths, found, strict=True)
    ]
    cli.show(data, "\n".join(_text(path, made) for path, made in zip(paths, found, strict=True)))
    if None in found:
        raise typer.Exit(1)


def _text(path: Path, made: Made | None) -> str:
    if made is None:
        return f"{path}\n  not made by this installation, or changed since beyond recognition"
    how = {
        "samples": "the very samples",
        "nearly the same samples": "the same to a step of 24 bits",
        "record": "by its own record; the samples were changed since, or are not in this library",
    }[made.by]
    what = f"take {made.take}" if made.stem is None else f"the {made.stem} of take {made.take}"
    kind = "AI-generated" if made.neural else "procedural, no neural model"
    music = ", ".join(
        filter(None, (f"{made.bpm:g} BPM" if made.bpm is not None else "", made.meter or "", made.key or ""))
    )
    lines = [
        str(path),
        f"  {what} of {made.job_id} ({how})",
        f"  prompt  {made.prompt}",
        f"  made    by {made.engine}, model {made.model}, seed {made.seed} ({kind}), {made.created_at}",
        f"  level   {level_text(made.loudness_lufs, made.true_peak_dbtp)}",
        *([f"  music   {music}"] if music else []),
        *([f"  file    {made.path}"] if made.path else []),
    ]
    return "\n".join(lines)
