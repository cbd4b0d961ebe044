"""The words that a prompt is read by: genres, instruments, moods."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GENRE_WORDS", "INSTRUMENT_WORDS", "MOOD_WORDS", "WEAK_GENRE_WORDS"]

_GENRES: Mapping[str, str] = {
    "lofi": "lofi, lo-fi, lo fi, chillhop, chill hop, hip hop, hip-hop, hiphop, boom bap, boom-bap, study beats, jazzhop",
    "house": "house, deep house, tech house, disco, nu disco, french house, garage, uk garage, edm, dance, eurodance",
    "techno": "techno, minimal techno, acid, acid techno, trance, psytrance, industrial, rave, electro, ebm",
    "ambient": "ambient, drone, soundscape, new age, meditation, space music",
    "rock": "rock, punk, metal, grunge, indie rock, hard rock, blues rock, britpop, shoegaze",
    "jazz": "jazz, bebop, swing jazz, big band, cool jazz, hard bop, jazz trio",
    "dnb": "dnb, d&b, drum and bass, drum & bass, drum n bass, drum'n'bass, drum 'n' bass, jungle, liquid, neurofunk, "
    "breakbeat, breakcore",
    "cinematic": "cinematic, orchestral, orchestra, film score, movie score, soundtrack, trailer, score, classical, "
    "symphonic",
    "funk": "funk, soul, r&b, rnb, neo soul, motown, boogie, afrobeat",
    "trap": "trap, drill, phonk, 808 beat, grime",
    "reggae": "reggae, dub, dancehall, ska, rocksteady",
    "bossa": "bossa, bossa nova, bossanova, samba, latin, brazilian",
    "pop": "pop, synthpop, synth pop, ballad, indie, folk, country, singer-songwriter, k-pop, synthwave",
}

_WEAK_GENRES: Mapping[str, str] = {
    "house": "four on the floor, four-on-the-floor, 4 on the floor, club",
    "lofi": "chill beats, dusty beats",
    "dnb": "amen, amen break",
    "techno": "warehouse",
    "funk": "funky",
    "jazz": "jazzy",
    "ambient": "atmospheric, meditative, textural",
    "cinematic": "epic",
    "reggae": "roots",
    "rock": "alternative",
    "pop": "acoustic",
}
"""Words that hint at a genre only where the prompt names none: funky house is house, epic techno is techno."""

_INSTRUMENTS: Mapping[tuple[str, str], str] = {
    (
        "drums",
        "",
    ): "drums, drum, drum kit, drumkit, percussion, kick, snare, hi-hat, hi-hats, hihat, hihats, hats, toms, "
    "clap, claps, cymbal, cymbals, beat box, shaker, drum loop, drum break, drum machine, rimshot",
    ("drums", "brushes"): "brushes, brushed snare, brushed drums, brush kit",
    ("drums", "808"): "808 drums, 808 kit, tr-808",
    ("drums", "909"): "909, 909 drums, tr-909",
    ("drums", "taiko"): "taiko, taikos, epic drums, orchestral percussion, timpani, war drums",
    ("drums", "dusty"): "dusty drums, vinyl drums",
    ("bass", ""): "bass, bassline, bass line, basses, low end",
    ("bass", "electric_bass"): "bass guitar, electric bass, fingered bass, picked bass",
    ("bass", "upright"): "upright bass, double bass, contrabass, acoustic bass, walking bass",
    ("bass", "sub"): "sub, sub bass, sub-bass, subbass",
    ("bass", "bass_808"): "808, 808s, 808 bass",
    ("bass", "saw_bass"): "synth bass, saw bass, moog bass, analog bass",
    ("bass", "acid"): "acid bass, 303, tb-303, acid line",
    ("bass", "reese"): "reese, reese bass, wobble bass, growling bass",
    ("bass", "slap"): "slap bass, slapped bass",
    ("chords", ""): "chords, keys, chord, harmony, comping",
    ("chords", "rhodes"): "rhodes, electric piano, e-piano, epiano, wurlitzer, wurli, fender rhodes",
    ("chords", "piano"): "piano, grand piano, upright piano, felt piano, pianos",
    ("chords", "organ"): "organ, hammond, church organ, b3",
    (
        "chords",
        "guitar",
    ): "guitar, guitars, acoustic guitar, steel guitar, strumming, strummed guitar, ukulele",
    ("chords", "nylon"): "nylon guitar, nylon, classical guitar, spanish guitar",
    (
        "chords",
        "drive_guitar",
    ): "electric guitar, electric guitars, distorted guitar, distorted guitars, power chords, "
    "guitar riff, heavy guitars, overdriven guitar",
    ("chords", "harp"): "harp",
    ("chords", "clav"): "clav, clavinet, harpsichord",
    ("chords", "stab"): "stabs, chord stabs, stab",
    ("chords", "skank"): "skank, skanking guitar",
    ("chords", "pluck"): "pluck, plucks, plucked synth, kalimba, pizzicato",
    ("pad", "warm_pad"): "pad, pads, synth pad, synth pads, warm pad, warm pads, synths, lush pads",
    ("pad", "strings"): "strings, string section, violins, orchestra strings, string quartet, cellos",
    ("pad", "choir"): "choir, choirs, voices, vocal pad, aahs",
    ("pad", "glass_pad"): "glass pad, shimmer, airy pad",
    ("lead", ""): "lead, melody, topline, solo line",
    ("lead", "square_lead"): "synth lead, square lead, synth melody, chiptune",
    ("lead", "saw_lead"): "saw lead, supersaw, supersaws, arp, arpeggio, arpeggiator, arpeggios",
    ("lead", "lead_guitar"): "lead guitar, guitar solo, solo guitar",
    ("lead", "bells"): "bells, bell, music box, glockenspiel, celesta, chimes, glock",
    ("lead", "vibes"): "vibes, vibraphone, marimba, mallets, xylophone",
    ("lead", "flute"): "flute, flutes, whistle, recorder, pan flute",
    ("lead", "sax"): "sax, saxophone, tenor sax, alto sax, clarinet, oboe",
    ("lead", "trumpet"): "trumpet, trumpets, muted trumpet, horns, horn section, trombone",
    ("lead", "horn"): "horn, french horn, french horns, brass, brass section",
    ("lead", "violin"): "violin, fiddle, cello, viola",
    ("lead", "melodica"): "melodica, harmonica, accordion",
}

_MOODS: Mapping[str, str] = {
    "energy-": "calm, relaxed, relaxing, soft, gentle, mellow, chill, chilled, sleepy, peaceful, quiet, tender, laid-back, "
    "laid back, lazy, dreamy, soothing",
    "energy+": "energetic, driving, intense, hard, aggressive, upbeat, powerful, pumping, heavy, wild, frantic, banging, "
    "uplifting, exciting",
    "density-": "sparse, minimal, simple, empty, minimalist, stripped, stripped-back, spacious",
    "density+": "dense, busy, complex, full, layered, intricate, rolling",
    "brightness-": "dark, warm, dusty, muffled, deep, murky, muted, lowpassed, vintage, vinyl",
    "brightness+": "bright, crisp, shiny, sparkling, airy, sharp, brilliant, glittering, clean",
    "tempo-": "slow, downtempo, slowly",
    "tempo+": "fast, quick, uptempo, up-tempo",
    "mode-": "sad, melancholic, melancholy, dark, moody, tense, ominous, haunting, minor, mysterious, gloomy, sinister",
    "mode+": "happy, cheerful, uplifting, joyful, sunny, major, bright, playful, triumphant",
    "swing+": "swing, swung, swinging, shuffle, shuffled",
    "swing-": "straight, unswung",
    "crackle+": "dusty, vinyl, crackle, tape, old record, cassette",
    "walking+": "walking bass",
}
"""Axis and direction, to words. A word may stand on several axes."""


def _inverted(table: Mapping[str, str]) -> dict[str, str]:
    return {word.strip(): key for key, words in table.items() for word in words.split(",")}


GENRE_WORDS: Mapping[str, str] = _inverted(_GENRES)
WEAK_GENRE_WORDS: Mapping[str, str] = _inverted(_WEAK_GENRES)
INSTRUMENT_WORDS: Mapping[str, tuple[str, str]] = {
    word.strip(): key for key, words in _INSTRUMENTS.items() for word in words.split(",")
}
MOOD_WORDS: Mapping[str, tuple[str, ...]] = {
    word: tuple(axis for axis, words in _MOODS.items() if word in [item.strip() for item in words.split(",")])
    for words in _MOODS.values()
    for word in (item.strip() for item in words.split(","))
}
"""Word to the axes that it moves; empty `patch` strings mean the genre's own instrument."""
