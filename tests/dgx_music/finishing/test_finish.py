from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.errors import AudioError
from dgx_music.finishing.finish import finish
from dgx_music.finishing.level import CEILING_DBTP
from dgx_music.finishing.quantise import to_float
from support.signals import chord, clicks, noise, progression, raw_take, sine


def _faded_in(audio):
    # Where a high tone starts at once, meters differ by half a decibel: it depends on what they take for the past.
    return audio * np.minimum(1, np.arange(audio.shape[1]) / 4800).astype(np.float32)


def _drums_over_noise(duration_s, rate, drums):
    return noise(duration_s, rate, rms=0.03) + drums * clicks(100, duration_s, rate, channels=2)


MATERIAL = {
    "dense noise": lambda rate: noise(4, rate, rms=0.3),
    "quiet noise": lambda rate: noise(4, rate, rms=0.01),
    "chords and drums": lambda rate: progression(((57, 3), (53, 4)), 120, rate, bars=2),
    "drums over noise": lambda rate: _drums_over_noise(4, rate, 0.5),
    "a tone between samples": lambda rate: _faded_in(sine(rate * 0.23, 4, rate, amplitude=0.5, channels=2)),
    "a clipped bass": lambda rate: np.clip(sine(55, 4, rate, amplitude=4, channels=2), -1, 1),
    "one channel only": lambda rate: noise(4, rate, rms=0.2) * np.array([[1], [0]], np.float32),
}


def _finish(audio, rate, **fields):
    return finish(*raw_take(audio, rate, **fields))


def _ffmpeg_levels(path):
    """Return integrated loudness and true peak as ffmpeg's ebur128 reads them."""
    done = subprocess.run(
        [
            "ffmpeg",
            "-hide_banner",
            "-nostats",
            "-i",
            path,
            "-filter_complex",
            "ebur128=peak=true",
            "-f",
            "null",
            "-",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    summary = done.stderr[done.stderr.rindex("Summary:") :]
    return float(re.search(r"I:\s+(\S+) LUFS", summary)[1]), float(
        re.search(r"Peak:\s+(\S+) dBFS", summary)[1]
    )


def _write(path, master):
    import soundfile

    subtype = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[master.bit_depth]
    data = master.audio.T << 8 if master.bit_depth == 24 else master.audio.T
    soundfile.write(path, data, master.sample_rate_hz, subtype=subtype)
    return path


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is the second meter")
@pytest.mark.parametrize("material", MATERIAL)
@pytest.mark.parametrize("target", [-16, -23, -9])
def test_ffmpeg_reads_what_the_report_says(material, target, tmp_path):
    master = _finish(MATERIAL[material](48_000), 48_000, loudness=target)
    loudness_lufs, peak_dbtp = _ffmpeg_levels(_write(tmp_path / "take.wav", master))
    assert master.level.loudness_lufs == pytest.approx(loudness_lufs, abs=0.2)
    assert master.level.true_peak_dbtp == pytest.approx(peak_dbtp, abs=0.3)
    assert peak_dbtp <= -1.0
    if master.level.outcome == "on_target":
        assert loudness_lufs == pytest.approx(target, abs=0.2)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is the second meter")
@pytest.mark.parametrize("rate", [32_000, 44_100, 96_000])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_every_format_is_read_alike(rate, bits, tmp_path):
    audio = progression(((57, 3), (53, 4)), 120, 48_000, bars=2)
    master = _finish(audio, 48_000, sample_rate=rate, bit_depth=bits, duration=3.9, loudness=-14)
    loudness_lufs, peak_dbtp = _ffmpeg_levels(_write(tmp_path / "take.wav", master))
    assert loudness_lufs == pytest.approx(-14, abs=0.2)
    assert peak_dbtp <= -1.0


@pytest.mark.parametrize("material", MATERIAL)
@pytest.mark.parametrize("target", [-23, -16, -14, -10])
def test_the_target_is_reached_or_the_report_says_why_not(material, target):
    level = _finish(MATERIAL[material](48_000), 48_000, loudness=target).level
    assert level.true_peak_dbtp <= CEILING_DBTP + 0.01
    assert level.target_lufs == target
    if level.outcome == "on_target":
        assert level.loudness_lufs == pytest.approx(target, abs=0.1)
        assert level.remark == ""
    else:
        assert level.outcome == "off_target"
        assert f"{level.loudness_lufs:.1f} of {target} LUFS" in level.remark


@pytest.mark.parametrize("material", ["dense noise", "chords and drums", "quiet noise", "a clipped bass"])
def test_ordinary_material_reaches_the_usual_targets(material):
    for target in (-23, -16, -14):
        assert _finish(MATERIAL[material](48_000), 48_000, loudness=target).level.outcome == "on_target"


def test_loudness_is_not_given_up_for_a_lone_peak():
    audio = noise(8, 48_000, rms=0.05)
    audio[:, 100_000] = 4.0
    level = _finish(audio, 48_000).level
    assert level.outcome == "on_target"
    assert level.true_peak_dbtp <= CEILING_DBTP + 0.01


def test_a_bare_click_track_is_not_crushed_for_loudness_and_the_report_says_so():
    level = _finish(clicks(60, 8, 48_000), 48_000, loudness=-10).level
    assert level.outcome == "off_target"
    assert "eat more than 6 LU" in level.remark
    assert level.loudness_lufs < -20


def test_a_nearly_silent_take_is_not_blown_up():
    level = _finish(noise(4, 48_000, rms=0.0006), 48_000, loudness=-16).level
    assert level.outcome == "off_target"
    assert "30 dB" in level.remark


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_silence_stays_silence(bits):
    master = _finish(np.zeros((2, 96_000), np.float32), 48_000, bit_depth=bits)
    assert not master.audio.any()
    assert asdict(master.level) == {
        "loudness_lufs": None,
        "true_peak_dbtp": None,
        "sample_peak_dbfs": None,
        "target_lufs": -16.0,
        "outcome": "silent",
        "remark": "The take is digital silence.",
    }


def test_what_lies_below_the_gate_is_left_alone():
    audio = noise(2, 48_000, rms=1e-5)
    master = _finish(audio, 48_000, bit_depth=32)
    assert master.level.outcome == "silent"
    assert np.abs(master.audio).max() <= np.abs(audio).max()


def test_a_click_of_100_ms_keeps_its_level():
    audio = clicks(60, 0.1, 48_000, amplitude=0.4)
    master = _finish(audio, 48_000, bit_depth=32)
    assert master.level.outcome == "too_short"
    assert master.level.loudness_lufs is None
    np.testing.assert_array_equal(master.audio[:, :4000], audio[:, :4000])


def test_a_click_above_the_ceiling_is_turned_down_as_a_whole():
    audio = clicks(60, 0.1, 48_000, amplitude=3.0)
    master = _finish(audio, 48_000, bit_depth=32)
    assert master.level.outcome == "too_short"
    assert "lowered" in master.level.remark
    assert master.level.true_peak_dbtp == pytest.approx(CEILING_DBTP, abs=0.01)
    ratio = master.audio[0, :500] / audio[0, :500]
    assert np.ptp(ratio[np.abs(audio[0, :500]) > 0.01]) < 1e-5


@pytest.mark.parametrize("peak", [0.5, 2.0])
def test_no_target_means_no_change_but_for_the_ceiling(peak):
    audio = sine(440, 1, 48_000, amplitude=peak)
    master = _finish(audio, 48_000, loudness="none", bit_depth=32)
    assert master.level.outcome == "untouched"
    assert master.level.target_lufs is None
    assert master.level.sample_peak_dbfs == pytest.approx(min(20 * math.log10(peak), CEILING_DBTP), abs=0.02)


def test_a_constant_does_no_harm():
    master = _finish(np.full((1, 96_000), 0.7, np.float32), 48_000)
    assert master.level.true_peak_dbtp <= CEILING_DBTP + 0.01


@pytest.mark.parametrize("material", MATERIAL)
@pytest.mark.parametrize("loop", [False, True])
def test_the_same_take_comes_out_bit_by_bit(material, loop):
    audio = MATERIAL[material](32_000)
    first, second = (_finish(audio, 32_000, sample_rate=48_000, loop=loop, loudness=-12) for _ in range(2))
    np.testing.assert_array_equal(first.audio, second.audio)
    assert first.level == second.level


@pytest.mark.parametrize(("bits", "lsb"), [(16, 2**-15), (24, 2**-23), (32, 2**-24)])
@pytest.mark.parametrize("loudness", [-23, -8])
@pytest.mark.parametrize("loop", [False, True])
def test_the_stems_sum_to_the_take(bits, lsb, loudness, loop):
    rate = 32_000
    stems = {
        "drums": clicks(120, 4, rate, channels=2),
        "pad": noise(4, rate, rms=0.05),
        "keys": np.tile(0.1 * chord((57, 60, 64), 4, rate).astype(np.float32), (2, 1)),
    }
    audio = sum(stems.values())
    master = _finish(
        audio, rate, stems=stems, bit_depth=bits, loudness=loudness, sample_rate=48_000, loop=loop
    )
    assert set(master.stems) == set(stems)
    total = sum(to_float(stem, bits).astype(np.float64) for stem in master.stems.values())
    # Each of the four files is off by 1.5 steps at most; the rest is float32 along the way.
    assert np.abs(total - to_float(master.audio, bits)).max() <= 6 * lsb + 2e-6


def test_a_stem_that_passes_full_scale_is_held_and_reported():
    tone = sine(100, 2, 48_000, amplitude=3.0)
    stems = {"left over": tone, "against it": -tone + noise(2, 48_000, channels=1)}
    master = _finish(stems["left over"] + stems["against it"], 48_000, stems=stems)
    assert "'left over'" in master.level.remark
    assert master.stems["left over"].max() == 2**23 - 1


def test_a_mono_take_stays_mono():
    assert _finish(noise(1, 48_000, channels=1), 48_000).audio.shape == (1, 48_000)


def test_a_transient_on_sample_0_survives_the_limiter():
    audio = clicks(120, 4, 48_000) + noise(4, 48_000, rms=0.05, channels=1)
    master = _finish(audio, 48_000, loudness=-14)
    finished = np.abs(to_float(master.audio, 24)[0])
    assert finished[:48].max() == pytest.approx(finished[24_000:24_048].max(), rel=0.15)


@pytest.mark.parametrize(("bpm", "loudness"), [(120, -16), (93.5, -8)])
def test_a_finished_loop_has_no_seam(bpm, loudness):
    period = round(240 / bpm * 32_000)
    phase = 2 * np.pi * np.arange(period) / period
    audio = (sum(np.sin(k * phase + k) for k in (50, 130, 700)) / 3)[np.newaxis].astype(np.float32)
    fields = {"bars": 1, "prompt": f"a tone, {bpm} bpm"}
    master = _finish(audio, 32_000, **fields, loop=True, sample_rate=48_000, loudness=loudness)
    bend = np.abs(np.diff(np.tile(to_float(master.audio, 24)[0].astype(np.float64), 2), 2))
    samples = master.audio.shape[1]
    assert bend[samples - 100 : samples + 100].max() <= bend[: samples - 200].max() * 1.01


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.full((2, 48_000), np.nan, np.float32), "not a number at sample 0"),
        (
            np.where(np.arange(48_000) == 480, np.inf, 0)[np.newaxis].astype(np.float32),
            r"sample 480 \(0\.010 s\)",
        ),
        (np.zeros((2, 0), np.float32), "without a single sample"),
        (np.zeros(48_000, np.float32), r"shape \(48000,\)"),
        (np.zeros((3, 48_000), np.float32), "mono or stereo"),
        (np.zeros((48_000, 2), np.float32), r"\(channels, samples\)"),
        (np.full((1, 48_000), 1e9, np.float32), "full scale is ±1"),
        (np.zeros((1, 24_000), np.float32), "gave 0.500 s"),
    ],
    ids=["NaN", "infinite", "empty", "flat", "three channels", "transposed", "huge", "short"],
)
def test_unusable_audio_is_refused_with_a_sentence(audio, message):
    with pytest.raises(AudioError, match=message):
        _finish(audio, 48_000, samples=48_000)


def test_a_stem_of_another_shape_is_refused():
    with pytest.raises(AudioError, match="stem 'bass'"):
        _finish(noise(1, 48_000), 48_000, stems={"bass": noise(1, 48_000, channels=1)})


@given(
    seed=st.integers(0, 1000),
    samples=st.integers(1, 60_000),
    channels=st.integers(1, 2),
    rms_db=st.floats(-90, 20),
    target=st.floats(-40, -6),
    rates=st.tuples(st.sampled_from([32_000, 48_000]), st.sampled_from([32_000, 44_100, 48_000, 96_000])),
    bits=st.sampled_from([16, 24, 32]),
    loop=st.booleans(),
    spikes=st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_whatever_comes_in_the_format_and_the_ceiling_hold(
    seed, samples, channels, rms_db, target, rates, bits, loop, spikes
):
    from_hz, to_hz = rates
    rng = np.random.default_rng(seed)
    audio = (10 ** (rms_db / 20) * rng.standard_normal((channels, samples + 4))).astype(np.float32)
    audio[:, rng.integers(0, samples, spikes)] *= 20
    master = _finish(
        audio,
        from_hz,
        samples=max(1, samples * to_hz // from_hz),
        sample_rate=to_hz,
        bit_depth=bits,
        loudness=target,
        loop=loop,
    )
    assert master.audio.shape == (channels, max(1, samples * to_hz // from_hz))
    level = master.level
    assert level.true_peak_dbtp is None or level.true_peak_dbtp <= -1.0
    assert level.outcome in {"on_target", "off_target", "silent", "too_short"}
    if level.outcome == "on_target":
        assert level.loudness_lufs == pytest.approx(target, abs=0.1)
    else:
        assert level.remark
    json.dumps(asdict(level) | asdict(master.analysis), allow_nan=False)
