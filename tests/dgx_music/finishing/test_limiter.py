from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.finishing.limiter import LOOK_AHEAD_S, limiter_gain

RATE = 48_000


@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(1, 20_000),
    peaks=st.integers(0, 30),
    ceiling=st.floats(0.1, 1.0),
    loop=st.booleans(),
    rate=st.sampled_from([32_000, 44_100, 48_000, 96_000]),
)
@settings(deadline=None, max_examples=150)
def test_nothing_passes_the_ceiling_wherever_the_peaks_are(seed, samples, peaks, ceiling, loop, rate):
    rng = np.random.default_rng(seed)
    envelope = rng.uniform(0, 0.5, samples).astype(np.float32)
    envelope[rng.integers(0, samples, peaks)] = rng.uniform(0.5, 8, peaks)
    gain = limiter_gain(envelope, rate, ceiling=ceiling, loop=loop)
    assert gain.shape == envelope.shape
    assert (gain > 0).all()
    assert (gain <= 1).all()
    assert (envelope * gain).max() <= ceiling * (1 + 1e-5)


def test_quiet_audio_is_not_touched():
    assert (limiter_gain(np.full(1000, 0.5, np.float32), RATE, ceiling=0.88) == 1).all()


def test_the_gain_is_back_before_and_after_a_single_peak():
    envelope = np.zeros(RATE, np.float32)
    envelope[RATE // 2] = 4.0
    gain = limiter_gain(envelope, RATE, ceiling=1.0)
    look_ahead = round(LOOK_AHEAD_S * RATE)
    assert gain[: RATE // 2 - look_ahead - 1] == pytest.approx(1.0)
    assert gain[RATE // 2] == pytest.approx(0.25, rel=1e-4)
    assert gain[-1] == pytest.approx(1.0, abs=0.02)


def test_a_peak_on_the_first_sample_needs_no_run_up():
    envelope = np.zeros(5000, np.float32)
    envelope[0] = 2.0
    assert limiter_gain(envelope, RATE, ceiling=1.0)[0] == pytest.approx(0.5, rel=1e-4)


def test_the_gain_moves_without_steps():
    envelope = np.zeros(RATE, np.float32)
    envelope[20_000] = 4.0
    step_db = np.abs(np.diff(20 * np.log10(limiter_gain(envelope, RATE, ceiling=1.0))))
    # 12 dB over 3 ms of look-ahead: a fair share a sample, and twice that at the steepest.
    assert step_db.max() <= 2.2 * 12.04 / (LOOK_AHEAD_S * RATE)


def test_a_loops_gain_runs_through_its_seam():
    envelope = np.zeros(RATE, np.float32)
    envelope[100] = 4.0
    gain = limiter_gain(envelope, RATE, ceiling=1.0, loop=True)
    rolled = limiter_gain(np.roll(envelope, RATE // 2), RATE, ceiling=1.0, loop=True)
    assert gain[-1] < 1
    np.testing.assert_allclose(np.roll(gain, RATE // 2), rolled, atol=1e-4)


def test_working_in_pieces_leaves_no_trace():
    rng = np.random.default_rng(1)
    envelope = rng.uniform(0, 0.5, 600_000).astype(np.float32)
    envelope[rng.integers(0, envelope.size, 300)] = rng.uniform(0.5, 8, 300)
    whole = limiter_gain(envelope, RATE, ceiling=0.8)
    # Starting later moves every border between pieces; a second on, the start itself is forgotten.
    later = limiter_gain(envelope[100_000:], RATE, ceiling=0.8)
    np.testing.assert_allclose(whole[100_000 + RATE :], later[RATE:], rtol=1e-4)
    assert (envelope * whole).max() <= 0.8 * (1 + 1e-5)
