"""The SoundFont renderer: as exact, as deterministic, and never swapped silently."""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from dgx_music.engines.base import CancelledByUserError, EngineSettings, TakeSpec
from dgx_music.engines.sketch import SketchEngine
from dgx_music.engines.sketch.fluid import SoundFontSounds
from dgx_music.engines.sketch.smf import note_off, note_on, program_change, write_smf
from dgx_music.engines.sketch.soundfont import FluidSynth, find_fluidsynth
from dgx_music.engines.sketch.sounds import Note
from dgx_music.errors import EngineError

SMALL = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


@pytest.fixture
def fluidsynth():
    found = find_fluidsynth(SMALL if SMALL.is_file() else None)
    if found is None:
        pytest.skip("needs the program fluidsynth and a SoundFont (Debian: fluidsynth, timgm6mb-soundfont)")
    return found


@pytest.fixture
def settings(fluidsynth):
    return EngineSettings(renderer="fluidsynth", soundfont=fluidsynth.soundfont)


def test_the_font_is_in_the_takes_description(make, settings):
    raw = make("rock", settings=settings, bpm=120, bars=1)
    assert raw.info.model == f"fluidsynth:{settings.soundfont.stem}"
    assert raw.info.model_hash == hashlib.sha256(settings.soundfont.read_bytes()).hexdigest()


@pytest.mark.parametrize("genre", ["jazz", "techno", "cinematic"])
def test_the_same_seed_gives_the_same_samples_and_stems_that_sum(make, settings, genre):
    first = make(genre, settings=settings, bpm=121.7, bars=2, meter="7/8")
    assert np.array_equal(make(genre, settings=settings, bpm=121.7, bars=2, meter="7/8").audio, first.audio)
    assert first.audio.shape[1] == math.ceil(2 * 3.5 * 60 / 121.7 * 48_000)
    total = np.zeros_like(first.audio)
    for stem in first.stems.values():
        total += stem
    assert np.max(np.abs(total - first.audio)) <= 1e-6
    assert np.max(np.abs(first.audio.mean(axis=1))) < 1e-3


def test_notes_are_cut_where_they_start(fluidsynth):
    """Whatever slot a note was recorded in, it is heard at the same sample, at once."""
    sounds = SoundFontSounds(fluidsynth)
    notes = [
        Note(drums=drums, instrument="rock" if drums else "piano", pitch=37, gate=gate, velocity_step=step)
        for drums, gates in ((True, (0,)), (False, (5001, 12_345, 20_000)))
        for gate in gates
        for step in (4, 8, 12, 16)
    ]
    loud = [Note(drums=True, instrument="rock", pitch=49, gate=0, velocity_step=16)]
    heard: dict[bool, list[int]] = {True: [], False: []}
    sounds.prepare(notes + loud, lambda: None)
    for note in notes:
        level = np.max(np.abs(sounds.sound(note)), axis=0)
        heard[note.drums].append(int(np.argmax(level > 0.02 * level.max())))
    for places in heard.values():
        assert max(places) - min(places) <= 12
        assert max(places) < 240


def test_a_notes_sound_does_not_depend_on_the_notes_recorded_beside_it(fluidsynth):
    note = Note(drums=True, instrument="rock", pitch=38, gate=0, velocity_step=12)
    others = [
        Note(drums=True, instrument="rock", pitch=pitch, gate=0, velocity_step=16) for pitch in (36, 49)
    ]
    alone, beside = SoundFontSounds(fluidsynth), SoundFontSounds(fluidsynth)
    alone.prepare([note], lambda: None)
    beside.prepare([note, *others], lambda: None)
    first, second = alone.sound(note), beside.sound(note)
    assert np.array_equal(first, second)


def test_a_failing_program_is_an_error_and_no_other_renderer_steps_in(tmp_path, ask, control, fluidsynth):
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"this is no SoundFont")
    engine = SketchEngine(EngineSettings(renderer="fluidsynth", soundfont=broken))
    with pytest.raises(EngineError, match=r"broken\.sf2"):
        list(engine.generate([TakeSpec(0, 1, ask("rock", duration=1))], control))


def test_cancelling_ends_the_program(fluidsynth):
    def cancel():
        raise CancelledByUserError

    sounds = SoundFontSounds(fluidsynth)
    notes = [
        Note(drums=False, instrument="strings", pitch=pitch, gate=900_000, velocity_step=8)
        for pitch in range(40, 90)
    ]
    with pytest.raises(CancelledByUserError):
        sounds.prepare(notes, cancel)


def test_without_the_program_numpy_plays_unless_fluidsynth_was_demanded(monkeypatch, ask, control):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    ((_, raw),) = SketchEngine(EngineSettings()).generate([TakeSpec(0, 1, ask("rock", duration=1))], control)
    assert raw.info.model == "numpy-synth"
    availability = SketchEngine.availability(EngineSettings(renderer="fluidsynth"))
    assert not availability.usable
    assert "fluid" in availability.reason


def test_fonts_are_found_in_the_users_folder_and_the_best_one_is_taken(tmp_path, monkeypatch):
    folder = tmp_path / ".local/share/sounds/sf2"
    folder.mkdir(parents=True)
    for name in ("Zither.sf2", "FluidR3_GM.sf2"):
        (folder / name).write_bytes(b"")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/fluidsynth")
    assert find_fluidsynth(None) == FluidSynth(Path("/usr/bin/fluidsynth"), folder / "FluidR3_GM.sf2")


def test_midi_files_hold_what_was_written():
    data = write_smf(
        [(300, note_off(9, 38)), (0, program_change(9, 16)), (0, note_on(9, 38, 100))],
        division=24_000,
        tempo_us=500_000,
        end=20_000,
    )
    assert data[:14] == b"MThd" + (6).to_bytes(4, "big") + bytes((0, 0, 0, 1)) + (24_000).to_bytes(2, "big")
    assert data[14:18] == b"MTrk"
    body = data[22:]
    assert int.from_bytes(data[18:22], "big") == len(body)
    assert body == bytes.fromhex("00ff510307a12000c91000992664822c892600819974ff2f00")
