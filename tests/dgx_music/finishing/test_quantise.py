from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.finishing.quantise import quantise, to_float
from support.signals import sine


@pytest.mark.parametrize(("bits", "dtype"), [(16, np.int16), (24, np.int32), (32, np.float32)])
def test_the_type_and_the_range_fit_the_depth(bits, dtype):
    audio = np.array([[-3.0, -1.0, 0.0, 1.0, 3.0]], np.float32)
    quantised = quantise(audio, bits, (1,))
    assert quantised.dtype == dtype
    if bits == 32:
        np.testing.assert_array_equal(quantised, audio)
    else:
        assert quantised[0, 0] == -(1 << (bits - 1))
        assert quantised[0, -1] == (1 << (bits - 1)) - 1


@given(
    bits=st.sampled_from([16, 24]), value=st.floats(-0.875, 0.875, width=32), seed=st.integers(0, 2**63 - 1)
)
@settings(deadline=None)
def test_no_sample_is_off_by_more_than_its_dither_and_rounding(bits, value, seed):
    audio = np.full((1, 64), value, np.float32)
    error = quantise(audio, bits, (seed,)) - audio.astype(np.float64) * (1 << (bits - 1))
    assert np.abs(error).max() <= 1.5


@pytest.mark.parametrize("bits", [16, 24])
def test_the_dither_is_triangular_and_takes_the_distortion_away(bits):
    # A constant between two steps: with TPDF dither the mean is right and the error's power is 1/4 LSB².
    lsb = 1.0 / (1 << (bits - 1))
    audio = np.full((1, 400_000), 0.3 * lsb, np.float32)
    quantised = quantise(audio, bits, (5,)).astype(np.float64)
    assert quantised.mean() == pytest.approx(0.3, abs=0.005)
    assert quantised.var() == pytest.approx(0.25, abs=0.01)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    audio = sine(440, 0.5, 48_000, amplitude=0.5, channels=2)
    first = quantise(audio, 24, (9,))
    np.testing.assert_array_equal(first, quantise(audio, 24, (9,)))
    assert (first != quantise(audio, 24, (10,))).any()
    assert (first[0] != first[1]).any(), "both channels have the same dither"


@pytest.mark.parametrize("bits", [16, 24])
def test_digital_silence_stays_digital_silence(bits):
    assert not quantise(np.zeros((2, 1000), np.float32), bits, (1,)).any()


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_reading_back_gives_the_audio(bits):
    audio = sine(440, 0.1, 48_000, amplitude=0.5)
    np.testing.assert_allclose(
        to_float(quantise(audio, bits, (1,)), bits), audio, atol=1.6 / (1 << (bits - 1))
    )
