"""What the drop folder reports of itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DropCounters"]


@dataclass
class DropCounters:
    """What the drop folder has seen since its start."""

    claimed: int = 0
    jobs: int = 0
    done: int = 0
    """Files in `done/`."""
    failed: int = 0
    """Files in `failed/` because a job ended without takes."""
    refused: int = 0
    """Files in `failed/` from which no job was started."""
    denied: int = 0
    """Files that could not be read or moved, and stay where they are."""
    retried: int = 0
    """Times that something failed and will be tried again."""
    scans: int = 0
    rearmed: int = 0
    """Times that the folder had vanished or been replaced."""
