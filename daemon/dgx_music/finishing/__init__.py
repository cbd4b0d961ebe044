"""Finishing: raw audio becomes a master, cut, levelled, quantised and measured. Runs in worker processes."""

from __future__ import annotations
