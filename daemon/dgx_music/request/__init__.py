"""What is to be made: one validated request for every surface."""

from __future__ import annotations

from dgx_music.request.excerpt import AudioExcerpt, FileChannel
from dgx_music.request.model import MAX_DURATION_S, GenerationRequest
from dgx_music.request.music import Key, Meter, exact_fraction
from dgx_music.request.prompt import PromptFacts, read_prompt
from dgx_music.request.target import ReplacedRegion, SessionTarget
from dgx_music.request.tempo_map import BarLine, TempoPoint, Timeline

__all__ = [
    "MAX_DURATION_S",
    "AudioExcerpt",
    "BarLine",
    "FileChannel",
    "GenerationRequest",
    "Key",
    "Meter",
    "PromptFacts",
    "ReplacedRegion",
    "SessionTarget",
    "TempoPoint",
    "Timeline",
    "exact_fraction",
    "read_prompt",
]
