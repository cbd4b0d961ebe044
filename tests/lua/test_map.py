"""Bars, tempi and meters as the Lua modules read them from a real Ardour, against the exact arithmetic of a session."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest

from ardour_session import MeterChange, Session, TempoChange, TempoMap, write_session
from ardour_session.superclock import SUPERCLOCKS_PER_SECOND
from support.ardour import ArdourTools, needs_ardour

MODULES = Path(__file__).parents[2] / "ardour" / "lua" / "dgx_music"
IN_ARDOUR = Path(__file__).with_name("in_ardour.lua")

pytestmark = [pytest.mark.ardour, needs_ardour]


def ask_ardour(tmp_path, tempo_map, code, sample_rate_hz=48_000):
    """Run Lua code with the module `map` in an Ardour that holds a session with this tempo map; returns its result."""
    session = Session(name="story", sample_rate_hz=sample_rate_hz, tempo_map=tempo_map)
    written = write_session(session, tmp_path / "story")
    prelude = "local use = ... local map = use ('map') "
    said = ArdourTools(tmp_path / "home").run_lua(
        IN_ARDOUR, str(MODULES), str(written.parent), written.stem, prelude + code
    )
    (line,) = [line for line in said if line.startswith("=")]
    return json.loads(line[1:])


def bar_line(tempo_map, bar, sample_rate_hz=48_000):
    """The sample that Ardour draws a bar line at: the one that the line's exact place lies in."""
    place = tempo_map.superclock_at(tempo_map.quarters_at_bar(bar))
    return math.floor(place * sample_rate_hz / SUPERCLOCKS_PER_SECOND)


@pytest.mark.parametrize("sample_rate_hz", [44_100, 48_000])
def test_bars_end_on_the_samples_of_bar_lines(tmp_path, sample_rate_hz):
    """7/8 at 93.5, where no bar is a whole number of samples."""
    tempo_map = TempoMap((TempoChange(93.5),), (MeterChange(7, 8),))

    def line(bar):
        return bar_line(tempo_map, bar, sample_rate_hz)

    # From bar 3 on, from just before and behind it, and from the middle of it.
    at = [line(3), line(3) - 400, line(3) + 400, (line(3) + line(4)) // 2 + 50]
    found = ask_ardour(
        tmp_path,
        tempo_map,
        f"""local found = {{}}
        for index, at in ipairs {{ {", ".join(map(str, at))} }} do
            found[index] = {{ map.nearest_bar (at), map.bars_in_samples (at, 4), map.bars_in_samples (at, 1) }}
        end
        return {{ found = found, bpm = map.bpm_at ({at[0]}), meter = map.meter_at ({at[0]}),
            bars = map.whole_bars ({line(3)}, {line(7)}), not_bars = map.whole_bars ({line(3)}, {line(7) + 500}),
            place = map.bar_beat_tick ({line(3)}), fields = map.request_fields ({line(3)}, {line(7) - line(3)}) }}""",
        sample_rate_hz,
    )
    exact = [bars * Fraction(7, 2) * 60 / Fraction("93.5") * sample_rate_hz for bars in (4, 1)]
    nearest = [start for start, *_ in found["found"]]
    assert nearest == [line(3), line(3), line(3), line(4)]
    assert found["found"][0][1:] == [line(7) - line(3), line(4) - line(3)]
    for _, *lengths in found["found"]:
        assert all(abs(length - expected) <= 1 for length, expected in zip(lengths, exact, strict=True))
    assert (found["bpm"], found["meter"], found["bars"], found["place"]) == (93.5, "7/8", 4, "3|1|0")
    assert "not_bars" not in found
    assert found["fields"] == {"bpm": 93.5, "meter": "7/8"}


def test_a_stretch_over_changes_and_a_ramp_is_told_as_points(tmp_path):
    """93.5 in 7/8; at bar 5 120 in 3/4, which glides from bar 6 to 90 at bar 8; the tempo of eighths counts quarters."""
    tempo_map = TempoMap(
        (
            TempoChange(93.5),
            TempoChange(120, quarters=Fraction(14)),
            TempoChange(120, quarters=Fraction(17), end_bpm=90),
            TempoChange(180, quarters=Fraction(23), note_type=8),
            TempoChange(90, quarters=Fraction(29)),
        ),
        (MeterChange(7, 8), MeterChange(3, 4, bar=5), MeterChange(6, 8, bar=8)),
    )
    lines = {bar: bar_line(tempo_map, bar) for bar in range(1, 13)}
    start, stop = lines[4], lines[10]
    within = (lines[6] + lines[7]) // 2
    told, part, bars, rest = ask_ardour(
        tmp_path,
        tempo_map,
        f"""local bars = {{}}
        for count = 1, 6 do bars[count] = map.bars_in_samples ({start}, count) end
        return {{ map.points ({start}, {stop - start}), map.points ({within}, 48000), bars,
            map.request_fields ({lines[9]}, {lines[11] - lines[9]}) }}""",
    )
    assert bars == [lines[bar] - start for bar in range(5, 11)]
    assert rest == {"bpm": 90, "meter": "6/8"}  # the tempo point at bar 10 changes nothing

    assert [point["at"] for point in told] == [lines[bar] - start for bar in (4, 5, 6, 8)]
    assert [point["bpm"] for point in told] == [93.5, 120, 120, 90]
    assert [point.get("meter") for point in told] == ["7/8", "3/4", None, "6/8"]
    ends = [point.get("end_bpm") for point in told]
    assert ends[:2] == [None, None]
    assert ends[3] is None
    assert ends[2] == pytest.approx(90, abs=0.001)

    # A stretch inside the ramp: linear in quarter notes, so its tempo is a straight line over them.
    def tempo_at(sample):
        low, high = Fraction(17), Fraction(23)
        for _ in range(40):
            middle = (low + high) / 2
            if tempo_map.superclock_at(middle) * 48_000 / SUPERCLOCKS_PER_SECOND < sample:
                low = middle
            else:
                high = middle
        return float(120 + (low - 17) * Fraction(-30, 6))

    (only,) = part
    assert only["at"] == 0
    assert only["meter"] == "3/4"
    assert only["bpm"] == pytest.approx(tempo_at(within), abs=0.001)
    assert only["end_bpm"] == pytest.approx(tempo_at(within + 48_000), abs=0.001)
