"""What a prompt says of tempo, meter, key and length in its own words.

Only what is unmistakable is taken: `93.5 bpm`, `7/8`, `C# minor`, `8 bars`. Everything else is left to the
engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dgx_music.request.music import Key, Meter

__all__ = ["PromptFacts", "read_prompt"]

_BPM = re.compile(r"(?<![\d.,])(\d{2,3}(?:[.,]\d{1,4})?)[\s-]*bpm\b", re.IGNORECASE)
_METER = re.compile(r"(?<![\d/])(\d{1,2}/(?:1|2|4|8|16|32))(?![\d/])")
_BARS = re.compile(r"(?<![\d.,])(\d{1,3})[\s-]*bars?\b", re.IGNORECASE)
# A lone capital letter is a tonic; a small one only where an accidental or "key of" leaves no doubt.
_KEY = re.compile(
    r"(?:(?<![\w#♯♭'])([A-G](?:\s?[#♯]|[b♭]|[\s-]?sharp|[\s-]?flat)?)[\s-]*(major|minor|maj|min)\b"
    r"|(?<![\w#♯♭'])([a-g](?:[#♯]|[\s-]?sharp|[\s-]?flat|b|♭))[\s-]*(major|minor|maj|min)\b"
    r"|\bkey of ([A-Ga-g](?:\s?[#♯]|[b♭]|[\s-]?sharp|[\s-]?flat)?)(?:[\s-]*(major|minor|maj|min))?\b)",
)


@dataclass(frozen=True)
class PromptFacts:
    """What was found; `None` where the prompt says nothing, or nothing within bounds."""

    bpm: float | None
    meter: Meter | None
    key: Key | None
    bars: int | None


def read_prompt(prompt: str) -> PromptFacts:
    """Find tempo (quarter notes a minute), meter, key and number of bars in free text."""
    return PromptFacts(_bpm(prompt), _meter(prompt), _key(prompt), _bars(prompt))


def _bpm(prompt: str) -> float | None:
    match = _BPM.search(prompt)
    if not match:
        return None
    bpm = float(match[1].replace(",", "."))
    return bpm if 20 <= bpm <= 400 else None


def _meter(prompt: str) -> Meter | None:
    for match in _METER.finditer(prompt):
        try:
            return Meter.parse(match[1])
        except ValueError:
            continue
    return None


def _key(prompt: str) -> Key | None:
    match = _KEY.search(prompt)
    if not match:
        return None
    tonic, mode = next((match[i], match[i + 1]) for i in (1, 3, 5) if match[i])
    return Key.parse(f"{tonic.strip().replace('-', ' ')} {mode or 'major'}")


def _bars(prompt: str) -> int | None:
    match = _BARS.search(prompt)
    return int(match[1]) if match and 1 <= int(match[1]) <= 512 else None
