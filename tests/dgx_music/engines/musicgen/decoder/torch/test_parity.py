"""The decoder computes what audiocraft's and transformers' models compute from the same weights."""

from importlib.util import find_spec

import numpy as np
import pytest

from support.language_models import (
    GREEDY,
    MONO,
    SHAPES,
    audiocraft_generate,
    audiocraft_lm,
    audiocraft_run,
    random_lm,
    random_take,
    run_alone,
    transformers_lm,
    transformers_logits,
)

pytest.importorskip("torch")

from dgx_music.engines.musicgen.decoder.torch import TorchDecoder
from dgx_music.engines.musicgen.delay import undo

TOLERANCE = 1e-4
# Found and not imported: it cannot be without the stand-ins.
needs_audiocraft = pytest.mark.skipif(not find_spec("audiocraft"), reason="audiocraft is not installed")
TAKES = {
    "guided": {},
    "unguided": {"guided": False},
    "doubly guided": {"doubly": True},
    "continued": {"prompt": 11},
    # More positions than are read at a time when a take is admitted.
    "continued at length": {"prompt": 150, "frames": 170, "prefix": 120},
}


def decoder_of(arch, weights, **options):
    options = {"precision": "fp32", "max_rows": 16, "max_positions": 800} | options
    return TorchDecoder(weights, arch, device="cpu", **options)


@pytest.fixture(scope="module", params=SHAPES)
def model(request):
    arch = SHAPES[request.param]
    weights = random_lm(arch)
    return arch, weights, decoder_of(arch, weights)


@needs_audiocraft
@pytest.mark.parametrize("kind", TAKES)
def test_logits_and_greedy_tokens_are_those_of_audiocraft(model, kind):
    arch, weights, decoder = model
    take = random_take(arch, 1, **TAKES[kind])
    expected = audiocraft_run(arch, audiocraft_lm(arch, weights), take)
    found = run_alone(decoder, take)
    np.testing.assert_array_equal(found.laid, expected.laid)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", TAKES)
def test_logits_are_those_of_transformers(model, kind):
    pytest.importorskip("transformers")
    arch, weights, decoder = model
    if arch.has_bias:
        pytest.skip("transformers' model has no biases")
    take = random_take(arch, 2, **TAKES[kind])
    found = run_alone(decoder, take)
    expected = transformers_logits(arch, transformers_lm(arch, weights), take, found)
    np.testing.assert_allclose(found.logits, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.slow
@needs_audiocraft
def test_six_hundred_steps_keep_to_audiocraft(model):
    arch, weights, decoder = model
    take = random_take(arch, 3, frames=600)
    expected = audiocraft_run(arch, audiocraft_lm(arch, weights), take)
    found = run_alone(decoder, take)
    np.testing.assert_array_equal(found.laid, expected.laid)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=TOLERANCE)


@needs_audiocraft
def test_greedy_codes_are_those_of_audiocrafts_own_generate():
    """Its own delay pattern, guidance, prompt and feedback of tokens, not only its model."""
    weights = random_lm(MONO)
    theirs = audiocraft_lm(MONO, weights)
    for seed, prompt in ((4, 0), (5, 9)):
        take = random_take(MONO, seed, frames=50, prompt=prompt, sampling=GREEDY)
        expected = audiocraft_generate(theirs, take)
        laid = run_alone(decoder_of(MONO, weights), take).laid
        np.testing.assert_array_equal(undo(laid, 0, 50, MONO.delays), expected)


def test_weights_in_half_precision_are_read_as_they_are():
    weights = random_lm(MONO)
    halves = {name: array.astype(np.float16) for name, array in weights.items()}
    rounded = {name: array.astype(np.float32) for name, array in halves.items()}
    take = random_take(MONO, 6, frames=20)
    found, expected = run_alone(decoder_of(MONO, halves), take), run_alone(decoder_of(MONO, rounded), take)
    np.testing.assert_array_equal(found.logits, expected.logits)


def test_a_weight_that_is_missing_or_misshapen_is_named():
    from dgx_music.errors import EngineError

    weights = random_lm(MONO)
    name = "layers.1.self_attn.out_proj.weight"
    with pytest.raises(EngineError, match=name):
        decoder_of(MONO, {other: array for other, array in weights.items() if other != name})
    with pytest.raises(EngineError, match=name):
        decoder_of(MONO, {**weights, name: weights[name][:-1]})
