"""The rows of a take are those that audiocraft would decode for it, alone and without padding."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.engines.musicgen.architecture import ChromaArchitecture, LmArchitecture, StyleArchitecture
from dgx_music.engines.musicgen.checkpoint import load_checkpoint, locate
from dgx_music.engines.musicgen.conditioning import chroma
from dgx_music.engines.musicgen.conditioning.conditions import (
    AudioPrefix,
    conditions,
    melody_prefix,
    style_prefix,
)
from dgx_music.engines.musicgen.settings import MusicGenSettings
from support.musicgen_checkpoints import SHAPES, build

PROMPT = "slow piano over a soft bass"


class _StopError(Exception):
    pass


def rows_of_audiocraft(musicgen, prompt, monkeypatch, melody=None):
    """Return the prefixes and the cross-attention's input of each row that audiocraft would decode."""
    import torch

    caught = []

    def stop(_sequence, cfg_conditions, *_, **__):
        caught.append(cfg_conditions)
        raise _StopError

    lm = musicgen.lm
    melodies = None if melody is None else [torch.from_numpy(melody)]
    attributes, _ = musicgen._prepare_tokens_and_attributes([prompt], None, melodies)
    with monkeypatch.context() as patched:
        patched.setattr(lm, "_sample_next_token", stop)
        with pytest.raises(_StopError):
            lm.generate(None, attributes, max_gen_len=10)
    with torch.no_grad():
        tokens = torch.zeros(2, 1, lm.dim)
        fused, cross = lm.fuser(tokens, caught[0])
    return fused[:, :-1].numpy(), None if cross is None else cross.numpy()


def load(audiocraft, folder):
    from dgx_music.engines.audiocraft.model import load as load_reference
    from dgx_music.engines.audiocraft.weights import find_weights

    settings = MusicGenSettings(download=False)
    model, _ = load_reference("tiny", find_weights(str(folder), settings, lambda: None), settings)
    checkpoint = load_checkpoint(locate(str(folder), settings), settings)
    return model.musicgen, checkpoint


@pytest.fixture(scope="module")
def cross_model(audiocraft, tmp_path_factory):
    return load(audiocraft, build(tmp_path_factory.mktemp("models") / "tiny", "tiny", format="audiocraft"))


@pytest.fixture(scope="module")
def biased_model(audiocraft, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny_delays"
    return load(audiocraft, build(folder, "tiny_delays", format="audiocraft"))


@pytest.fixture(scope="module")
def melody_model(audiocraft, spectrogram, tmp_path_factory):
    """The melody model with a demucs that takes everything for vocals, so that chroma alone is compared."""
    import torch

    rate_hz = 32_000
    demucs = types.SimpleNamespace(
        sources=["drums", "bass", "other", "vocals"],
        samplerate=rate_hz,
        audio_channels=1,
        to=lambda _: demucs,
    )
    parts = {
        "pretrained": {"get_model": lambda _: demucs},
        "apply": {
            "apply_model": lambda _, wave, device: torch.stack([wave * 0, wave * 0, wave * 0, wave], dim=1)
        },
        "audio": {"convert_audio": lambda wave, *_: wave},
    }
    package = types.ModuleType("demucs")
    modules = {"demucs": package}
    for name, members in parts.items():
        module = modules[f"demucs.{name}"] = types.ModuleType(f"demucs.{name}")
        vars(module).update(members)
        setattr(package, name, module)
    # audiocraft cannot load windows shorter than its stride of 18 s.
    shape = replace(SHAPES["tiny_melody"], segment_s=20)
    folder = build(tmp_path_factory.mktemp("models") / "tiny_melody", shape, format="audiocraft")
    with pytest.MonkeyPatch.context() as patched:
        for name, module in modules.items():
            patched.setitem(sys.modules, name, module)
        yield load(audiocraft, folder)


def text_of(musicgen, prompt):
    """Return the prompt as audiocraft's own T5 encodes it, alone."""
    import torch

    conditioner = musicgen.lm.condition_provider.conditioners["description"]
    with torch.no_grad():
        encoded, mask = conditioner(conditioner.tokenize([prompt]))
    assert mask.all()
    return encoded[0].numpy()


class TestAgainstAudiocraft:
    @pytest.mark.parametrize("prompt", [PROMPT, "rock", "a " * 60])
    def test_text_by_cross_attention(self, cross_model, monkeypatch, prompt):
        musicgen, checkpoint = cross_model
        fused, cross = rows_of_audiocraft(musicgen, prompt, monkeypatch)
        made = conditions(checkpoint.architecture.lm, text_of(musicgen, prompt), cfg_coef=3.0)
        assert made.weights == (3.0, -2.0)
        assert fused.shape[1] == 0
        assert [row.prefix for row in made.conditions] == [None, None]
        assert np.abs(made.conditions[0].cross - cross[0]).max() < 1e-5
        # Attending to zero vectors without biases gives zero, which is to attend to nothing.
        assert made.conditions[1].cross is None
        assert not cross[1].any()

    def test_biases_are_attended_to_even_without_text(self, biased_model, monkeypatch):
        musicgen, checkpoint = biased_model
        _, cross = rows_of_audiocraft(musicgen, PROMPT, monkeypatch)
        made = conditions(checkpoint.architecture.lm, text_of(musicgen, PROMPT), cfg_coef=3.0)
        attention = musicgen.lm.transformer.layers[0].cross_attention
        of_theirs, of_ours = (
            attention(*[torch_rows(3, musicgen.lm.dim), *[torch_rows(each)] * 2])[0].detach().numpy()
            for each in (cross[1], made.conditions[1].cross)
        )
        assert np.abs(of_theirs).max() > 0.01
        assert np.abs(of_theirs - of_ours).max() < 1e-6

    @pytest.mark.parametrize("length_s", [0.2, 3.3, 20.0, 23.7])
    @pytest.mark.parametrize("prompt", [PROMPT, None])
    def test_melody(self, melody_model, monkeypatch, prompt, length_s):
        musicgen, checkpoint = melody_model
        lm = checkpoint.architecture.lm
        time_s = np.arange(int(32_000 * length_s)) / 32_000
        wave = np.sin(2 * np.pi * (220 + 200 * time_s**2) * time_s).astype(np.float32)[None]
        fused, cross = rows_of_audiocraft(musicgen, prompt, monkeypatch, wave)
        text = None if prompt is None else text_of(musicgen, prompt)
        heard = chroma.extract(wave[0], lm.chroma, 32_000)
        made = conditions(lm, text, melody_prefix(lm, checkpoint.lm, heard), cfg_coef=3.0)
        assert cross is None
        assert made.weights == (3.0, -2.0)
        assert np.abs(np.stack([row.prefix for row in made.conditions]) - fused).max() < 1e-5

    def test_text_alone_for_the_melody_model(self, melody_model, monkeypatch):
        musicgen, checkpoint = melody_model
        lm = checkpoint.architecture.lm
        fused, _ = rows_of_audiocraft(musicgen, PROMPT, monkeypatch)
        made = conditions(lm, text_of(musicgen, PROMPT), melody_prefix(lm, checkpoint.lm, None), cfg_coef=3.0)
        assert np.abs(np.stack([row.prefix for row in made.conditions]) - fused).max() < 1e-5

    def test_nothing_at_all_for_the_melody_model(self, melody_model, monkeypatch):
        musicgen, checkpoint = melody_model
        lm = checkpoint.architecture.lm
        fused, _ = rows_of_audiocraft(musicgen, None, monkeypatch)
        made = conditions(lm, None, melody_prefix(lm, checkpoint.lm, None), cfg_coef=3.0)
        assert made.weights == (1.0,)
        for row in fused:
            assert np.abs(made.conditions[0].prefix - row).max() < 1e-5


def torch_rows(first, width=None):
    import torch

    if width is None:
        return torch.from_numpy(first)[None]
    return torch.randn(1, first, width, generator=torch.Generator().manual_seed(0))


DIM = 6


def architecture(hears=""):
    return LmArchitecture(
        dim=DIM, heads=2, layers=1, ffn_dim=8, codebooks=4, card=16, delays=(0, 1, 2, 3), text_dim=4,
        text_fuse="prepend" if hears else "cross", has_bias=False, cfg_coef=3.0, two_step_cfg=False,
        chroma=ChromaArchitecture(12, 14, 4096, argmax=True, frames=5) if hears == "melody" else None,
        style=StyleArchitecture(()) if hears == "style" else None,
    )  # fmt: skip


def numbered(rows, start):
    return np.arange(start, start + rows * DIM, dtype=np.float32).reshape(rows, DIM)


coefficients = st.floats(1, 10, width=32)


@given(cfg=coefficients, beta=st.none() | st.floats(0, 9, width=32))
def test_double_guidance_is_the_published_formula(cfg, beta):
    """Rouard et al. 2024, 4.3: l = l∅ + α (l_style + β (l_text,style − l_style) − l∅)."""
    text, style = numbered(2, 1), numbered(3, 100)
    made = conditions(
        architecture("style"),
        text,
        style_prefix(architecture("style"), style),
        cfg_coef=cfg,
        cfg_coef_beta=beta,
    )
    logits = {  # any numbers do, one a row
        np.concatenate([style, text]).tobytes(): 0.3,
        np.concatenate([style, 0 * text]).tobytes(): -1.7,
        np.concatenate([0 * style, 0 * text]).tobytes(): 0.9,
    }
    whole, style_alone, none = logits.values()
    got = sum(weight * logits[row.prefix.tobytes()] for row, weight in zip(*made, strict=True))
    pushed = 1.0 if beta is None else beta
    assert got == pytest.approx(none + cfg * (style_alone + pushed * (whole - style_alone) - none), abs=1e-9)
    assert all(made.weights)


@given(
    hears=st.sampled_from(["", "melody", "style"]),
    words=st.none() | st.integers(1, 4),
    sounds=st.none() | st.integers(1, 9),
    cfg=coefficients | st.just(1.0),
    beta=st.none() | st.floats(0, 9, width=32) | st.just(1.0),
)
def test_rows_are_equally_long_and_their_weights_add_up_to_one(hears, words, sounds, cfg, beta):
    shape = architecture(hears)
    text = None if words is None else numbered(words, 1)
    audio = None
    if hears == "style":
        audio = style_prefix(shape, None if sounds is None else numbered(sounds, 100))
    if hears == "melody":
        projection = {"chroma_proj.weight": np.ones((DIM, 12)), "chroma_proj.bias": np.ones(DIM)}
        audio = melody_prefix(
            shape, projection, None if sounds is None else np.ones((sounds, 12), np.float32)
        )
    rows, weights = conditions(shape, text, audio, cfg_coef=cfg, cfg_coef_beta=beta)
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert 1 <= len(rows) == len(weights) <= 3
    assert len({None if row.prefix is None else row.prefix.shape for row in rows}) == 1
    assert all(row.prefix is None or row.prefix.dtype == np.float32 for row in rows)
    if hears == "melody":
        assert all(len(row.prefix) == 5 + (words or 1) for row in rows)


@pytest.mark.parametrize("hears", ["", "melody", "style"])
def test_unguided_takes_have_one_row(hears):
    shape = architecture(hears)
    audio = AudioPrefix(numbered(5, 100), numbered(5, 200)) if hears else None
    assert conditions(shape, numbered(2, 1), audio, cfg_coef=1.0).weights == (1.0,)


def test_a_take_without_prompt_or_audio_is_unguided():
    made = conditions(architecture(), None, cfg_coef=3.0)
    assert made.weights == (1.0,)
    assert made.conditions[0].cross is None


@pytest.mark.parametrize(
    ("hears", "audio"), [("", AudioPrefix(None, numbered(1, 0))), ("style", None), ("melody", None)]
)
def test_an_audio_prefix_goes_with_models_that_have_one(hears, audio):
    with pytest.raises(ValueError, match="audio prefix"):
        conditions(architecture(hears), numbered(2, 1), audio, cfg_coef=3.0)


def test_a_model_without_chroma_follows_no_melody():
    with pytest.raises(ValueError, match="no melody"):
        melody_prefix(architecture(), {}, None)
