"""Chroma equals that of the two programs that the melody model is known with."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.engines.musicgen.architecture import ChromaArchitecture
from dgx_music.engines.musicgen.conditioning import chroma

RATE_HZ = 32_000
LENGTHS = [1, 2, 1000, 16_383, 16_384, 16_385, 50_001, 160_000, 960_000]


def melody(length, seed=0):
    """A tone that changes every third of a second, with overtones, over noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(length) / RATE_HZ
    pitch = rng.integers(40, 84, length // 10_000 + 1)[np.arange(length) // 10_000]
    phase = np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / RATE_HZ * 2 * np.pi
    wave = (
        np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase) + 0.1 * rng.standard_normal(length)
    )
    return (0.2 * wave * (0.5 + 0.5 * np.cos(time_s))).astype(np.float32)


def architecture(*, argmax=True, frames=235, exponent=14, bins=12, hop=None):
    return ChromaArchitecture(bins, exponent, hop or 2**exponent // 4, argmax, frames)


def of_audiocraft(audiocraft, wave, shape):
    import torch

    extractor = audiocraft.modules.chroma.ChromaExtractor(
        RATE_HZ, n_chroma=shape.bins, radix2_exp=shape.radix2_exp, winhop=shape.winhop, argmax=shape.argmax
    )
    with torch.no_grad():
        return extractor(torch.from_numpy(wave)[None, None])[0].numpy()[: shape.frames]


def near_a_tie(values):
    """Frames in which rounding decides which pitch class is the strongest."""
    ordered = np.sort(values, axis=1)
    return ordered[:, -1] - ordered[:, -2] < 1e-4


class TestAgainstAudiocraft:
    @pytest.mark.parametrize("length", LENGTHS)
    def test_values(self, audiocraft, spectrogram, length):
        wave = melody(length)
        shape = architecture(argmax=False)
        expected = of_audiocraft(audiocraft, wave, shape)
        got = chroma.extract(wave, shape, RATE_HZ)
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() < 1e-4

    @pytest.mark.parametrize("length", LENGTHS)
    def test_the_strongest_pitch_class(self, audiocraft, spectrogram, length):
        wave = melody(length, seed=length)
        expected = of_audiocraft(audiocraft, wave, architecture())
        got = chroma.extract(wave, architecture(), RATE_HZ)
        clear = ~near_a_tie(chroma.extract(wave, architecture(argmax=False), RATE_HZ))
        assert clear.mean() > 0.9 or length < 1000  # in a click, all pitch classes are about equal
        assert np.array_equal(got[clear], expected[clear])

    @pytest.mark.parametrize(("exponent", "bins", "hop"), [(12, 12, 1000), (10, 24, 256), (11, 13, 700)])
    def test_other_sizes(self, audiocraft, spectrogram, exponent, bins, hop):
        shape = architecture(argmax=False, exponent=exponent, bins=bins, hop=hop, frames=10**6)
        wave = melody(60_000)
        with warnings.catch_warnings(action="ignore"):  # librosa finds some filters empty
            expected = of_audiocraft(audiocraft, wave, shape)
        assert np.abs(chroma.extract(wave, shape, RATE_HZ) - expected).max() < 1e-4

    def test_silence_is_no_melody(self, audiocraft, spectrogram):
        for argmax in (False, True):
            shape = architecture(argmax=argmax)
            expected = of_audiocraft(audiocraft, np.zeros(1, np.float32), shape)
            assert np.array_equal(np.tile(expected, (47, 1)), chroma.null(shape))
            assert np.array_equal(
                chroma.extract(np.zeros(960_000, np.float32), shape, RATE_HZ), chroma.null(shape)
            )


def feature_extraction_of_transformers():
    """Load transformers' module from its file: its package hides it where torchaudio is missing."""
    import transformers

    name = "transformers.models.musicgen_melody.feature_extraction_musicgen_melody"
    file = Path(transformers.__file__).parent / "models/musicgen_melody/feature_extraction_musicgen_melody.py"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings(action="ignore"):
        spec.loader.exec_module(module)
    return module


def test_equals_the_feature_extractor_of_transformers(audiocraft, spectrogram):
    import torch

    module = feature_extraction_of_transformers()
    # Its constructor asks for torchaudio, which only the spectrogram needs.
    extractor = object.__new__(module.MusicgenMelodyFeatureExtractor)
    extractor.n_fft = 16_384
    bank = module.chroma_filter_bank(
        sampling_rate=RATE_HZ, num_frequency_bins=16_384, tuning=0, num_chroma=12
    )
    extractor.chroma_filters = torch.from_numpy(bank).float()
    extractor.spectrogram = spectrogram(16_384, 16_384, 4096, 2, center=True, pad=0, normalized=True)
    for length in LENGTHS:
        wave = melody(length, seed=1)
        expected = extractor._torch_extract_fbank_features(torch.from_numpy(wave)[None])[0].numpy()
        got = chroma.extract(wave, architecture(), RATE_HZ)
        clear = ~near_a_tie(chroma.extract(wave, architecture(argmax=False), RATE_HZ))
        assert np.array_equal(got[clear], expected[clear])


@pytest.mark.parametrize(
    ("pitch_class", "name"), [*enumerate(["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"])]
)
def test_a_tone_falls_into_its_own_pitch_class(pitch_class, name):
    for octave in (3, 4, 5):
        hz = 440 * 2 ** ((12 * (octave + 1) + pitch_class - 69) / 12)
        wave = np.sin(2 * np.pi * hz * np.arange(64_000) / RATE_HZ).astype(np.float32)
        assert (chroma.extract(wave, architecture(), RATE_HZ).argmax(axis=1) == pitch_class).all(), (
            name,
            octave,
        )


def test_frames_beyond_the_training_length_are_not_computed():
    wave = melody(960_000)
    few = chroma.extract(wave, architecture(frames=20), RATE_HZ)
    assert np.array_equal(few, chroma.extract(wave, architecture(), RATE_HZ)[:20])


@given(have=st.integers(1, 300), want=st.integers(1, 300))
def test_fitting_repeats_from_the_beginning_or_cuts(have, want):
    values = np.arange(have, dtype=np.float32)[:, None]
    fitted = chroma.fit(values, want)
    assert len(fitted) == want
    assert all(row[0] == place % have for place, row in enumerate(fitted))


def test_half_precision_weights_project_in_single_precision():
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((8, 12)).astype(np.float16), rng.standard_normal(8).astype(np.float16)
    projected = chroma.project(np.eye(12, dtype=np.float32), weight, bias)
    assert projected.dtype == np.float32
    assert np.array_equal(projected, weight.T.astype(np.float32) + bias.astype(np.float32))
