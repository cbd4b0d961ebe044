from __future__ import annotations

import numpy as np
import pytest

from dgx_music.engines.musicgen.architecture import TextArchitecture
from dgx_music.engines.musicgen.text import mapped_text, torch_text
from dgx_music.engines.musicgen.text.t5 import position_buckets
from dgx_music.engines.musicgen.text.tokens import load_tokenizer
from dgx_music.errors import EngineError
from support.musicgen_checkpoints.tokenizer import write_tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")

TINY = TextArchitecture("t5-tiny", dim=24, layers=3, heads=3, head_dim=5, ffn_dim=40, vocab=400)
SHAPES = {
    "tiny": TINY,
    "gated": TextArchitecture(
        "t5-gated",
        dim=16,
        layers=2,
        heads=2,
        head_dim=8,
        ffn_dim=20,
        vocab=400,
        relative_buckets=10,
        relative_max_distance=20,
        norm_eps=1e-3,
        gated_gelu=True,
    ),
}
PROMPTS = [
    "warm piano",
    "Lo-Fi hip hop, 85 bpm\tmellow  ",
    "a" * 300,
    "日本 ünïcode 🎹 </s>x",
    " ".join(["drums bass"] * 90),
]
WIDTH = 7


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Two folders with the same tokenizer, one in each form."""
    both, spiece = tmp_path_factory.mktemp("both"), tmp_path_factory.mktemp("spiece")
    write_tokenizer(both)
    (spiece / "spiece.model").write_bytes((both / "spiece.model").read_bytes())
    return both, spiece


def make_t5(arch):
    config = transformers.T5Config(
        vocab_size=arch.vocab,
        d_model=arch.dim,
        d_kv=arch.head_dim,
        d_ff=arch.ffn_dim,
        num_layers=arch.layers,
        num_heads=arch.heads,
        relative_attention_num_buckets=arch.relative_buckets,
        relative_attention_max_distance=arch.relative_max_distance,
        layer_norm_epsilon=arch.norm_eps,
        feed_forward_proj="gated-gelu" if arch.gated_gelu else "relu",
    )
    torch.manual_seed(0)
    model = transformers.T5EncoderModel(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        elif "relative" in name:
            torch.nn.init.normal_(parameter)
    return model


def projection(arch):
    rng = np.random.default_rng(0)
    return {
        "text_proj.weight": rng.standard_normal((WIDTH, arch.dim)).astype(np.float32),
        "text_proj.bias": rng.standard_normal(WIDTH).astype(np.float32),
    }


def make(backend, arch, model, tokenizer, cache_dir):
    weights = {name: values.numpy() for name, values in model.state_dict().items()}
    if backend == "torch":
        return torch_text(arch, weights, projection(arch), tokenizer, device="cpu")
    sha256 = arch.name.encode().hex()
    return mapped_text(arch, weights, projection(arch), tokenizer, weights_sha256=sha256, cache_dir=cache_dir)


backends = pytest.mark.parametrize("backend", ["mapped", "torch"])


@backends
@pytest.mark.parametrize("arch", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_encoded_as_by_transformers(backend, arch, prompt, tokenizers, tmp_path):
    model = make_t5(arch)
    tokens = load_tokenizer(tokenizers[0])(prompt)
    with torch.inference_mode():
        hidden = model(torch.tensor([tokens])).last_hidden_state[0].numpy()
    weights = projection(arch)
    theirs = hidden @ weights["text_proj.weight"].T + weights["text_proj.bias"]

    ours = make(backend, arch, model, tokenizers[0], tmp_path).encode(prompt)
    assert ours.dtype == np.float32
    assert ours.std() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_tokens_are_those_of_transformers_in_both_forms(prompt, tokenizers):
    theirs = transformers.AutoTokenizer.from_pretrained(tokenizers[0])([prompt], padding=True)["input_ids"][0]

    assert load_tokenizer(tokenizers[0])(prompt) == theirs
    if "</s>" not in prompt:  # SentencePiece by itself takes the name of a special token for a word
        assert load_tokenizer(tokenizers[1])(prompt) == theirs


@pytest.mark.parametrize("arch", SHAPES.values(), ids=SHAPES.keys())
def test_distances_fall_into_the_buckets_of_transformers(arch):
    from transformers.models.t5.modeling_t5 import T5Attention

    positions = torch.arange(700)
    theirs = T5Attention._relative_position_bucket(
        positions[None, :] - positions[:, None],
        num_buckets=arch.relative_buckets,
        max_distance=arch.relative_max_distance,
    )
    np.testing.assert_array_equal(position_buckets(arch, 700), theirs.numpy())


@backends
def test_an_empty_prompt_is_no_prompt(backend, tokenizers, tmp_path):
    encoder = make(backend, TINY, make_t5(TINY), tokenizers[0], tmp_path)
    assert not encoder.encode("").any()
    assert encoder.encode("").shape == (1, WIDTH)


def test_the_prepared_weights_are_enough(tokenizers, tmp_path):
    made = make("mapped", TINY, make_t5(TINY), tokenizers[0], tmp_path).encode("piano")
    again = mapped_text(
        TINY, {}, projection(TINY), tokenizers[0], weights_sha256=TINY.name.encode().hex(), cache_dir=tmp_path
    )
    np.testing.assert_array_equal(again.encode("piano"), made)


@backends
def test_a_closed_encoder_says_so(backend, tokenizers, tmp_path):
    encoder = make(backend, TINY, make_t5(TINY), tokenizers[0], tmp_path)
    encoder.close()
    with pytest.raises(EngineError, match="closed"):
        encoder.encode("piano")


def test_a_folder_without_a_tokenizer_teaches(tmp_path):
    with pytest.raises(EngineError, match=r"neither tokenizer\.json nor spiece\.model"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_a_damaged_tokenizer_teaches(tmp_path, name):
    (tmp_path / name).write_bytes(b"{ no")
    with pytest.raises(EngineError, match="cannot be read as a tokenizer"):
        load_tokenizer(tmp_path)
