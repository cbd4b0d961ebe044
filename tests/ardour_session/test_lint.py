from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from ardour_session import FileFormat, SessionError, Severity, TempoMap, lint, write_session
from support.session_material import full_session, write_noise

SAVED_BY_ARDOUR = Path(__file__).parent / "data" / "saved-by-ardour-7.3.ardour"


@pytest.fixture
def session_file(tmp_path):
    return write_session(full_session(tmp_path / "library"), tmp_path / "full", hard_link=False)


def _edit(session_file, change):
    tree = etree.parse(session_file)
    change(tree.getroot())
    session_file.write_bytes(etree.tostring(tree))


def test_what_we_write_has_no_fault(session_file, tmp_path):
    assert lint(session_file) == []
    session = replace(full_session(tmp_path / "library"), tempo_map=TempoMap.constant(93))
    assert lint(write_session(session, tmp_path / "six", file_format=FileFormat.ARDOUR_6)) == []


def test_what_ardour_saves_has_no_fault(session_file):
    shutil.copy(SAVED_BY_ARDOUR, session_file)
    assert lint(session_file) == []


def _audio(session_file, name):
    return session_file.parent / "interchange/full/audiofiles" / name


@pytest.mark.parametrize(
    ("code", "name", "harm", "said"),
    [
        ("missing-source", "take1.wav", lambda path: path.unlink(), "silence"),
        ("source-rate", "take1.wav", lambda path: write_noise(path, rate_hz=44_100), "44100 Hz"),
        ("region-past-source", "take1.wav", lambda path: write_noise(path, frames=70_000), "source of 70000"),
        ("source-channel", "take1.wav", lambda path: write_noise(path, channels=1), "channel '1'"),
        ("unreadable-source", "take1.wav", lambda path: path.write_bytes(b"RIFF"), "ends inside its header"),
    ],
)
def test_audio_that_does_not_fit_is_found(session_file, code, name, harm, said):
    harm(_audio(session_file, name))
    found = lint(session_file)
    assert {finding.code for finding in found} == {code}
    assert all(finding.severity is Severity.ERROR and said in finding.message for finding in found)
    assert name in found[0].where or "take 1" in found[0].where


def test_audio_is_found_in_any_folder_below_interchange_as_ardour_does(session_file):
    interchange = session_file.parent / "interchange"
    (interchange / "full").rename(interchange / "older name")
    assert lint(session_file) == []


def _drop(attribute):
    def harm(element):
        del element.attrib[attribute]

    return harm


def _put(attribute, value):
    def harm(element):
        element.set(attribute, value)

    return harm


def _remove(element):
    element.getparent().remove(element)


@pytest.mark.parametrize(
    ("code", "xpath", "harm"),
    [
        ("unknown-source", ".//Region", _put("source-1", "77")),
        ("unknown-source", ".//Region", _put("master-source-0", "77")),
        ("unknown-playlist", ".//Route[@audio-playlist]", _put("audio-playlist", "77")),
        ("unknown-track", "UnusedPlaylists/Playlist", _put("orig-track-id", "77")),
        ("unknown-group-member", "RouteGroups/RouteGroup", _put("routes", "77")),
        (
            "duplicate-id",
            "Locations/Location",
            lambda element: element.set("id", element.getnext().get("id")),
        ),
        ("low-id-counter", ".", _put("id-counter", "1001")),
        ("missing-tempo-attribute", ".//Tempo", _drop("sclock")),
        ("missing-tempo-attribute", ".//Tempo", _drop("note-type")),
        ("missing-tempo-attribute", ".//Meter", _drop("bbt")),
        ("missing-tempo", "TempoMap/Meters", lambda element: element.clear()),
        ("missing-section", "RouteGroups", _remove),
        ("missing-option", "Config/Option", _remove),
        ("missing-sample-rate", ".", _drop("sample-rate")),
        ("bad-sample-rate", ".", _put("sample-rate", "fast")),
        ("source-channel", ".//Source", _put("channel", "left")),
        ("missing-location-attribute", "Locations/Location", _drop("id")),
        ("missing-session-range", "Locations/Location", _put("flags", "IsRangeMarker")),
        ("missing-region-attribute", ".//Region", _drop("name")),
        ("missing-processor-type", ".//Processor[@type='meter']", _drop("type")),
        ("missing-fader", ".//Route/Processor[@type='amp']", _remove),
        ("empty-click", "Click", lambda element: element.clear()),
        ("empty-comment", ".//Comment", lambda element: setattr(element, "text", None)),
        ("bad-time", ".//Region", _put("start", "early")),
    ],
)
def test_what_ardour_crashes_on_drops_or_keeps_silent_about_is_found(session_file, code, xpath, harm):
    _edit(session_file, lambda root: harm(root.find(xpath)))
    found = lint(session_file)
    assert {finding.code for finding in found} == {code}
    assert all(finding.where and finding.message for finding in found)


def test_attributes_absent_from_an_ardour_6_tempo_map_are_found(tmp_path):
    session = replace(full_session(tmp_path / "library"), tempo_map=TempoMap.constant(93))
    written = write_session(session, tmp_path / "six", file_format=FileFormat.ARDOUR_6)
    _edit(written, lambda root: _drop("frame")(root.find("TempoMap/Tempo")))
    assert [finding.code for finding in lint(written)] == ["missing-tempo-attribute"]


def test_a_session_that_ardour_would_not_open_but_replace_by_a_crashed_one_is_found(session_file):
    session_file.with_suffix(".pending").write_text("<Session/>")
    assert [finding.code for finding in lint(session_file)] == ["pending-file"]


def test_a_finding_names_the_line_of_its_element(session_file):
    _edit(session_file, lambda root: root.find(".//Region").set("source-0", "77"))
    line = next(
        n for n, text in enumerate(session_file.read_text().splitlines(), 1) if 'source-0="77"' in text
    )
    assert lint(session_file)[0].where == f"Region 'take 1', line {line}"


def test_what_is_no_session_at_all_is_refused(tmp_path):
    path = tmp_path / "x.ardour"
    path.write_text("<svg/>")
    with pytest.raises(SessionError, match="root element is <svg>"):
        lint(path)
    with pytest.raises(FileNotFoundError):
        lint(tmp_path / "absent.ardour")
