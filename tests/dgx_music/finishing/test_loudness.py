from __future__ import annotations

import numpy as np
import pytest

from dgx_music.finishing.loudness import LoudnessMeter, integrated_loudness_lufs
from support.signals import noise, sine


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_the_997_hz_anchor_reads_minus_3_01_at_every_rate(rate):
    loudness = integrated_loudness_lufs(sine(997, 10, rate), rate)
    assert loudness == pytest.approx(-3.0103, abs=0.01)


def _tech_3341(rate, *parts):
    return np.concatenate(
        [sine(1000, s, rate, amplitude=10 ** (db / 20), channels=2) for db, s in parts], axis=1
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (((-23, 20),), -23),
        (((-33, 20),), -33),
        (((-36, 10), (-23, 60), (-36, 10)), -23),
        (((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23),
        (((-26, 20), (-20, 20.1), (-26, 20)), -23),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5"],
)
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_ebu_tech_3341_integrated_cases(parts, expected, rate):
    assert integrated_loudness_lufs(_tech_3341(rate, *parts), rate) == pytest.approx(expected, abs=0.1)


def test_silence_and_what_lies_below_the_gate_have_no_loudness():
    assert integrated_loudness_lufs(np.zeros((2, 48_000), np.float32), 48_000) is None
    assert integrated_loudness_lufs(noise(1, 48_000, rms=1e-5), 48_000) is None


def test_a_clip_under_400_ms_has_no_loudness_but_one_of_400_ms_has():
    assert integrated_loudness_lufs(noise(0.3999, 48_000), 48_000) is None
    assert integrated_loudness_lufs(noise(0.4, 48_000), 48_000) is not None


def test_a_short_loop_is_measured_as_it_will_be_heard():
    loop = noise(0.25, 48_000)
    repeated = integrated_loudness_lufs(np.tile(loop, 40), 48_000)
    assert integrated_loudness_lufs(loop, 48_000) is None
    assert integrated_loudness_lufs(loop, 48_000, loop=True) == pytest.approx(repeated, abs=0.05)


def test_only_complete_blocks_count():
    # 60 ms of noise after 2 s of tone do not fill a block's step, so they must not be heard.
    tone = sine(1000, 2, 48_000, amplitude=0.01)
    burst = np.concatenate((tone, noise(0.06, 48_000, rms=0.5, channels=1)), axis=1)
    assert integrated_loudness_lufs(burst, 48_000) == pytest.approx(
        integrated_loudness_lufs(tone, 48_000), abs=1e-6
    )


def test_audio_in_pieces_reads_the_same_as_audio_in_one():
    audio = noise(95, 32_000, channels=2) * np.linspace(0.1, 1, 95 * 32_000, dtype=np.float32)
    whole = integrated_loudness_lufs(audio, 32_000)
    for size in (7_001, 320_000, 2_000_000):
        meter = LoudnessMeter(32_000)
        for start in range(0, audio.shape[1], size):
            meter.add(audio[:, start : start + size])
        assert meter.integrated_lufs() == pytest.approx(whole, abs=1e-4)


def test_a_long_file_reads_as_the_whole_meter_reads_it():
    pyloudnorm = pytest.importorskip("pyloudnorm")
    audio = noise(75, 48_000) * np.abs(np.sin(np.arange(75 * 48_000) / 200_000)).astype(np.float32)
    reference = pyloudnorm.Meter(48_000, filter_class="DeMan").integrated_loudness(audio.T)
    assert integrated_loudness_lufs(audio, 48_000) == pytest.approx(reference, abs=0.005)
