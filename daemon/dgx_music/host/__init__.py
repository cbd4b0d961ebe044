"""Worker processes: start, feed, watch, stop."""

from __future__ import annotations
