"""The style encoder equals one that is put together from audiocraft's own parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.engines.musicgen.architecture import StyleArchitecture
from dgx_music.engines.musicgen.checkpoint import load_checkpoint, locate
from dgx_music.engines.musicgen.conditioning.conditions import style_prefix
from dgx_music.engines.musicgen.conditioning.style import StyleEncoder, middle
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.errors import EngineError, RequestError
from support.musicgen_checkpoints import build


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    settings = MusicGenSettings(download=False)
    folder = build(tmp_path_factory.mktemp("models") / "tiny_style", "tiny_style", format="audiocraft")
    with_style = load_checkpoint(locate(str(folder), settings), settings)
    yield with_style
    with_style.close()


def features(frames, seed=0):
    return np.random.default_rng(seed).standard_normal((frames, 768)).astype(np.float32)


def of_audiocraft(audiocraft, checkpoint, heard, books):
    """Compute a style as `StyleConditioner` of audiocraft's main branch does; its last release has the parts only."""
    import torch
    from audiocraft.modules.transformer import StreamingTransformer
    from audiocraft.quantization import ResidualVectorQuantizer

    weights = {
        name.removeprefix("style."): torch.from_numpy(np.asarray(checkpoint.lm[name], np.float32))
        for name in checkpoint.lm
        if name.startswith("style.")
    }

    def below(prefix):
        return {
            name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)
        }

    transformer = StreamingTransformer(
        256, 8, 4, dim_feedforward=1024, memory_efficient=True, activation="gelu", norm_first=True, causal=False,
        layer_scale=None, bias_ff=False, bias_attn=False,
    ).eval()  # fmt: skip
    transformer.load_state_dict(below("transformer."))
    quantiser = ResidualVectorQuantizer(256, n_q=6, q_dropout=True, bins=1024).eval()
    for book, layer in enumerate(quantiser.vq.layers):
        layer._codebook.embed.copy_(weights[f"rvq.vq.layers.{book}._codebook.embed"])
        layer._codebook.inited.fill_(1)
    quantiser.set_num_codebooks(books)
    norm = torch.nn.BatchNorm1d(256, affine=False).eval()
    norm.running_mean.copy_(weights["batch_norm.running_mean"])
    norm.running_var.copy_(weights["batch_norm.running_var"])
    linear = torch.nn.functional.linear
    with torch.no_grad():
        hidden = linear(torch.from_numpy(heard)[None], weights["embed.weight"], weights["embed.bias"])
        hidden = norm(transformer(hidden).transpose(1, 2))
        quantised = quantiser(hidden, frame_rate=1.0).x.transpose(1, 2)[:, ::15]
        return linear(quantised, weights["output_proj.weight"], weights["output_proj.bias"])[0].numpy()


class TestEncoder:
    @pytest.mark.parametrize(
        ("frames", "books"), [(1, 3), (15, 1), (16, 3), (112, 3), (224, 1), (224, 6), (337, 4)]
    )
    def test_equals_audiocrafts_parts(self, audiocraft, checkpoint, frames, books):
        encoder = StyleEncoder(checkpoint.architecture.lm.style, checkpoint.lm)
        expected = of_audiocraft(audiocraft, checkpoint, features(frames), books)
        got = encoder.encode(features(frames), books=books)
        assert got.dtype == np.float32
        assert got.shape == expected.shape == (-(-frames // 15), checkpoint.architecture.lm.dim)
        assert np.abs(got - expected).max() < 1e-4

    def test_reads_its_numbers_from_the_checkpoint(self, checkpoint):
        encoder = StyleEncoder(checkpoint.architecture.lm.style, checkpoint.lm)
        assert (encoder.books, encoder.most_books, encoder.length_s) == (3, 6, 3.0)
        assert np.array_equal(encoder.encode(features(40)), encoder.encode(features(40), books=3))

    @pytest.mark.parametrize("books", [0, 7])
    def test_has_only_so_many_books(self, checkpoint, books):
        encoder = StyleEncoder(checkpoint.architecture.lm.style, checkpoint.lm)
        with pytest.raises(RequestError, match=f"1 to 6 books, not {books}"):
            encoder.encode(features(40), books=books)

    def test_refuses_features_that_cannot_be_made(self, checkpoint):
        options = tuple(
            (name, "encodec" if name == "model_name" else said)
            for name, said in checkpoint.architecture.lm.style.options
        )
        with pytest.raises(EngineError, match="features of 'encodec'"):
            StyleEncoder(StyleArchitecture(options), checkpoint.lm)


@given(length=st.integers(48_000, 400_000), rate_hz=st.sampled_from([24_000, 32_000]))
def test_the_middle_is_the_middle(length, rate_hz):
    wave = np.arange(length, dtype=np.float32)
    cut = middle(wave, rate_hz, 3.0)
    assert len(cut) == min(length, 3 * rate_hz)
    assert abs((cut[0] - wave[0]) - (wave[-1] - cut[-1])) <= 1


def test_too_little_music_has_no_style():
    with pytest.raises(RequestError, match=r"1\.5 s of music; the excerpt has 1\.00 s"):
        middle(np.zeros(32_000, np.float32), 32_000, 3.0)


def test_no_style_is_one_zero_vector_and_no_style_beside_one_as_many(checkpoint):
    shape = replace(checkpoint.architecture.lm, dim=8)
    assert np.array_equal(style_prefix(shape, None).null, np.zeros((1, 8)))
    assert np.array_equal(style_prefix(shape, np.ones((15, 8), np.float32)).null, np.zeros((15, 8)))
