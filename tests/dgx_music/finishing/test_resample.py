from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.errors import AudioError
from dgx_music.finishing.resample import FADE_OUT_S, fit
from dgx_music.request import GenerationRequest
from support.signals import clicks, noise, sine

RATES = [32_000, 44_100, 48_000, 88_200, 96_000, 192_000]


def _fit(audio, from_hz, to_hz, length_s, *, loop=False):
    length_s = Fraction(length_s)
    return fit(
        audio,
        from_hz=from_hz,
        to_hz=to_hz,
        length_s=length_s,
        length_samples=max(1, int(length_s * to_hz + Fraction(1, 2))),
        loop=loop,
    )


@given(
    from_hz=st.sampled_from(RATES),
    to_hz=st.sampled_from(RATES),
    bars=st.integers(1, 2),
    bpm=st.floats(60, 300),
    loop=st.booleans(),
    channels=st.integers(1, 2),
    spare=st.integers(0, 50),
)
@settings(deadline=None, max_examples=60)
def test_the_length_is_exact_whatever_the_rates_and_the_tempo(
    from_hz, to_hz, bars, bpm, loop, channels, spare
):
    request = GenerationRequest.from_fields({"prompt": "x", "bars": bars, "bpm": bpm, "sample_rate": to_hz})
    needed = int(request.length_exact_s * from_hz + Fraction(1, 2))
    audio = noise((needed + spare) / from_hz, from_hz, channels=channels)
    fitted = fit(
        audio,
        from_hz=from_hz,
        to_hz=to_hz,
        length_s=request.length_exact_s,
        length_samples=request.length_samples,
        loop=loop,
    )
    assert fitted.shape == (channels, request.length_samples)
    assert fitted.dtype == np.float32
    assert np.isfinite(fitted).all()


@pytest.mark.parametrize("samples", [1, 2, 3, 17])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("to_hz", [32_000, 48_000])
def test_a_take_of_a_few_samples_works(samples, loop, to_hz):
    audio = noise(0.01, 32_000)
    fitted = _fit(audio, 32_000, to_hz, Fraction(samples, to_hz), loop=loop)
    assert fitted.shape == (2, samples)


def test_a_transient_on_the_first_sample_survives():
    audio = clicks(120, 2, 48_000)
    np.testing.assert_array_equal(_fit(audio, 48_000, 48_000, 2)[:, :100], audio[:, :100])
    resampled = _fit(clicks(120, 2, 32_000), 32_000, 48_000, 2)
    assert np.abs(resampled[:, :24]).max() > 0.6
    # The second beat, which has audio before it, is the yardstick for where the first one lies.
    second = int(np.argmax(np.abs(resampled[0, 23_000:25_000]))) + 23_000
    assert abs((second - int(np.argmax(np.abs(resampled[0, :500])))) - 24_000) <= 1


def test_a_tone_keeps_its_phase_through_resampling():
    resampled = _fit(sine(1000, 1.1, 32_000), 32_000, 48_000, 1)
    expected = sine(1000, 1, 48_000)
    np.testing.assert_allclose(resampled[:, 500:-500], expected[:, 500:-500], atol=1e-4)


def test_an_end_in_the_middle_of_the_music_is_faded_without_a_click():
    fitted = _fit(sine(100, 2, 48_000, phase=1.0), 48_000, 48_000, 1)
    assert abs(fitted[0, -1]) < 1e-3
    assert np.abs(np.diff(fitted[0])).max() < 0.02
    faded = round(FADE_OUT_S * 48_000)
    np.testing.assert_array_equal(fitted[:, :-faded], sine(100, 2, 48_000, phase=1.0)[:, : 48_000 - faded])


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(32_000, 48_000), (48_000, 44_100), (32_000, 96_000), (48_000, 48_000)]
)
@pytest.mark.parametrize("bpm", [120, 93.5, 117.3])
def test_a_loop_has_no_seam(from_hz, to_hz, bpm):
    length_s = 4 * Fraction(60) / Fraction(str(bpm))
    period = int(length_s * from_hz + Fraction(1, 2))
    # Whole periods of several tones: any break at the seam would show as a jump in the second difference.
    phase = 2 * np.pi * np.arange(period) / period
    audio = sum(np.sin(k * phase + k) for k in (3, 97, 1501))[np.newaxis].astype(np.float32) / 3
    fitted = _fit(np.concatenate((audio, audio[:, :999]), axis=1), from_hz, to_hz, length_s, loop=True)
    bend = np.abs(np.diff(np.tile(fitted[0].astype(np.float64), 2), 2))
    seam = bend[fitted.shape[1] - 40 : fitted.shape[1] + 40].max()
    assert seam <= bend[: fitted.shape[1] - 100].max() * 1.001


def test_an_engine_that_gives_too_little_is_told_so():
    with pytest.raises(AudioError, match=r"gave 1\.900 s of audio where 2\.000 s"):
        _fit(noise(1.9, 32_000), 32_000, 48_000, 2)


def test_rounding_at_the_engines_rate_is_forgiven():
    audio = noise(1, 32_000)
    assert _fit(audio[:, :-2], 32_000, 48_000, 1).shape == (2, 48_000)
