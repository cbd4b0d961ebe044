"""The text encoder hears of tempo and key once: from the prompt, or from the fields."""

from __future__ import annotations

import pytest

from dgx_music.engines.musicgen.description import describe
from dgx_music.request import GenerationRequest


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"prompt": "warm piano"}, "warm piano"),
        ({"prompt": "warm piano", "bpm": 93.5, "key": "a minor"}, "warm piano, bpm: 93.5, key: A minor"),
        ({"prompt": "warm piano, 84 bpm", "key": "C# minor"}, "warm piano, 84 bpm, key: C# minor"),
        ({"prompt": "warm piano in A minor, 84 bpm"}, "warm piano in A minor, 84 bpm"),
    ],
)
def test_tempo_and_key_are_told_once(fields, text):
    assert describe(GenerationRequest.from_fields(fields)) == text
