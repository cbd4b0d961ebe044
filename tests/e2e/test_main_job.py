"""A prompt in; a WAV at the right loudness and an Ardour session out, as a newcomer does it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from wavinfo import WavInfoReader

from support.ardour import ArdourTools, needs_ardour

PROMPT = "dusty lo-fi drums and rhodes, 84 bpm, A minor"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    from support.daemon import installation

    with installation(tmp_path_factory.mktemp("main-job") / "home") as here:
        yield here, here.json("generate", PROMPT, "--takes", "2", "--bars", "4", "--session")


def ffmpeg_ebur128(path):
    """Integrated loudness and true peak, by somebody else's meter."""
    said = subprocess.run(
        ["ffmpeg", "-nostats", "-i", path, "-filter_complex", "ebur128=peak=true", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    summary = said[said.rindex("Summary:") :]
    return float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1]), float(
        re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1]
    )


def test_ffmpeg_agrees_with_the_stored_loudness_and_true_peak(made):
    _here, job = made
    for take in job["takes"]:
        loudness_lufs, peak_dbtp = ffmpeg_ebur128(take["path"])
        assert loudness_lufs == pytest.approx(take["loudness_lufs"], abs=0.2)
        assert take["loudness_lufs"] == pytest.approx(-16, abs=0.1)
        assert peak_dbtp == pytest.approx(take["true_peak_dbtp"], abs=0.3)
        assert peak_dbtp <= -1.0 + 0.1  # ffmpeg prints one decimal


def test_the_file_is_as_long_as_its_bars_to_the_sample(made):
    _here, job = made
    frames = round(4 * 4 * 60 / 84 * 48_000)
    for take in job["takes"]:
        info = soundfile.info(take["path"])
        assert (info.frames, info.samplerate, info.channels, info.subtype) == (frames, 48_000, 2, "PCM_24")


def test_the_file_says_how_it_was_made_and_never_passes_as_musicgen(made):
    _here, job = made
    take = job["takes"][0]
    assert Path(take["path"]).name.endswith("_84bpm.wav")
    assert "_sketch_" in Path(take["path"]).name
    info = WavInfoReader(take["path"])
    told = info.ixml.source.decode()
    assert "procedural, no neural model" in told
    assert str(take["seed"]) in told
    assert "procedural, no neural model" in info.bext.description
    assert info.bext.loudness_value == pytest.approx(take["loudness_lufs"], abs=0.01)
    assert job["engine"] == take["engine"] == "sketch"
    assert take["neural"] is False


def test_the_same_seed_gives_the_same_audio(made):
    here, job = made
    seed = job["takes"][1]["seed"]
    again = here.json("generate", PROMPT, "--bars", "4", "--seed", seed)
    first, _ = soundfile.read(job["takes"][1]["path"])
    second, _ = soundfile.read(again["takes"][0]["path"])
    assert np.array_equal(first, second)


@pytest.mark.ardour
@needs_ardour
def test_ardour_opens_the_session_without_a_complaint_and_plays_the_take_bit_for_bit(made, tmp_path):
    _here, job = made
    tools = ArdourTools(tmp_path / "ardour")
    session = Path(job["session"])
    found = tools.inventory(session)
    assert found.missing_sources == []
    take, _ = soundfile.read(job["takes"][0]["path"])
    exported, _ = soundfile.read(tools.export(session, tmp_path / "rendered.wav", frames=len(take)))
    assert np.array_equal(exported, take)


def test_a_finished_job_can_be_looked_up_and_made_into_another_session(made, tmp_path):
    here, job = made
    assert here.json("status", job["job_id"])["takes"] == job["takes"]
    assert job["job_id"] in here.run("history").stdout
    built = here.json("session", job["job_id"], "-o", tmp_path / "Two takes")
    inspected = here.json("inspect", built["session"])
    assert inspected["findings"] == []
    assert inspected["session"]["tempo_map"]["tempos"][0]["bpm"] == 84


def test_measure_agrees_with_what_was_stored(made):
    here, job = made
    take = job["takes"][0]
    [measured] = here.json("measure", take["path"])
    assert measured["loudness_lufs"] == pytest.approx(take["loudness_lufs"], abs=0.02)
    assert measured["true_peak_dbtp"] == pytest.approx(take["true_peak_dbtp"], abs=0.02)
