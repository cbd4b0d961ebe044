"""What a prompt asks of the sketch engine, in fields. Tempo, meter, key and bars are in the request already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgx_music.engines.sketch.genres import DEFAULT_GENRE, GENRES, Genre
from dgx_music.engines.sketch.score import PARTS
from dgx_music.engines.sketch.words import GENRE_WORDS, INSTRUMENT_WORDS, MOOD_WORDS, WEAK_GENRE_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Brief", "read_brief"]

_NEGATIVE = r"\b(?:no|without|minus|sans|w/o|excluding|don't want)\s+(?:any\s+|the\s+|an?\s+)?"
_JOINED = r"\s*(?:,\s*(?:or|and)\b|\bor\b|\band\b|\bnor\b|&)\s+(?:no\s+|any\s+|the\s+)?"
_LESS = re.compile(r"\b(drum|bass|beat|percussion|melody|chord|pad|lead)-?(?:less|free)\b")
_ONLY = re.compile(
    r"\b(?:only|just|solely|nothing but|isolated|solo|unaccompanied|a cappella)\b|\balone\b|\bonly\b"
)
# What may follow the noun that a clause is about: "dusty drums loop", "drums 84 bpm in A minor for 4 bars".
_TRAILER = re.compile(
    r"(?:\b(?:loop|loops|pattern|groove|grooves|riff|part|parts|stem|track only|fill|fills|one-shot|sounds?|texture|"
    r"textures|in|at|of|for|the|key|a|an)\b|\b\d+(?:[.,]\d+)?\s*-?(?:bpm|bars?|seconds?|sec|s)\b|\b\d+/\d+\b"
    r"|\b[a-g](?:\s?[#♯b♭]|[\s-]?sharp|[\s-]?flat)?[\s-]*(?:major|minor|maj|min)\b|[\s!'\"])+$"
)


@dataclass(frozen=True)
class Brief:
    """What was read, with the genre's own values where the prompt says nothing."""

    genre: Genre
    parts: tuple[str, ...]
    """Which of `PARTS` play."""
    patches: Mapping[str, str]
    """The patch (for drums the kit) of each part."""
    density: float
    """0 sparse to 1 busy."""
    brightness: float
    """−1 dark to 1 bright."""
    tempo_bias: float
    """Where in the genre's range the tempo lies: −1 slow end, 0 anywhere, 1 fast end."""
    mode: str | None
    """`major`, `minor`, or nothing said."""
    swing: bool | None
    """Whether swing (or none) was asked for in words."""
    crackle: bool
    walking: bool
    arpeggio: bool


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    word: str


def read_brief(prompt: str) -> Brief:
    """Read a prompt. Never fails: what it does not know, the genre decides, and without one a plain band plays."""
    text = prompt.lower().replace("’", "'")
    kept, removed = _split_negations(text)
    mentions = _find_all(kept)
    genre = GENRES[_genre(mentions)]
    asked = _asked_patches(mentions, genre)
    parts = _parts(kept, mentions, asked, removed, genre)
    axes = [axis for mention in mentions for axis in MOOD_WORDS.get(mention.word, ())]
    tilt = {name: _tilt(axes, name) for name in ("energy", "density", "brightness", "tempo", "mode", "swing")}
    words = {mention.word for mention in mentions}
    return Brief(
        genre=genre,
        parts=parts,
        patches={part: asked.get(part) or _own_patch(genre, part) for part in parts},
        density=_clamp(genre.density + 0.22 * tilt["density"] + 0.15 * tilt["energy"], 0.05, 1.0),
        brightness=_clamp(genre.mix.brightness + 0.4 * tilt["brightness"] + 0.15 * tilt["energy"], -1.0, 1.0),
        tempo_bias=_clamp(tilt["tempo"] + 0.5 * tilt["energy"], -1.0, 1.0),
        mode={1: "major", -1: "minor"}.get(_sign(tilt["mode"])),
        swing={1: True, -1: False}.get(_sign(tilt["swing"])),
        crackle=genre.mix.crackle or "crackle+" in axes,
        walking=genre.bass.walking or "walking+" in axes,
        arpeggio=any(word.startswith("arp") for word in words),
    )


def _split_negations(text: str) -> tuple[str, set[str]]:
    """Return the text without what it negates, and the parts that are not wanted."""
    removed: set[str] = set()
    kept = text
    thing = rf"(?:{_any_of(INSTRUMENT_WORDS)}|[\w'-]+)"
    for match in re.finditer(rf"{_NEGATIVE}({thing}(?:{_JOINED}{thing})*)", text):
        parts = {INSTRUMENT_WORDS[m.word][0] for m in _find(match[1], INSTRUMENT_WORDS)}
        if re.search(r"\b(?:beats?|percussion)\b", match[1]):
            parts.add("drums")
        removed |= parts
        kept = kept.replace(match[0], " , ")
    for match in _LESS.finditer(text):
        word = match[1]
        removed.add("drums" if word in ("drum", "beat", "percussion") else _part_of(word))
        kept = kept.replace(match[0], " , ")
    return kept, removed


def _part_of(word: str) -> str:
    return {"melody": "lead", "chord": "chords"}.get(word, word)


def _find_all(text: str) -> list[_Mention]:
    """Find known phrases from left to right, the longest at each place; a place is used once."""
    return _find(text, {*GENRE_WORDS, *WEAK_GENRE_WORDS, *INSTRUMENT_WORDS, *MOOD_WORDS})


def _find(text: str, words: Iterable[str]) -> list[_Mention]:
    return [_Mention(match.start(), match.end(), match[0]) for match in re.finditer(_any_of(words), text)]


def _any_of(words: Iterable[str]) -> str:
    """Return a pattern for whole phrases, the longest first."""
    phrases = "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
    return rf"(?<![\w&])(?:{phrases})(?![\w&])"


def _genre(mentions: list[_Mention]) -> str:
    for table in (GENRE_WORDS, WEAK_GENRE_WORDS):
        for mention in mentions:
            if mention.word in table:
                return table[mention.word]
    return DEFAULT_GENRE


def _asked_patches(mentions: list[_Mention], genre: Genre) -> dict[str, str]:
    """Return the first patch named for each part; an empty string where only the part is named."""
    asked: dict[str, str] = {}
    for mention in mentions:
        if mention.word in INSTRUMENT_WORDS and mention.word not in GENRE_WORDS:
            part, patch = INSTRUMENT_WORDS[mention.word]
            if not asked.get(part):
                asked[part] = _fitting(patch, genre)
    return asked


def _fitting(patch: str, genre: Genre) -> str:
    """Give "guitar" the sound that the genre's guitars have."""
    if patch != "guitar":
        return patch
    return {"rock": "drive_guitar", "bossa": "nylon", "reggae": "skank", "jazz": "nylon"}.get(
        genre.name, "steel"
    )


def _parts(
    text: str, mentions: list[_Mention], asked: Mapping[str, str], removed: set[str], genre: Genre
) -> tuple[str, ...]:
    only = _only_parts(text, mentions)
    if only:
        wanted = set(only)
    else:
        wanted = {"bass", "chords", "lead"} | ({"pad"} if genre.pad else set())
        if genre.drums.by_default:
            wanted.add("drums")
        wanted |= asked.keys()
    left = wanted - removed or set(PARTS) - removed - {"pad"} or {"pad"}
    return tuple(part for part in PARTS if part in left)


def _only_parts(text: str, mentions: list[_Mention]) -> set[str]:
    """Say whether the prompt is about some instruments alone: it says so, or they are all that it names.

    "techno drums" names drums as the thing wanted; "techno with heavy drums" and "techno, heavy drums" do not.
    """
    instruments = [m for m in mentions if m.word in INSTRUMENT_WORDS and m.word not in GENRE_WORDS]
    if not instruments:
        return set()
    named = {INSTRUMENT_WORDS[m.word][0] for m in instruments}
    first, *_ = re.split(r"[,;.:]\s", text + " ")
    if re.search(r"\b(?:with|featuring|feat|over|plus|behind|under)\b", first):
        return _said_only(text, instruments)
    about = _TRAILER.sub("", first)
    if any(m.start < len(about) <= m.end for m in instruments):
        return named
    return _said_only(text, instruments)


def _said_only(text: str, instruments: list[_Mention]) -> set[str]:
    for only in _ONLY.finditer(text):
        near = [m for m in instruments if -1 <= only.start() - m.end <= 2 or 0 <= m.start - only.end() <= 12]
        if near:
            return {INSTRUMENT_WORDS[m.word][0] for m in near}
    return set()


def _own_patch(genre: Genre, part: str) -> str:
    if part == "drums":
        return genre.drums.kit
    if part == "pad":
        return genre.pad.patch if genre.pad else "warm_pad"
    return {"bass": genre.bass.patch, "chords": genre.chords.patch, "lead": genre.lead.patch}[part]


def _tilt(axes: list[str], name: str) -> float:
    total = sum({f"{name}+": 1, f"{name}-": -1}.get(axis, 0) for axis in axes)
    return _clamp(float(total), -2.0, 2.0)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))
