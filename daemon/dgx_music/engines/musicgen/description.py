"""What the text encoder is told: the prompt, and the tempo and key that were asked for and that it does not mention.

MusicGen was trained on descriptions that end in such facts (Copet et al. 2023, section 3.1, "condition merging").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.request.prompt import read_prompt

if TYPE_CHECKING:
    from dgx_music.request import GenerationRequest

__all__ = ["describe"]


def describe(request: GenerationRequest) -> str:
    """Return the text to encode."""
    said = read_prompt(request.prompt)
    parts = [request.prompt]
    if request.bpm is not None and said.bpm is None:
        parts.append(f"bpm: {request.bpm:g}")
    if request.key is not None and said.key is None:
        parts.append(f"key: {request.key}")
    return ", ".join(parts)
