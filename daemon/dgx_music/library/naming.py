"""Speaking file names that Ardour's Cue page reads the tempo from, and that never collide.

Ardour takes a clip's tempo from the first `bpm` in its name: the number just before it, provided that
something stands before the number. So the tempo comes last, and no other `bpm` may stand anywhere else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

__all__ = ["MAX_NAME_BYTES", "folder_of", "slug", "take_file_name"]

MAX_NAME_BYTES = 200
"""Below the 255 of common file systems, with room for what Ardour appends on import."""
_MAX_SLUG = 48
_MAX_PART = 24
_TEMPO_FIGURE = re.compile(r"\d+(?:[.,]\d+)?[\s_-]*bpm", re.IGNORECASE)
_NO_DECOMPOSITION = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th"}
)


def take_file_name(
    prompt: str,
    *,
    engine: str,
    job_id: str,
    take_index: int,
    bpm: float | None = None,
    key: str | None = None,
    stem: str | None = None,
    edition: int = 1,
) -> str:
    """Return `<prompt>_<engine>_<job>_t<take>[_<stem>][_<key>][_<tempo>bpm].wav`, ASCII, at most 200 bytes.

    The job's id and the take's number make the name unique; everything else is there to be read.

    Args:
        prompt: any text; words in it that speak of a tempo are left out.
        engine: the engine's name.
        job_id: `gen_` and hex digits.
        take_index: 0 for the first take, which is called `t1`.
        bpm: the tempo, where it is known.
        key: such as `C# minor`, where it is known.
        stem: the part's name, for a stem.
        edition: above 1 where the name is taken already; the take is then called `t1-2`.
    """
    take = f"t{take_index + 1}" if edition == 1 else f"t{take_index + 1}-{edition}"
    parts = [slug(prompt, _MAX_SLUG) or "take", slug(engine, _MAX_PART) or "engine", _clean_id(job_id), take]
    if stem is not None:
        parts.append(slug(stem, _MAX_PART) or "stem")
    if key:
        parts.append(slug(key.replace("#", " sharp").replace("b ", " flat "), _MAX_PART))
    if bpm is not None:
        parts.append(f"{bpm:.3f}".rstrip("0").rstrip(".") + "bpm")
    return "_".join(parts) + ".wav"


def folder_of(day: date) -> str:
    """Return the library folder of a day, `2026/11/22`."""
    return f"{day.year:04d}/{day.month:02d}/{day.day:02d}"


def slug(text: str, max_length: int) -> str:
    """Return words of small ASCII letters and digits joined by hyphens, cut at a word's end where possible."""
    folded = unicodedata.normalize(
        "NFKD", _TEMPO_FIGURE.sub(" ", text).casefold().translate(_NO_DECOMPOSITION)
    )
    words = "-".join(re.findall(r"[a-z0-9]+", re.sub(r"[\u0300-\u036f'’]", "", folded)))
    # Taking a bpm out can bring the halves of another together.
    while "bpm" in words:
        words = "-".join(re.findall(r"[a-z0-9]+", words.replace("bpm", "")))
    if len(words) <= max_length:
        return words
    cut = words[: max_length + 1]
    whole = cut[: cut.rfind("-")] if cut.rfind("-") > max_length // 2 else cut[:max_length]
    return whole.strip("-")


def _clean_id(job_id: str) -> str:
    return "_".join(filter(None, (slug(part, 32) for part in job_id.split("_")))) or "job"
