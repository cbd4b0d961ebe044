from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from lxml import etree

from ardour_session import (
    FileFormat,
    MeterChange,
    Session,
    TempoChange,
    TempoMap,
    TimeRange,
    read_session,
    write_session,
)
from ardour_session.check import check_writable
from ardour_session.reader import read_view
from ardour_session.writer import session_root
from support.session_material import RATE_HZ, full_session
from support.session_strategies import sessions


def _through_xml(session, tmp_path, file_format):
    check_writable(session, file_format)
    text = etree.tostring(session_root(session, file_format))
    return read_view(etree.fromstring(text), tmp_path / "from-the-file-name.ardour")


RELAXED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@RELAXED
@given(session=sessions())
def test_every_session_comes_back_as_it_was_written(session, tmp_path):
    assert _through_xml(session, tmp_path, FileFormat.ARDOUR_7) == session


@RELAXED
@given(session=sessions(only_format_6=True))
def test_every_session_comes_back_from_the_ardour_6_format(session, tmp_path):
    assert _through_xml(session, tmp_path, FileFormat.ARDOUR_6) == session


@RELAXED
@given(session=sessions())
def test_ids_are_unique_and_the_counter_stands_above_them(session):
    root = session_root(session, FileFormat.ARDOUR_7)
    ids = [int(element.get("id")) for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert int(root.get("id-counter")) == max(ids) + 1


def test_a_whole_session_on_disk_comes_back(tmp_path):
    session = full_session(tmp_path / "library")
    assert read_session(write_session(session, tmp_path / "out")) == session


def test_without_a_session_range_the_regions_give_it(tmp_path):
    session = replace(full_session(tmp_path / "library"), session_range=None)
    written = read_session(write_session(session, tmp_path / "out"))
    assert written.session_range == TimeRange(48_000, 144_000)


def test_tempo_points_stand_at_exact_superclocks():
    tempo_map = TempoMap(
        (TempoChange(93), TempoChange(Fraction(247, 2), 400)), (MeterChange(), MeterChange(7, 8, 51))
    )
    root = session_root(Session("s", RATE_HZ, tempo_map), FileFormat.ARDOUR_7)
    second_tempo, second_meter = root.findall(".//Tempo")[1], root.findall(".//Meter")[1]
    assert second_tempo.get("sclock") == str(round(Fraction(400 * 60 * 282_240_000, 93)))
    assert second_tempo.get("quarters") == "400:0"
    # 200 quarters past bar 51 are 57 bars of 7/8 and half a quarter: bar 108, second eighth
    assert second_tempo.get("bbt") == "108|2|0"
    assert second_meter.get("sclock") == str(round(Fraction(200 * 60 * 282_240_000, 93)))
    assert second_meter.get("quarters") == "200:0"
    assert second_meter.get("bbt") == "51|1|0"
