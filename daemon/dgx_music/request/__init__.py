"""What is to be made: one validated request for every surface."""

from __future__ import annotations

from dgx_music.request.model import MAX_DURATION_S, AudioExcerpt, GenerationRequest, SessionTarget
from dgx_music.request.music import Key, Meter, exact_fraction
from dgx_music.request.prompt import PromptFacts, read_prompt

__all__ = [
    "MAX_DURATION_S",
    "AudioExcerpt",
    "GenerationRequest",
    "Key",
    "Meter",
    "PromptFacts",
    "SessionTarget",
    "exact_fraction",
    "read_prompt",
]
