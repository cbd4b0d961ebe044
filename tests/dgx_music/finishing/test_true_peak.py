from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.finishing.true_peak import TruePeakMeter, sample_peak_dbfs, true_peak_dbtp, true_peak_envelope
from support.signals import noise, sine


def _faded(audio, rate):
    fade = np.ones(audio.shape[1], np.float32)
    length = rate // 10
    fade[:length] = np.linspace(0, 1, length)
    fade[-length:] = np.linspace(1, 0, length)
    return audio * fade


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize(
    ("divisor", "amplitude", "phase", "expected"),
    [(4, 0.5, 0, -6), (4, 0.5, 45, -6), (6, 0.5, 60, -6), (8, 0.5, 67.5, -6), (4, 1.41, 45, 3)],
    ids=["case 15", "case 16", "case 17", "case 18", "case 19"],
)
def test_ebu_tech_3341_true_peak_cases(rate, divisor, amplitude, phase, expected):
    audio = _faded(sine(rate / divisor, 1, rate, amplitude=amplitude, phase=np.deg2rad(phase)), rate)
    assert -0.4 <= true_peak_dbtp(audio, rate) - expected <= 0.2


@pytest.mark.parametrize("offset", range(4))
def test_a_burst_between_the_samples_is_found(offset):
    # Tech 3341 cases 20 to 23: the same burst, taken at four places of a 4x grid, reads 0 dBTP each time.
    from scipy.signal import firwin, resample_poly

    rate, factor = 48_000, 4
    grid = np.zeros(rate * factor // 10)
    centre = grid.size // 2
    time = np.arange(-96, 97)
    grid[centre - 96 : centre + 97] = np.cos(2 * np.pi * time / (6 * factor)) * np.hanning(193)
    low_passed = np.convolve(grid, firwin(255, 20_000, fs=rate * factor), "same")
    low_passed /= np.abs(resample_poly(low_passed, 8, 1)).max()
    audio = low_passed[offset::factor].astype(np.float32)[np.newaxis]
    assert -0.4 <= true_peak_dbtp(audio, rate) <= 0.2


def test_digital_silence_has_no_peak():
    silence = np.zeros((2, 100), np.float32)
    assert true_peak_dbtp(silence, 48_000) is None
    assert sample_peak_dbfs(silence) is None


@given(
    samples=st.integers(1, 400),
    channels=st.integers(1, 2),
    rate=st.sampled_from([32_000, 44_100, 48_000, 96_000, 192_000]),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_the_true_peak_is_never_below_the_sample_peak(samples, channels, rate, seed):
    audio = np.random.default_rng(seed).uniform(-1, 1, (channels, samples)).astype(np.float32)
    envelope = true_peak_envelope(audio, rate)
    assert envelope.shape == (samples,)
    assert (envelope >= np.abs(audio).max(axis=0)).all()


def test_the_envelope_agrees_with_a_plain_oversampling():
    from scipy.signal import resample_poly

    audio = noise(3, 48_000, channels=2)
    padded = np.pad(audio.astype(np.float64), ((0, 0), (64, 64)))
    reference = 20 * np.log10(np.abs(resample_poly(padded, 8, 1, axis=1, window=("kaiser", 9.0))).max())
    assert true_peak_dbtp(audio, 48_000) == pytest.approx(reference, abs=0.15)


@given(
    sizes=st.lists(st.integers(1, 150) | st.integers(1, 5000), min_size=1, max_size=8),
    seed=st.integers(0, 20),
)
@settings(deadline=None, max_examples=100)
def test_audio_in_pieces_reads_the_same_as_audio_in_one(sizes, seed):
    audio = np.random.default_rng(seed).uniform(-1, 1, (2, sum(sizes))).astype(np.float32)
    meter = TruePeakMeter(48_000)
    for piece in np.split(audio, np.cumsum(sizes)[:-1], axis=1):
        meter.add(piece)
    assert meter.peak_dbtp() == pytest.approx(true_peak_dbtp(audio, 48_000), abs=1e-4)
