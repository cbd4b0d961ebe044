"""The library: masters become files with speaking names that say how they were made and never replace others.

What the daemon's process needs (`take`, `naming`, `provenance`, `publish`) imports nothing heavy; `staging`, `wav`
and `chunks` run in the worker.
"""

from __future__ import annotations

from dgx_music.library.naming import folder_of, take_file_name
from dgx_music.library.provenance import read_provenance
from dgx_music.library.publish import discard, publish, verify, withdraw
from dgx_music.library.take import StagedFile, Take

__all__ = [
    "StagedFile",
    "Take",
    "discard",
    "folder_of",
    "publish",
    "read_provenance",
    "take_file_name",
    "verify",
    "withdraw",
]
