"""Sessions and tempo maps for hypothesis: everything that can be written."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from ardour_session import (
    AudioFile,
    Marker,
    MasterBus,
    MeterChange,
    Playlist,
    RangeMarker,
    Region,
    RouteGroup,
    Session,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
)
from ardour_session.names import track_name_problem

SAMPLES = st.integers(0, 2**40)
LABEL = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=12)
TRACK_NAME = LABEL.filter(lambda name: track_name_problem(name) is None)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")) | st.just("\n"), max_size=40
)
GAIN_DB = st.floats(-100, 6) | st.just(float("-inf"))
COLOUR = st.none() | st.integers(1, 0xFFFFFFFF)
BPM = st.floats(20, 400) | st.fractions(Fraction(20), Fraction(400), max_denominator=1000)


@st.composite
def tempo_maps(draw, *, only_format_6=False):
    unit = 1 if only_format_6 else Fraction(1, 1920)
    places = sorted(draw(st.sets(st.integers(1, 5000), max_size=4)))
    tempos = []
    for index, place in enumerate([0, *places]):
        last = index == len(places)
        end_bpm = None if last or only_format_6 else draw(st.none() | BPM)
        note_type = 4 if only_format_6 else draw(st.sampled_from([2, 4, 8, 16]))
        tempos.append(TempoChange(draw(BPM), place * unit, note_type, end_bpm))
    bars = sorted(draw(st.sets(st.integers(2, 300), max_size=4)))
    meters = [
        MeterChange(draw(st.integers(1, 15)), draw(st.sampled_from([2, 4, 8, 16])), bar) for bar in [1, *bars]
    ]
    return TempoMap(tuple(tempos), tuple(meters))


@st.composite
def sessions(draw, *, only_format_6=False):
    files = [
        AudioFile(f"/library/{number}/{name.replace('/', '-')}.wav", draw(st.integers(1, 2)))
        for number, name in enumerate(draw(st.lists(LABEL, min_size=1, max_size=3)))
    ]
    group_names = draw(st.lists(LABEL, max_size=2, unique=True))
    playlist_names = iter(draw(st.lists(LABEL, min_size=12, max_size=12, unique=True)))

    def region(channel_count):
        file = draw(st.sampled_from(files))
        return Region(
            draw(LABEL),
            file.channels[:channel_count],
            draw(st.integers(1, 2**32)),
            draw(SAMPLES),
            draw(SAMPLES),
            draw(GAIN_DB),
            draw(st.booleans()),
            draw(st.booleans()),
        )

    def playlist(channel_count):
        regions = tuple(region(channel_count) for _ in range(draw(st.integers(0, 2))))
        return Playlist(next(playlist_names), regions)

    def track(name):
        channel_count = draw(st.integers(1, 2))
        return Track(
            name,
            playlist(channel_count),
            channel_count,
            tuple(playlist(channel_count) for _ in range(draw(st.integers(0, 2)))),
            draw(GAIN_DB),
            draw(st.booleans()),
            draw(COLOUR),
            draw(TEXT),
            draw(st.none() | st.sampled_from(group_names)) if group_names else None,
        )

    def span():
        start = draw(SAMPLES)
        return start, start + draw(st.integers(1, 2**40))

    tracks = tuple(track(name) for name in draw(st.lists(TRACK_NAME, max_size=3, unique=True)))
    used = {
        source.file for track in tracks for pl in track.playlists for r in pl.regions for source in r.sources
    }
    return Session(
        draw(TRACK_NAME.map(lambda name: "s" + name.translate(str.maketrans("/\\;", "___")))),
        draw(st.sampled_from([44_100, 48_000, 96_000])),
        draw(tempo_maps(only_format_6=only_format_6)),
        tracks,
        tuple(RouteGroup(name, draw(COLOUR), draw(st.booleans())) for name in group_names),
        tuple(Marker(draw(LABEL), draw(SAMPLES)) for _ in range(draw(st.integers(0, 3)))),
        tuple(RangeMarker(draw(LABEL), *span()) for _ in range(draw(st.integers(0, 2)))),
        draw(st.none() | st.builds(lambda pair: TimeRange(*pair), st.builds(span))),
        TimeRange(*span()),
        MasterBus(draw(GAIN_DB)),
        tuple(file for file in files if file not in used),
        draw(TEXT),
    )
