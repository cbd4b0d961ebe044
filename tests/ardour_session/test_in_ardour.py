"""What Ardour itself makes of what we write: it loads, keeps, plays and converts it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import soundfile

from ardour_session import (
    AudioFile,
    FileFormat,
    MasterBus,
    MeterChange,
    Playlist,
    Region,
    RouteGroup,
    Session,
    SessionDocument,
    TempoChange,
    TempoMap,
    TimeRange,
    Track,
    instantiate,
    legal_track_name,
    lint,
    read_session,
    write_session,
    write_template,
)
from support.ardour import ArdourError, ArdourTools, needs_ardour, ticks
from support.session_material import RATE_HZ, TAKE_SAMPLES, full_session, whole, write_noise

pytestmark = [needs_ardour, pytest.mark.ardour]

RESAVE = """
local session = load_session (arg[1], arg[2])
if not session then error ("the session does not load") end
if Session:save_state (arg[3], false, false, false, false, false) ~= 0 then error ("the session is not saved") end
session = nil
collectgarbage ()
Session:close ()
"""


def _assert_loaded_as_written(found, session):
    assert (found.name, found.sample_rate_hz) == (session.name, session.sample_rate_hz)
    assert found.session_range == (session.session_range.start_samples, session.session_range.end_samples)
    assert found.missing_sources == []
    assert list(found.tracks) == [track.name for track in session.tracks]
    for track in session.tracks:
        route = found.routes[track.name]
        assert (route.inputs, route.outputs, route.connected) == (track.channel_count, 2, True)
        assert route.muted == track.muted
        assert route.gain == pytest.approx(10 ** (track.gain_db / 20), rel=1e-6)
        assert route.colour_rgba == (track.colour_rgba or 0)
        assert route.comment == track.comment
        assert route.active.name == track.playlist.name
        assert {playlist.name for playlist in route.playlists} == {
            playlist.name for playlist in track.playlists
        }
        for playlist in track.playlists:
            loaded = next(fact for fact in route.playlists if fact.name == playlist.name)
            _assert_regions(loaded.regions, playlist.regions)
    for group in session.groups:
        rgba, shares, members = found.groups[group.name]
        assert (rgba, shares) == (group.colour_rgba or 0, group.shares_controls)
        assert sorted(members) == sorted(track.name for track in session.tracks if track.group == group.name)
    assert sorted(found.locations) == sorted(
        [
            ("session", "session", session.session_range.start_samples, session.session_range.end_samples),
            ("loop", "Loop", session.loop.start_samples, session.loop.end_samples),
            *(("mark", mark.name, mark.position_samples, mark.position_samples) for mark in session.markers),
            *(("range", span.name, span.start_samples, span.end_samples) for span in session.ranges),
        ]
    )


def _assert_regions(loaded, written):
    assert [fact.name for fact in loaded] == [region.name for region in written]
    for fact, region in zip(loaded, written, strict=True):
        assert fact.position_samples == region.position_samples
        assert fact.length_samples == region.length_samples
        assert fact.start_samples == region.start_samples
        assert fact.channel_count == len(region.sources)
        assert (fact.muted, fact.fades) == (region.muted, (region.fades, region.fades))
        assert fact.gain == pytest.approx(10 ** (region.gain_db / 20), rel=1e-6)
        for source, wanted in zip(fact.sources, region.sources, strict=True):
            assert (source.path.name, source.channel) == (wanted.file.name, wanted.channel)


def _assert_tempo(found, tempo_map, tempo_at):
    """Compare bars, samples and meters; `tempo_at` maps quarter notes to the quarter notes per minute expected there."""
    for at, fact in found.tempo.items():
        quarters = Fraction(at, 1920)
        place = tempo_map.bar_beat_tick_at(quarters)
        assert fact.bbt == (place.bar, place.beat, place.tick)
        # Ardour rounds a quarter note to a superclock and a position down to a sample.
        exact = tempo_map.superclock_at(quarters) * RATE_HZ / 282_240_000
        assert exact - 1.01 <= fact.samples <= exact + 0.01
        assert fact.quarters_per_minute == pytest.approx(tempo_at(quarters), abs=1e-3)


def test_everything_in_a_session_arrives_in_ardour_without_a_complaint(ardour: ArdourTools, tmp_path):
    session = full_session(tmp_path / "library", "größe <&> “x”'s")
    written = write_session(session, tmp_path / "out")
    inside = [Fraction(n, 2) + Fraction(1, 1920) for n in (0, 3, 15, 17, 22, 23, 29, 31, 32, 33, 47)]
    found = ardour.inventory(written, tuple(ticks(quarters) for quarters in inside))
    _assert_loaded_as_written(found, session)

    def tempo_at(quarters):
        if quarters < 8:
            return 93
        return 100 + 40 * (quarters - 8) / 8 if quarters < 16 else 140

    assert {fact.meter for fact in found.tempo.values()} == {(4, 4), (7, 8), (3, 4)}
    for at, fact in found.tempo.items():
        meter = [
            change
            for change in session.tempo_map.meters
            if session.tempo_map.quarters_at_bar(change.bar) * 1920 <= at
        ]
        assert fact.meter == (meter[-1].beats_per_bar, meter[-1].note_value)
    # In 7/8 Ardour 7.3 counts the beat of a position between two quarter notes by quarters: compare bars only there.
    in_quarters = {at: fact for at, fact in found.tempo.items() if fact.meter[1] == 4}
    found.tempo = in_quarters
    _assert_tempo(found, session.tempo_map, tempo_at)


def test_tracks_of_every_legal_name_keep_their_connections(ardour: ArdourTools, tmp_path):
    names = [
        'kit/left <&> "x"',
        "größe ночь 夜",
        "ü" * 50,
        "x" * 100,
        "100%",
        legal_track_name("bass: 2"),
        "'",
    ]
    tracks = tuple(Track(name, Playlist(f"{name}.1"), comment="<&>\n'") for name in names)
    session = Session("names", tracks=tracks, session_range=TimeRange(0, 10), loop=TimeRange(0, 10))
    _assert_loaded_as_written(ardour.inventory(write_session(session, tmp_path / "out")), session)


def test_ardour_saves_what_it_loaded_unchanged(ardour: ArdourTools, tmp_path):
    session = full_session(tmp_path / "library")
    written = write_session(session, tmp_path / "out")
    saved = _resave(ardour, written, tmp_path)
    assert read_session(saved) == session
    assert lint(saved) == []
    again = SessionDocument.open(saved).save_snapshot("again")
    assert SessionDocument.open(again).canonical_xml() == SessionDocument.open(saved).canonical_xml()


def test_tracks_added_to_a_session_that_ardour_saved_load_beside_the_old_ones(ardour: ArdourTools, tmp_path):
    session = full_session(tmp_path / "library")
    saved = _resave(ardour, write_session(session, tmp_path / "out"), tmp_path)
    write_noise(tmp_path / "new.wav", seed=8)
    takes = [
        Playlist(name, (whole(AudioFile.taken_in(tmp_path / "new.wav"), name, 10_000),))
        for name in ("new 1", "new 2")
    ]
    document = SessionDocument.open(saved)
    document.append([Track("new", takes[0], other_playlists=(takes[1],), group="stems")])
    _assert_loaded_as_written(ardour.inventory(document.save_snapshot("more")), document.session)


def test_the_ardour_6_format_is_converted_with_every_position_and_tempo(ardour: ArdourTools, tmp_path):
    tempo_map = TempoMap(
        (TempoChange(93), TempoChange(Fraction(247, 2), 8), TempoChange(80, 24)),
        (MeterChange(4, 4), MeterChange(3, 4, bar=3), MeterChange(5, 4, bar=5)),
    )
    session = replace(full_session(tmp_path / "library"), tempo_map=tempo_map)
    written = write_session(session, tmp_path / "out", file_format=FileFormat.ARDOUR_6)
    original = written.read_bytes()
    found = ardour.inventory(written, tuple(ticks(n) + 1 for n in (0, 3, 5, 8, 11, 14, 20, 23, 24, 40)))
    _assert_loaded_as_written(found, session)
    _assert_tempo(found, tempo_map, lambda q: 93 if q < 8 else 123.5 if q < 24 else 80)
    assert written.with_name("full-6000.ardour").read_bytes() == original
    assert read_session(_resave(ardour, written, tmp_path)) == session


def test_a_meter_of_eighths_in_the_ardour_6_format_is_converted(ardour: ArdourTools, tmp_path):
    tempo_map = TempoMap((TempoChange(120),), (MeterChange(7, 8), MeterChange(4, 4, bar=4)))
    session = replace(full_session(tmp_path / "library"), tempo_map=tempo_map)
    written = write_session(session, tmp_path / "out", file_format=FileFormat.ARDOUR_6)
    assert read_session(_resave(ardour, written, tmp_path)).tempo_map == tempo_map


def _take_session(tmp_path, **changes):
    noise = write_noise(tmp_path / "take.wav", seed=1)
    take = whole(AudioFile.taken_in(tmp_path / "take.wav"), "take 1", 12_000)
    session = Session(
        "null",
        RATE_HZ,
        TempoMap.constant(93),
        tracks=(Track("take", Playlist("take 1", (take,))),),
        session_range=TimeRange(0, 12_000 + TAKE_SAMPLES),
    )
    return replace(session, **changes), noise


def _render(ardour, session, tmp_path, **options):
    written = write_session(session, tmp_path / "out", **options)
    frames = session.session_range.end_samples - session.session_range.start_samples
    samples, rate = soundfile.read(
        ardour.export(written, tmp_path / "render.wav", frames=frames), dtype="float32"
    )
    assert rate == RATE_HZ
    return samples


def test_a_take_comes_out_of_ardour_bit_for_bit_where_it_was_put(ardour: ArdourTools, tmp_path):
    session, noise = _take_session(tmp_path)
    rendered = _render(ardour, session, tmp_path)
    assert np.array_equal(rendered[12_000:], noise)
    assert not rendered[:12_000].any()


def test_muted_stems_in_a_group_are_silent_and_the_take_beside_them_sounds_alone(
    ardour: ArdourTools, tmp_path
):
    session, noise = _take_session(tmp_path)
    stems = []
    for number, channels in enumerate((2, 2, 1)):
        path = tmp_path / f"stem{number}.wav"
        write_noise(path, channels=channels, seed=20 + number)
        playlist = Playlist(path.stem, (whole(AudioFile.taken_in(path, channels), path.stem),))
        stems.append(Track(path.stem, playlist, channels, muted=True, group="stems"))
    session = replace(session, tracks=(*session.tracks, *stems), groups=(RouteGroup("stems"),))
    assert np.array_equal(_render(ardour, session, tmp_path)[12_000:], noise)


def test_the_second_take_is_not_heard_and_a_muted_region_neither(ardour: ArdourTools, tmp_path):
    session, noise = _take_session(tmp_path)
    write_noise(tmp_path / "other.wav", seed=2)
    other = whole(AudioFile.taken_in(tmp_path / "other.wav"), "other")
    track = replace(session.tracks[0], other_playlists=(Playlist("take 2", (other,)),))
    silent = Track("silent", Playlist("silent", (replace(other, name="silent", muted=True),)))
    assert np.array_equal(_render(ardour, replace(session, tracks=(track, silent)), tmp_path)[12_000:], noise)


def test_gains_of_region_track_and_master_add_up(ardour: ArdourTools, tmp_path):
    session, noise = _take_session(tmp_path, master=MasterBus(-1.5))
    region = replace(session.tracks[0].playlist.regions[0], gain_db=-6.0)
    track = replace(session.tracks[0], playlist=Playlist("p", (region,)), gain_db=3.0)
    rendered = _render(ardour, replace(session, tracks=(track,)), tmp_path)[12_000:]
    assert np.allclose(rendered, noise * 10 ** (-4.5 / 20), rtol=1e-5, atol=1e-7)


def test_a_mono_take_sounds_in_the_middle_three_decibels_down(ardour: ArdourTools, tmp_path):
    noise = write_noise(tmp_path / "mono.wav", channels=1, seed=3)
    region = whole(AudioFile.taken_in(tmp_path / "mono.wav", 1), "mono")
    session = Session(
        "s", tracks=(Track("mono", Playlist("mono", (region,)), 1),), session_range=TimeRange(0, TAKE_SAMPLES)
    )
    rendered = _render(ardour, session, tmp_path)
    assert np.allclose(rendered, noise * 10 ** (-3 / 20), rtol=1e-5)


def test_a_part_of_a_file_is_played_from_its_start(ardour: ArdourTools, tmp_path):
    session, noise = _take_session(tmp_path)
    source = session.audio_files[0]
    part = Region("part", source.channels, 5000, 7000, 1000)
    session = replace(session, tracks=(Track("t", Playlist("p", (part,))),))
    rendered = _render(ardour, session, tmp_path)
    assert np.array_equal(rendered[7000:12_000], noise[1000:6000])
    assert not rendered[12_000:].any()


def test_the_ardour_6_format_sounds_the_same(ardour: ArdourTools, tmp_path):
    session, noise = _take_session(tmp_path)
    assert np.array_equal(_render(ardour, session, tmp_path, file_format=FileFormat.ARDOUR_6)[12_000:], noise)


def test_ardour_makes_a_session_with_audio_of_a_template_with_absolute_paths(ardour: ArdourTools, tmp_path):
    session = full_session(tmp_path / "library")
    write_template(session, tmp_path / "With Audio", keep_audio=True)
    ardour.install_template(tmp_path / "With Audio")
    made = ardour.new_session("With Audio", tmp_path / "new", "new")
    found = ardour.inventory(made)
    assert found.missing_sources == []
    assert [region.name for region in found.routes["take"].active.regions] == ["take 1"]
    assert read_session(made).tracks[0].playlist.regions[0].position_samples == 48_000


def test_a_template_instantiated_here_is_what_ardour_makes_of_it(ardour: ArdourTools, tmp_path):
    template = write_template(full_session(tmp_path / "library"), tmp_path / "Mine")
    ardour.install_template(tmp_path / "Mine")
    theirs = ardour.new_session("Mine", tmp_path / "theirs", "song")
    ours = instantiate(template, "song", RATE_HZ).save_new(tmp_path / "ours")
    assert read_session(ours) == replace(read_session(theirs), description="")
    assert list(ardour.inventory(ours).tracks) == ["take", "drums", "bass"]


def test_a_missing_file_and_a_broken_session_do_not_pass_the_inventory(ardour: ArdourTools, tmp_path):
    session, _ = _take_session(tmp_path)
    written = write_session(session, tmp_path / "out", hard_link=False)
    next((tmp_path / "out").rglob("take.wav")).unlink()
    assert [source.path.name for source in ardour.inventory(written).missing_sources] == [
        "take.wav",
        "take.wav",
    ]
    written.write_text(written.read_text()[:-2000])
    with pytest.raises(ArdourError):
        ardour.inventory(written)


def _resave(ardour, session_file, tmp_path):
    script = tmp_path / "resave.lua"
    script.write_text(RESAVE)
    ardour.run_lua(script, str(session_file.parent), session_file.stem, "saved-by-ardour")
    return session_file.with_name("saved-by-ardour.ardour")
