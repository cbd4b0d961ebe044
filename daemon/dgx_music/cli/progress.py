"""One progress bar for every command that waits."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[float, str], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda _fraction, _step: None
        return
    from rich.console import Console  # noqa: PLC0415 - wanted only where somebody looks
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<16}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("queued", total=1.0)
        yield lambda fraction, step: bar.update(task, completed=fraction, description=step.replace("_", " "))
