from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ardour_session import (
    FileFormat,
    Session,
    SessionError,
    TempoChange,
    TempoMap,
    read_session,
    write_session,
)
from ardour_session.reader import read_view
from ardour_session.writer import session_root
from support.session_material import full_session

SAVED_BY_ARDOUR = Path(__file__).parent / "data" / "saved-by-ardour-7.3.ardour"


def test_a_session_that_ardour_7_3_saved_reads_as_what_it_was_written_from(tmp_path):
    # Ardour loaded full_session() and saved it: every part it wrote is its own.
    assert read_session(SAVED_BY_ARDOUR) == full_session(tmp_path / "library")


def test_a_file_cut_off_is_refused_with_its_line(tmp_path):
    content = SAVED_BY_ARDOUR.read_bytes()
    path = tmp_path / "cut.ardour"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SessionError, match=r"cut.ardour:\d+: not well-formed XML") as caught:
        read_session(path)
    assert caught.value.line > 100


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not well-formed"),
        (b"\0\1\2", "not well-formed"),
        (b"<svg/>", "root element is <svg>"),
        (b"<Session/>", "session format ''"),
        (b'<Session version="8000"/>', "formats 6000 to 7999"),
        (b'<Session version="3002"/>', "opened and saved in a newer Ardour"),
        (b'<Session version="2.0.0"/>', "session format '2.0.0'"),
        (b'<Session version="7002"/>', "no <TempoMap>"),
        (b'<!DOCTYPE Session [<!ENTITY a "b">]><Session version="7002">&a;</Session>', "DOCTYPE"),
    ],
)
def test_foreign_files_are_refused_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "x.ardour"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=reason):
        read_session(path)


def test_no_file_outside_is_read_through_an_entity(tmp_path):
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "x.ardour"
    path.write_text(
        f'<!DOCTYPE Session [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><Session version="7002">&x;</Session>'
    )
    with pytest.raises(SessionError) as caught:
        read_session(path)
    assert "secret" not in str(caught.value)


def test_entities_that_grow_without_end_are_refused_at_once(tmp_path):
    grow = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    path = tmp_path / "x.ardour"
    path.write_text(f'<!DOCTYPE Session [<!ENTITY e0 "ha">{grow}]><Session version="7002" name="&e11;"/>')
    with pytest.raises(SessionError):
        read_session(path)


def _changed(change, tmp_path):
    root = etree.parse(SAVED_BY_ARDOUR).getroot()
    change(root)
    path = tmp_path / "changed.ardour"
    path.write_bytes(etree.tostring(root))
    return path


@pytest.mark.parametrize(
    ("xpath", "attribute", "value", "reason"),
    [
        ("Locations/Location", "start", "soon", "Location start='soon'"),
        ("Locations/Location", "end", None, "has no 'end'"),
        ("Routes/Route[@audio-playlist]", "audio-playlist", "99", "playlist 99"),
        ("Playlists/Playlist/Region", "source-0", "98", "source 98"),
        ("Playlists/Playlist/Region", "scale-amplitude", "loud", "scale-amplitude='loud'"),
        ("TempoMap/Tempos/Tempo", "npm", "fast", "makes no sense"),
        ("TempoMap/Tempos/Tempo", "quarters", "1", "quarters='1'"),
        ("TempoMap/Meters/Meter", "bbt", "", "makes no sense"),
        ("TempoMap", "superclocks-per-second", "0", "no clock rate"),
        ("Sources/Source", "channel", "left", "channel='left'"),
        (".", "sample-rate", "0", "no rate in Hz"),
    ],
)
def test_a_broken_value_is_named_with_file_and_line(tmp_path, xpath, attribute, value, reason):
    def change(root):
        element = root.find(xpath)
        if value is None:
            del element.attrib[attribute]
        else:
            element.set(attribute, value)

    path = _changed(change, tmp_path)
    with pytest.raises(SessionError, match=reason) as caught:
        read_session(path)
    assert caught.value.path == path
    assert caught.value.line is not None


def _with_ramp(file_format=FileFormat.ARDOUR_7):
    tempo_map = TempoMap((TempoChange(90), TempoChange(100, 8, 4, 140), TempoChange(140, 16)))
    return tempo_map, session_root(Session("s", 48_000, tempo_map), file_format)


@settings(max_examples=60)
@given(st.integers(0, 30 * 1920))
def test_positions_in_beats_lie_where_the_tempo_map_puts_them(ticks):
    tempo_map, root = _with_ramp()
    root.find("Locations").append(
        etree.Element("Location", id="9", name="beat", start=f"b{ticks}", end=f"b{ticks}", flags="IsMark")
    )
    position = read_view(root, Path("s.ardour")).markers[0].position_samples
    exact = tempo_map.superclock_at(Fraction(ticks, 1920)) * 48_000 / 282_240_000
    assert abs(position - exact) <= 1


def test_a_region_that_is_two_beats_long_lasts_as_long_as_its_tempo_says():
    _, root = _with_ramp()
    sources, playlists = root.find("Sources"), root.find("Playlists")
    etree.SubElement(sources, "Source", name="a.wav", id="7", channel="0")
    playlist = etree.SubElement(playlists, "Playlist", id="8", name="p", type="audio")
    etree.SubElement(
        playlist, "Region", {"name": "r", "id": "6", "source-0": "7", "start": "a0", "length": "b3840@b7680"}
    )
    etree.SubElement(
        playlist,
        "Region",
        {"name": "q", "id": "5", "source-0": "7", "start": "a0", "length": "b3840@a752640000"},
    )
    etree.SubElement(root.find("Routes"), "Route", {"id": "4", "name": "t", "audio-playlist": "8"})
    in_beats, from_a_sample = read_view(root, Path("s.ardour")).regions
    # bar 2 at 90 bpm: 4 quarters of 32000 samples
    assert (in_beats.position_samples, in_beats.length_samples) == (128_000, 64_000)
    assert (from_a_sample.position_samples, from_a_sample.length_samples) == (128_000, 64_000)


def test_bar_markers_place_beats_though_the_view_does_not_show_them():
    _, root = _with_ramp()
    music_time = etree.SubElement(
        root.find("TempoMap/MusicTimes"), "MusicTime", sclock="28224000000", quarters="20:0", bbt="1|1|0"
    )
    etree.SubElement(music_time, "Tempo", {"npm": "60", "enpm": "60", "note-type": "4"})
    root.find("Locations").append(
        etree.Element("Location", id="9", name="beat", start="b40320", end="b40320", flags="IsMark")
    )
    # one quarter of 60 bpm past the bar marker at 100 s
    assert read_view(root, Path("s.ardour")).markers[0].position_samples == 101 * 48_000


def test_an_ardour_6_map_in_another_order_and_with_inactive_tempos_is_read():
    tempo_map, root = TempoMap((TempoChange(90), TempoChange(120, 8))), None
    root = session_root(Session("s", tempo_map=tempo_map), FileFormat.ARDOUR_6)
    element = root.find("TempoMap")
    element[:] = reversed(element)
    inactive = etree.SubElement(element, "Tempo", {"pulse": "3", "beats-per-minute": "50", "active": "0"})
    inactive.set("note-type", "4")
    assert read_view(root, Path("s.ardour")).tempo_map == tempo_map


def test_a_template_is_named_by_its_file_and_read_at_any_rate(tmp_path):
    session = Session("s", 48_000, markers=full_session(tmp_path / "library").markers)
    path = tmp_path / "My Template.template"
    path.write_bytes(etree.tostring(session_root(session, FileFormat.ARDOUR_7, as_template=True)))
    read = read_session(path, template_rate_hz=96_000)
    assert (read.name, read.sample_rate_hz, read.session_range) == ("My Template", 96_000, None)
    assert [marker.position_samples for marker in read.markers] == [0, 96_000]


def test_written_files_have_the_declaration_and_encoding_that_ardour_writes(tmp_path):
    written = write_session(Session("größe"), tmp_path / "out")
    assert written.read_bytes().startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<Session ")
    assert "größe".encode() in written.read_bytes()


ODD_VALUES = ["", "-1", "0", "1e999", "nan", "x", "a5", "b5@b5", "999999999999999999999", "1|2|3", "٣"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_broken_in_a_file_gives_a_session_error_and_no_other(data):
    root = etree.parse(SAVED_BY_ARDOUR).getroot()
    element = data.draw(st.sampled_from([element for element in root.iter("*") if element.attrib]))
    if element is not root and data.draw(st.booleans()):
        element.getparent().remove(element)
    else:
        attribute = data.draw(st.sampled_from(sorted(element.attrib)))
        element.set(attribute, data.draw(st.sampled_from(ODD_VALUES)))
    with contextlib.suppress(SessionError):
        read_view(root, SAVED_BY_ARDOUR)
