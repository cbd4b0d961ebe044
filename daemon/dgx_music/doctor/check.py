"""What a check takes and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dgx_music.config import Config
    from dgx_music.paths import Paths

__all__ = ["Check", "Status", "Surroundings", "info", "ok", "problem", "warning"]


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    INFO = "info"
    """Nothing is wrong; something more could be had."""
    WARNING = "warning"
    """It works, but not as well as it should or not for long."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    status: Status
    message: str
    remedy: str = ""
    """What to do about it; empty where there is nothing to do."""


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at."""

    paths: Paths
    config: Config
    """The defaults where the configuration itself cannot be read; `config_error` then says why."""
    config_error: str
    environ: Mapping[str, str]

    @property
    def library(self) -> Path:
        """Where finished takes go."""
        return self.config.library.path or self.paths.library

    @property
    def inbox(self) -> Path:
        """The drop folder."""
        return self.config.inbox.path or self.paths.inbox


def ok(name: str, message: str) -> Check:
    """Return a check that found everything in order."""
    return Check(name, Status.OK, message)


def info(name: str, message: str, remedy: str = "") -> Check:
    """Return a check that found nothing wrong, but something worth knowing."""
    return Check(name, Status.INFO, message, remedy)


def warning(name: str, message: str, remedy: str) -> Check:
    """Return a check that found something to look after."""
    return Check(name, Status.WARNING, message, remedy)


def problem(name: str, message: str, remedy: str) -> Check:
    """Return a check that found something broken."""
    return Check(name, Status.PROBLEM, message, remedy)
