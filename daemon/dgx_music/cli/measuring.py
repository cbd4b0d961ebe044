"""`dgx-music measure`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dgx_music.cli.looking import level_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.cli.context import Cli

__all__ = ["measure"]


def measure(cli: Cli, files: Sequence[Path]) -> None:
    """Print what is measured on each file.

    Raises:
        AudioError: a file cannot be read as audio.
    """
    from dgx_music.finishing.measure import measure_file  # noqa: PLC0415 - loads scipy and librosa

    measured = [measure_file(path) for path in files]
    texts = []
    for path, found in zip(files, measured, strict=True):
        tempo = (
            "none" if found.tempo_bpm is None else f"{found.tempo_bpm:.2f} BPM ({found.tempo_confidence:.2f})"
        )
        key = "none" if found.key is None else f"{found.key} ({found.key_confidence:.2f})"
        texts.append(
            f"{path}\n"
            f"  level   {level_text(found.loudness_lufs, found.true_peak_dbtp)}\n"
            f"  format  {found.sample_rate_hz} Hz, {found.channels} ch, {found.duration_s:.3f} s\n"
            f"  tempo   {tempo}\n"
            f"  key     {key}"
        )
    data = [{"path": str(path), **asdict(found)} for path, found in zip(files, measured, strict=True)]
    cli.show(data, "\n".join(texts))
