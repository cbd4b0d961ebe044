"""Regular chores, by APScheduler."""

from __future__ import annotations
