"""The melody's part of a recording: what lasts stays, what strikes goes, and how it was done is said."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.musicgen.architecture import ChromaArchitecture
from dgx_music.engines.musicgen.conditioning import chroma, separation
from dgx_music.engines.musicgen.conditioning.separation import demucs_problem, harmonic, melody_part

RATE_HZ = 32_000


def tone(seconds):
    time_s = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


def clicks(seconds):
    rng = np.random.default_rng(0)
    wave = np.zeros(int(RATE_HZ * seconds), np.float32)
    for start in range(0, len(wave) - 400, RATE_HZ // 4):
        wave[start : start + 400] += rng.standard_normal(400).astype(np.float32) * np.exp(
            -np.arange(400) / 60
        )
    return wave


def level(wave):
    return np.sqrt(np.mean(wave[4000:-4000] ** 2))


def test_a_lasting_tone_stays_and_strikes_go():
    assert level(harmonic(tone(4), RATE_HZ) - tone(4)) < 0.05 * level(tone(4))
    assert level(harmonic(clicks(4), RATE_HZ)) < 0.3 * level(clicks(4))


def test_drums_no_longer_hide_the_melody():
    architecture = ChromaArchitecture(12, 14, 4096, argmax=True, frames=235)
    drums = (
        60 * np.sin(2 * np.pi * 523.25 * np.arange(4 * RATE_HZ) / RATE_HZ) * np.abs(clicks(4))
    )  # strikes in C
    mixture = (tone(4) + drums).astype(np.float32)
    before = chroma.extract(mixture, architecture, RATE_HZ).argmax(axis=1)
    after = chroma.extract(harmonic(mixture, RATE_HZ), architecture, RATE_HZ).argmax(axis=1)
    assert (before != 9).mean() > 0.3
    assert (after == 9).mean() > 0.9


@settings(max_examples=15)
@given(length=st.integers(0, 9000))
def test_the_length_stays(length):
    assert harmonic(np.ones(length, np.float32), RATE_HZ).shape == (length,)


def test_long_recordings_are_joined_without_a_seam(monkeypatch):
    wave = (
        np.tile(tone(1) + clicks(1), 5)
        + np.random.default_rng(0).standard_normal(5 * RATE_HZ).astype(np.float32) / 50
    )
    whole = harmonic(wave, RATE_HZ)
    monkeypatch.setattr(separation, "_BLOCK_FRAMES", 50)
    assert np.abs(harmonic(wave, RATE_HZ) - whole).max() < 1e-6


def test_silence_stays_silence():
    assert not harmonic(np.zeros(RATE_HZ, np.float32), RATE_HZ).any()


def test_the_same_recording_gives_the_same_melody():
    wave = tone(1) + clicks(1)
    assert np.array_equal(harmonic(wave, RATE_HZ), harmonic(wave.copy(), RATE_HZ))


def test_what_was_used_in_demucs_place_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs", None)
    part = melody_part(tone(1), RATE_HZ)
    assert part.how == "melody by median filtering (demucs is not installed)"
    assert np.array_equal(part.wave, harmonic(tone(1), RATE_HZ))


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """Where the hub's cache keeps Demucs's weights, with nothing in the file yet."""
    home = tmp_path / "models--adefossez--HTDemucs"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("0" * 40)
    file = home / "snapshots" / ("0" * 40) / "955717e8.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return file


@pytest.fixture
def demucs(monkeypatch, weights):
    """Install a demucs whose stems are shares of the mixture."""
    torch = pytest.importorskip("torch")
    calls = []

    def apply_model(_model, mixture, *, shifts, device, progress):
        calls.append((tuple(mixture.shape), shifts, device, progress))
        return torch.stack([mixture * share for share in (0.4, 0.3, 0.2, 0.1)], dim=1)

    sources = ["drums", "bass", "other", "vocals"]
    model = types.SimpleNamespace(sources=sources, samplerate=44_100, audio_channels=2, eval=lambda: model)
    package, hub, apply = (types.ModuleType(name) for name in ("demucs", "demucs.hf", "demucs.apply"))
    package.__spec__ = importlib.machinery.ModuleSpec("demucs", loader=None)
    hub.load_safetensors_model = lambda path: {weights: model}[path]
    apply.apply_model = apply_model
    for module in (package, hub, apply):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


def test_demucs_is_used_where_its_weights_are(demucs):
    assert demucs_problem() == ""
    part = melody_part(tone(1), RATE_HZ)
    assert part.how == "melody by demucs"
    # Vocals and other instruments together; no random shifts; in stereo at its own rate.
    assert np.abs(part.wave - 0.3 * tone(1))[1000:-1000].max() < 1e-3
    assert demucs == [((1, 2, 44_100), 0, "cpu", False)]


def test_demucs_without_weights_downloads_nothing(demucs, weights):
    weights.unlink()
    assert melody_part(tone(1), RATE_HZ).how == "melody by median filtering (demucs has no weights here)"


def test_a_demucs_that_cannot_be_imported_says_why(demucs, monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs.apply", None)
    assert "demucs 4.1 or later cannot be imported" in melody_part(tone(1), RATE_HZ).how


def test_the_folder_for_models_is_looked_into_too(demucs, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert demucs_problem() == "demucs has no weights here"
    assert demucs_problem(tmp_path) == ""
    assert melody_part(tone(1), RATE_HZ, models_dir=tmp_path).how == "melody by demucs"


def test_the_real_demucs(weights):
    """Its own code with random weights in the form that it publishes them in: the same twice, and of the same length."""
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    pytest.importorskip("demucs.hf")
    from demucs.htdemucs import HTDemucs

    torch.manual_seed(0)
    sources = ["drums", "bass", "other", "vocals"]
    settings = {"channels": 8, "t_layers": 1, "t_heads": 2, "segment": 2}
    model = HTDemucs(sources, **settings)
    said = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": json.dumps([sources]),
        "kwargs": json.dumps(settings),
    }
    safetensors.save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, weights, said
    )
    wave = tone(3)[: 3 * RATE_HZ - 5]
    first = melody_part(wave, RATE_HZ)
    assert first.how == "melody by demucs"
    assert first.wave.shape == wave.shape
    assert np.isfinite(first.wave).all()
    assert np.array_equal(first.wave, melody_part(wave, RATE_HZ).wave)
    assert not melody_part(0 * wave, RATE_HZ).wave.any()
