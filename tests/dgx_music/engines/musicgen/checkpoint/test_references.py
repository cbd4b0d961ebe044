"""audiocraft itself and transformers load what the builder writes, and compute the same from it."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from dgx_music.engines.audiocraft.stand_ins import stand_ins  # noqa: E402

TOKENS = 30


@pytest.fixture
def hub_cache(monkeypatch):
    """Return what makes a folder the hub's cache, and keeps the hub itself out."""
    from huggingface_hub import constants

    def use(folder):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    return use


def in_transformers(folder, *, melody=False):
    name = f"Musicgen{'Melody' if melody else ''}ForConditionalGeneration"
    model, said = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert not any(said.values()), said
    return model.eval()


def in_audiocraft(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from audiocraft.models import loaders

        # Its own load_state_dict is strict.
        return loaders.load_lm_model(str(folder)), loaders.load_compression_model(str(folder))


@pytest.mark.parametrize("shape", ["tiny", "tiny_odd", "tiny_stereo", "tiny_melody"])
def test_transformers_finds_every_weight_and_no_other(built, shape):
    in_transformers(built(shape, format="hub"), melody=shape == "tiny_melody")
    in_transformers(built(shape, format="hub", parametrizations=True), melody=shape == "tiny_melody")


def test_transformers_reads_the_tokenizer(built):
    folder = built("tiny", format="hub")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("warm piano, 90 bpm")["input_ids"]
    assert ids[-1] == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == "warm piano, 90 bpm"


@pytest.mark.parametrize("codec", ["own", "pretrained"])
@pytest.mark.parametrize("shape", ["tiny", "tiny_odd", "tiny_stereo"])
def test_both_references_compute_the_same(built, hub_cache, shape, codec):
    if find_spec("audiocraft") is None:
        pytest.skip("audiocraft is not installed")
    folder = built(shape, format="audiocraft", codec=codec)
    hub_cache(folder / "hub")
    theirs = in_transformers(built(shape, format="hub"))
    with stand_ins():
        lm, compression = in_audiocraft(folder)
        generator = torch.Generator().manual_seed(1)
        books = lm.num_codebooks
        tokens = torch.randint(0, lm.card, (1, books, TOKENS), generator=generator)
        text = torch.randn(1, 5, lm.dim, generator=generator)
        with torch.no_grad():
            seen = {"description": (text, torch.ones(1, 5, dtype=torch.int))}
            logits = lm(tokens, [], seen)[0]
            own_codes = tokens[:, : compression.num_codebooks] % compression.cardinality
            audio = compression.decode(own_codes)
    with torch.no_grad():
        other = theirs.decoder(input_ids=tokens[0], encoder_hidden_states=text).logits
        assert (logits - other).abs().max() < 1e-5
        decoded = theirs.audio_encoder.decode(own_codes[None], [None])[0]
        assert (audio - decoded).abs().max() < 1e-6
    # Sane material for everybody's tests: varied logits, a usual level.
    assert 0.7 < logits.std() < 1.4
    assert 0.02 < audio.pow(2).mean().sqrt() < 0.5


@pytest.mark.parametrize("shape", ["tiny_delays", "tiny_melody"])
def test_audiocraft_finds_every_weight_and_no_other(built, hub_cache, shape, monkeypatch):
    if find_spec("audiocraft") is None:
        pytest.skip("audiocraft is not installed")
    folder = built(shape, format="audiocraft")
    hub_cache(folder / "hub")
    with stand_ins():
        from audiocraft.models import builders

        class Chroma(torch.nn.Module):
            """In place of the one that wants Demucs; it has this one layer with weights."""

            def __init__(self, output_dim, n_chroma, **_):
                super().__init__()
                self.output_proj = torch.nn.Linear(n_chroma, output_dim)

        monkeypatch.setattr(builders, "ChromaStemConditioner", Chroma)
        lm, _ = in_audiocraft(folder)
    assert lm.pattern_provider.delays == ([0, 2, 2, 5] if shape == "tiny_delays" else [0, 1, 2, 3])


def test_greedy_decoding_does_not_repeat_itself(built, hub_cache):
    if find_spec("audiocraft") is None:
        pytest.skip("audiocraft is not installed")
    folder = built("tiny", format="audiocraft")
    hub_cache(folder / "hub")
    with stand_ins():
        lm, _ = in_audiocraft(folder)
        from audiocraft.modules.conditioners import ConditioningAttributes

        asked = [ConditioningAttributes(text={"description": "warm piano"})]
        with torch.no_grad():
            tokens = lm.generate(conditions=asked, max_gen_len=60, use_sampling=False, num_samples=1)
    assert min(len(np.unique(book)) for book in tokens[0].numpy()) > 15
