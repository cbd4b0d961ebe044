"""Genres as data: tempo, swing, harmony, patterns, instruments and mix.

Marks in cells: `X` accent, `x` hit, `o` soft, `g` ghost, `?` perhaps; bass cells name the chord tone: `R` root,
`5` fifth, `8` octave, `3` third, `7` seventh, `a` a step towards the next root, small `r` a soft root.
Chords are roman numerals on the major scale's degrees (minor writes `bIII`); a space splits the bar.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from dgx_music.engines.sketch.pulse import STRAIGHT, Cells, Swing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_GENRE", "GENRES", "Bass", "Comp", "DrumLine", "Drums", "Genre", "Lead", "Mix"]

DEFAULT_GENRE = "pop"
_EIGHTH = Fraction(1, 2)
_SIXTEENTH = Fraction(1, 4)


@dataclass(frozen=True)
class DrumLine:
    """One instrument's rhythm; played when the take's density reaches `from_density`."""

    sound: str
    cells: Cells
    from_density: float = 0.0


@dataclass(frozen=True)
class Drums:
    """The kit and what it plays."""

    kit: str
    lines: tuple[DrumLine, ...]
    fill: Literal["toms", "snare", "roll", "brush", "taiko", "none"] = "snare"
    crash: bool = True
    by_default: bool = True


@dataclass(frozen=True)
class Bass:
    """The bass line. `gate` is the part of the way to the next note that a note sounds."""

    patch: str
    cells: Cells
    gate: float = 0.9
    low: int = 28
    """The lowest MIDI note that a root may take."""
    walking: bool = False


@dataclass(frozen=True)
class Comp:
    """How chords are struck. `gate` as in `Bass`; `spread` rolls a chord, in quarter notes a voice."""

    patch: str
    cells: Cells
    gate: float = 0.95
    low: int = 52
    high: int = 76
    spread: Fraction = Fraction(0)
    power: bool = False
    """Root and fifth only, for distorted guitars."""


@dataclass(frozen=True)
class Lead:
    """The melody's ways."""

    patch: str
    kind: Literal["melody", "riff", "arp", "sparse"] = "melody"
    density: float = 0.5
    pentatonic: bool = False
    low: int = 65
    high: int = 86
    gate: float = 0.85


@dataclass(frozen=True)
class Mix:
    """Levels in dB RMS while a part plays, room, echo, and ducking under the kick."""

    drums: float = -22.0
    bass: float = -23.0
    chords: float = -26.0
    pad: float = -31.0
    lead: float = -27.0
    room_s: float = 0.9
    wet: Mapping[str, float] = field(
        default_factory=lambda: {"drums": 0.04, "chords": 0.12, "pad": 0.25, "lead": 0.2}
    )
    """How much of each part goes to the room, as a share of its own level."""
    echo: Fraction | None = None
    """The lead's echo in quarter notes."""
    duck: float = 0.0
    """How far bass, chords and pad give way to the kick, 0 to 1."""
    drive: Mapping[str, float] = field(default_factory=dict)
    """Saturation of each part: 0 none, 1 strong."""
    crackle: bool = False
    brightness: float = 0.0
    """−1 dark to 1 bright, before the prompt's own words."""


@dataclass(frozen=True)
class Genre:
    """Everything that a genre decides."""

    name: str
    tempo: tuple[int, int]
    minor_chance: float
    progressions: Mapping[str, tuple[tuple[str, ...], ...]]
    drums: Drums
    bass: Bass
    chords: Comp
    lead: Lead
    pad: Comp | None = None
    swing: Swing = STRAIGHT
    density: float = 0.5
    mix: Mix = Mix()


_HELD = Cells(one="X...")
_ROOT = Cells(one="R...")
_ROOM = {"drums": 0.04, "chords": 0.12, "pad": 0.25, "lead": 0.2}

_LOFI = Genre(
    "lofi",
    (70, 90),
    0.75,
    {
        "minor": (("i9", "iv7", "bVImaj7", "V7"), ("i7", "bVImaj7", "iv7", "V7"), ("i9", "iv9", "i7", "iiø7 V7")),
        "major": (("Imaj9", "vi7", "ii9", "V7"), ("Imaj7", "IVmaj7", "iii7 vi7", "V7sus4")),
    },
    Drums(
        "dusty",
        (
            DrumLine("kick", Cells(one="X..?", strong="..x.", back="...?")),
            DrumLine("snare", Cells(back="X...", weak="...g")),
            DrumLine("hat", Cells.every("x.o?", rolling=True)),
            DrumLine("open_hat", Cells(back="....|..?."), 0.6),
        ),
        fill="snare",
        crash=False,
    ),
    Bass("upright", Cells(one="R...", strong="..R.", back="...5|..a.", weak="..r.")),
    Comp("rhodes", Cells(one="X...", strong="..o.", back="...?")),
    Lead("vibes", "melody", 0.4, pentatonic=True),
    swing=Swing(_SIXTEENTH, Fraction(3, 5)),
    mix=Mix(
        drums=-23, bass=-23, chords=-25, lead=-29, room_s=0.7, crackle=True, brightness=-0.35,
        drive={"drums": 0.5, "chords": 0.25}, duck=0.15,
    ),
)  # fmt: skip

_HOUSE = Genre(
    "house",
    (118, 127),
    0.6,
    {
        "minor": (("i9", "iv9", "bVI9", "v7"), ("i7", "i7", "bVImaj7", "bVII"), ("i9", "bVII6", "bVImaj7", "V7")),
        "major": (("Imaj7", "vi7", "IVmaj7", "V"), ("I9", "IVmaj9", "ii7", "V7")),
    },
    Drums(
        "909",
        (
            DrumLine("kick", Cells.every("X...")),
            DrumLine("clap", Cells(back="X...")),
            DrumLine("open_hat", Cells.every("..x.", rolling=True)),
            DrumLine("hat", Cells.every("o?.o", rolling=True)),
            DrumLine("shaker", Cells.every("gogo", rolling=True), 0.55),
        ),
        fill="roll",
    ),
    Bass("saw_bass", Cells.every("..R.|..R8"), gate=0.6, low=31),
    Comp("house_piano", Cells(one="X..x", strong="..x.", back="..x.|....", weak="..x."), gate=0.5, low=55, high=78),
    Lead("square_lead", "riff", 0.5),
    Comp("warm_pad", _HELD, gate=1.0, low=57, high=79),
    density=0.6,
    mix=Mix(
        drums=-21, bass=-23, chords=-26, pad=-31, lead=-29, room_s=1.1, duck=0.65, echo=Fraction(3, 4),
        drive={"drums": 0.3, "bass": 0.3}, brightness=0.25,
    ),
)  # fmt: skip

_TECHNO = Genre(
    "techno",
    (128, 140),
    0.95,
    {
        "minor": (("i", "i", "i", "i"), ("i", "i", "bVI", "v"), ("i7", "i7", "i7", "bII")),
        "major": (("I", "I", "I", "I"), ("I", "I", "IV", "V")),
    },
    Drums(
        "909",
        (
            DrumLine("kick", Cells.every("X...")),
            DrumLine("open_hat", Cells.every("..X.", rolling=True)),
            DrumLine("hat", Cells.every("ogog", rolling=True)),
            DrumLine("rim", Cells(one="...o", strong="..o.", back="...?|.o..")),
            DrumLine("clap", Cells(back="o...|x...")),
            DrumLine("low_tom", Cells(strong="...?", back="..?."), 0.6),
        ),
        fill="roll",
    ),
    Bass("acid", Cells.every(".RRr|.RR8|.Rr5"), gate=0.55, low=31),
    Comp("stab", Cells(one="...x", strong="..x.", back="....|...?"), gate=0.35, low=53, high=74),
    Lead("saw_lead", "arp", 0.75, low=60, high=84, gate=0.5),
    Comp("dark_pad", _HELD, gate=1.0),
    density=0.7,
    mix=Mix(
        drums=-20, bass=-23, chords=-29, pad=-34, lead=-31, room_s=1.6, duck=0.7, echo=Fraction(3, 4),
        drive={"drums": 0.6, "bass": 0.6}, wet={**_ROOM, "chords": 0.35, "lead": 0.2},
    ),
)  # fmt: skip

_AMBIENT = Genre(
    "ambient",
    (60, 76),
    0.4,
    {
        "minor": (("iadd9", "bVImaj7", "bIIImaj7", "Vsus4"), ("i9", "i9", "iv9", "V7sus4"), ("i9", "bVII", "bVImaj7", "Vsus4"), ("iadd9", "iv9", "bIIImaj7", "V7sus4")),
        "major": (("Iadd9", "IVmaj9", "Imaj7", "Vsus4"), ("Imaj9", "vi9", "IVmaj9", "Vadd9")),
    },
    Drums(
        "brushes",
        (DrumLine("kick", Cells(one="o...")), DrumLine("shaker", Cells(back="..g.")), DrumLine("rim", Cells(strong="..g."))),
        fill="none",
        crash=False,
        by_default=False,
    ),
    Bass("sub", _ROOT, gate=1.0, low=31),
    Comp("glass_pad", _HELD, gate=1.05, low=55, high=79),
    Lead("bells", "sparse", 0.6, low=72, high=93, gate=1.0),
    Comp("strings", _HELD, gate=1.05, low=52, high=76),
    density=0.25,
    mix=Mix(
        bass=-27, chords=-24, pad=-27, lead=-31, room_s=3.2, echo=Fraction(3, 2), brightness=-0.1,
        wet={"drums": 0.5, "chords": 0.5, "pad": 0.5, "lead": 0.6},
    ),
)  # fmt: skip

_ROCK = Genre(
    "rock",
    (110, 140),
    0.45,
    {
        "minor": (("i", "bVI", "bIII", "V"), ("i", "i", "bVI", "bVII"), ("i", "bVII", "bVI", "V")),
        "major": (("I", "V", "vi", "IV"), ("I", "IV", "I", "V"), ("I", "bVII", "IV", "V")),
    },
    Drums(
        "rock",
        (
            DrumLine("kick", Cells(one="X.?.", strong="X.x.", back="...?", weak="..x.")),
            DrumLine("snare", Cells(back="X...")),
            DrumLine("hat", Cells.every("X.x.", rolling=True)),
        ),
        fill="toms",
    ),
    Bass("electric_bass", Cells.every("R.R.|R.R.|R.R.|R.a."), gate=0.9),
    Comp("drive_guitar", Cells(one="X.x.", strong="x.x.", back="x.x.", weak="x.x.", rolling=True),
         gate=0.9, low=48, high=67, power=True),
    Lead("lead_guitar", "melody", 0.5, pentatonic=True, low=64, high=84),
    Comp("organ", _HELD, gate=1.0, low=55, high=76),
    density=0.6,
    mix=Mix(
        drums=-21, bass=-24, chords=-24, pad=-31, lead=-27, room_s=0.8, brightness=0.2,
        drive={"chords": 0.9, "lead": 0.7, "drums": 0.25, "bass": 0.25}, wet={**_ROOM, "drums": 0.09, "chords": 0.06},
    ),
)  # fmt: skip

_JAZZ = Genre(
    "jazz",
    (120, 180),
    0.4,
    {
        "minor": (
            ("i6", "iiø7 V7", "i7", "iiø7 V7"),
            ("i6", "iv7", "iiø7", "V7"),
            ("i6", "bVI7", "iiø7", "V7"),
        ),
        "major": (
            ("Imaj7", "vi7", "ii7", "V7"),
            ("I6", "VI7", "ii9", "V7"),
            ("Imaj9", "IV7", "iii7 VI7", "ii7 V7"),
        ),
    },
    Drums(
        "jazz",
        (
            DrumLine("ride", Cells(one="X...", strong="x...", back="x.o.", weak="x.?.")),
            DrumLine("pedal_hat", Cells(back="x...")),
            DrumLine("kick", Cells(one="g...", strong="g.?.", back="..?.")),
            DrumLine("snare", Cells(one="..?.", strong="..g.", back="..?.|....")),
        ),
        fill="brush",
        crash=False,
    ),
    Bass("upright", _ROOT, gate=0.92, walking=True),
    Comp(
        "piano",
        Cells(one="x...|...x", strong="....", back="..x.|....", weak="..?."),
        gate=0.7,
        low=53,
        high=76,
    ),
    Lead("sax", "melody", 0.65, low=58, high=79),
    swing=Swing(_EIGHTH, Fraction(2, 3)),
    density=0.55,
    mix=Mix(
        drums=-26, bass=-23, chords=-26, lead=-25, room_s=1.2, wet={**_ROOM, "drums": 0.1}, brightness=0.1
    ),
)

_DNB = Genre(
    "dnb",
    (165, 180),
    0.85,
    {
        "minor": (("i9", "i9", "bVImaj7", "V7"), ("i7", "bVII", "bVImaj7", "v7"), ("i9", "iv9", "i9", "V7")),
        "major": (("Imaj7", "Imaj7", "IVmaj7", "V"), ("Iadd9", "vi7", "IVmaj7", "V")),
    },
    Drums(
        "dnb",
        (
            DrumLine("kick", Cells(one="X...", strong="..X.", back="...?", weak="..x.")),
            DrumLine("snare", Cells(back="X...|X..g", strong="...g", weak="...g")),
            DrumLine("hat", Cells.every("x.xo", rolling=True)),
            DrumLine("ride", Cells.every("o.o.", rolling=True), 0.55),
        ),
        fill="snare",
    ),
    Bass("reese", Cells(one="R...", strong="..R.", back="....|...8"), gate=0.95, low=29),
    Comp("rhodes", Cells(one="x...", strong="...."), gate=0.8, low=55, high=78),
    Lead("square_lead", "sparse", 0.4),
    Comp("warm_pad", _HELD, gate=1.0, low=57, high=79),
    density=0.75,
    mix=Mix(
        drums=-20, bass=-22, chords=-29, pad=-29, lead=-31, room_s=1.4, duck=0.35, echo=Fraction(3, 2),
        drive={"drums": 0.5, "bass": 0.5}, brightness=0.3,
    ),
)  # fmt: skip

_CINEMATIC = Genre(
    "cinematic",
    (72, 100),
    0.85,
    {
        "minor": (("i", "bVI", "bIII", "V"), ("i", "bVI", "iv", "V"), ("iadd9", "bVII", "bVI", "V")),
        "major": (("I", "V", "vi", "IV"), ("Iadd9", "IV", "ii", "Vsus4")),
    },
    Drums(
        "taiko",
        (
            DrumLine("low_tom", Cells(one="X...", strong="x..o", back="..o.", weak="..o.")),
            DrumLine("mid_tom", Cells(back="o.o.|x.oo"), 0.4),
            DrumLine("kick", Cells(one="X...")),
        ),
        fill="taiko",
    ),
    Bass("low_strings", Cells(one="R...", strong="R..."), gate=1.0, low=31),
    Comp("spiccato", Cells.every("x.o.", rolling=True), gate=0.45, low=52, high=74),
    Lead("horn", "melody", 0.25, low=58, high=79, gate=1.0),
    Comp("strings", _HELD, gate=1.05, low=55, high=81),
    mix=Mix(
        drums=-23, bass=-24, chords=-27, pad=-25, lead=-26, room_s=2.6,
        wet={"drums": 0.35, "bass": 0.0, "chords": 0.3, "pad": 0.4, "lead": 0.4},
    ),
)  # fmt: skip

_FUNK = Genre(
    "funk",
    (96, 114),
    0.5,
    {
        "minor": (("i7", "i7", "iv7", "V7"), ("i9", "IV9", "i9", "IV9 V7")),
        "major": (("I9", "I9", "IV9", "V9"), ("I7", "IV7", "I7", "V7")),
    },
    Drums(
        "rock",
        (
            DrumLine("kick", Cells(one="X.x.", strong="..x.", back="...?|..?.")),
            DrumLine("snare", Cells(one="...?", back="X..g", strong=".g..", weak=".g..")),
            DrumLine("hat", Cells.every("xoxo", rolling=True)),
        ),
        fill="snare",
    ),
    Bass("slap", Cells(one="R..R", strong="..8.", back=".R5.|..7a", weak="..R."), gate=0.6),
    Comp("clav", Cells(one="x..x", strong=".x.?", back="x..x|..x.", weak=".x.."), gate=0.4, low=55, high=76),
    Lead("trumpet", "riff", 0.5, pentatonic=True, low=60, high=80, gate=0.6),
    swing=Swing(_SIXTEENTH, Fraction(11, 20)),
    density=0.65,
    mix=Mix(drums=-22, bass=-22, chords=-26, lead=-27, room_s=0.5, brightness=0.35),
)

_TRAP = Genre(
    "trap",
    (130, 150),
    0.95,
    {
        "minor": (("i", "bVI", "i", "V"), ("i", "i", "bVI", "V"), ("i", "iv", "bVI", "V")),
        "major": (("I", "vi", "IV", "V"), ("I", "I", "vi", "V")),
    },
    Drums(
        "808",
        (
            DrumLine("kick", Cells(one="X...", back="..x?|...?")),
            DrumLine("clap", Cells(strong="X...")),
            DrumLine("hat", Cells(one="x.x.", strong="x.xr", back="x.x.|xrx.", weak="x.x.", rolling=True)),
            DrumLine("open_hat", Cells(back="....|..?.")),
        ),
        fill="roll",
        crash=False,
    ),
    Bass("bass_808", Cells(one="R...", back="..R.|...a"), gate=0.98, low=26),
    Comp("dark_keys", Cells(one="X...", strong="...."), gate=0.9, low=52, high=72),
    Lead("bells", "riff", 0.45, low=72, high=90),
    Comp("dark_pad", _HELD, gate=1.0),
    density=0.55,
    mix=Mix(
        drums=-23,
        bass=-20,
        chords=-29,
        pad=-33,
        lead=-30,
        room_s=1.3,
        drive={"bass": 0.5},
        echo=Fraction(3, 4),
    ),
)

_REGGAE = Genre(
    "reggae",
    (70, 82),
    0.5,
    {
        "minor": (("i", "iv", "i", "V"), ("i", "bVII", "bVI", "V"), ("i7", "i7", "iv7", "V")),
        "major": (("I", "IV", "I", "V"), ("I", "V", "IV", "V"), ("I", "ii", "IV", "V")),
    },
    Drums(
        "rock",
        (
            DrumLine("kick", Cells(strong="X...")),
            DrumLine("rim", Cells(strong="X...", back="...?")),
            DrumLine("hat", Cells.every("o.x.", rolling=True)),
        ),
        fill="toms",
    ),
    Bass("dub_bass", Cells(one="R..R", strong="..5.", back="R.8.|..5a", weak="R.5."), gate=0.8, low=28),
    Comp("skank", Cells.every("..X."), gate=0.3, low=57, high=77),
    Lead("melodica", "melody", 0.4, low=65, high=84),
    Comp("organ", Cells.every("..x?|.ox."), gate=0.5, low=52, high=72),
    swing=Swing(_SIXTEENTH, Fraction(29, 50)),
    mix=Mix(drums=-24, bass=-20, chords=-25, pad=-31, lead=-29, room_s=1.2, echo=Fraction(3, 4),
            wet={**_ROOM, "drums": 0.12, "chords": 0.2}, brightness=-0.05),
)  # fmt: skip

_BOSSA = Genre(
    "bossa",
    (116, 138),
    0.4,
    {
        "minor": (("i9", "iiø7 V7", "i9", "iiø7 V7"), ("i6", "iv7", "bVImaj7", "V7")),
        "major": (("Imaj9", "II7", "ii9", "V7"), ("I6", "vi7", "ii7", "V9"), ("Imaj7", "Imaj7", "ii7", "V7")),
    },
    Drums(
        "brushes",
        (
            DrumLine("kick", Cells(one="x...", strong="x...", back="..o.", weak="..o.")),
            DrumLine("rim", Cells(one="x...", strong="..x.", back="..x.|x...", weak="..x.")),
            DrumLine("shaker", Cells.every("x.o.", rolling=True)),
        ),
        fill="brush",
        crash=False,
    ),
    Bass("upright", Cells(one="R...", strong="5...", back="..5.|..R.", weak="..5."), gate=0.9),
    Comp("nylon", Cells(one="x..x", strong="..x.", back="..x.|x...", weak="..x."), gate=0.8, low=52, high=74,
         spread=Fraction(1, 64)),
    Lead("flute", "melody", 0.45, low=67, high=88),
    density=0.5,
    mix=Mix(drums=-28, bass=-24, chords=-23, lead=-26, room_s=1.0),
)  # fmt: skip

_POP = Genre(
    "pop",
    (96, 116),
    0.4,
    {
        "minor": (("i", "bVI", "bIII", "V"), ("i", "iv", "bVI", "V"), ("i7", "bVImaj7", "iv7", "V")),
        "major": (("I", "V", "vi", "IV"), ("I", "vi", "IV", "V"), ("Iadd9", "IV", "vi7", "V")),
    },
    Drums(
        "pop",
        (
            DrumLine("kick", Cells(one="X...", strong="X.?.", back="..?.|...x", weak="..x.")),
            DrumLine("snare", Cells(back="X...")),
            DrumLine("hat", Cells.every("x.o.", rolling=True)),
            DrumLine("shaker", Cells.every("gogo", rolling=True), 0.55),
        ),
        fill="toms",
    ),
    Bass("electric_bass", Cells(one="R..R", strong="R.R.", back="..R.|..5a", weak="R.R.")),
    Comp("piano", Cells(one="X...", strong="x.o.", back="x...|o.x.", weak="x..."), gate=0.9),
    Lead("square_lead", "melody", 0.45, pentatonic=True),
    Comp("warm_pad", _HELD, gate=1.0, low=57, high=79),
    density=0.5,
    mix=Mix(
        drums=-22,
        bass=-23,
        chords=-25,
        pad=-31,
        lead=-28,
        room_s=1.1,
        duck=0.2,
        echo=Fraction(3, 4),
        brightness=0.1,
    ),
)

GENRES: Mapping[str, Genre] = {
    genre.name: genre
    for genre in (
        _LOFI, _HOUSE, _TECHNO, _AMBIENT, _ROCK, _JAZZ, _DNB, _CINEMATIC, _FUNK, _TRAP, _REGGAE, _BOSSA, _POP,
    )
}  # fmt: skip
