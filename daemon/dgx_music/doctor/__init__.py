"""Checks an installation: each check is a small function that says what it found and what would mend it."""

from __future__ import annotations

from dgx_music.doctor.check import Check, Status, Surroundings
from dgx_music.doctor.run import run_checks

__all__ = ["Check", "Status", "Surroundings", "run_checks"]
