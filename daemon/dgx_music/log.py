"""Logging: one line a fact, on standard error; under systemd with the priority that journald understands."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["set_up_logging"]

_JOURNAL_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class _OneLine(logging.Formatter):
    def __init__(self, *, journal: bool) -> None:
        super().__init__(
            "%(levelname)s %(name)s: %(message)s" if journal else "%(asctime)s %(levelname)s %(message)s"
        )
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", " | ")
        return f"<{_JOURNAL_PRIORITY.get(record.levelname, 6)}>{text}" if self._journal else text


def set_up_logging(level: str, environ: Mapping[str, str]) -> None:
    """Send everything from `level` up to standard error, one line a record, tracebacks included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(journal="JOURNAL_STREAM" in environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("apscheduler", "watchdog", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
