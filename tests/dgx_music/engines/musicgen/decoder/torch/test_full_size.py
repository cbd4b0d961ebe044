"""The published sizes: what is small may hide in a narrow model."""

from importlib.util import find_spec

import numpy as np
import pytest

from support.language_models import (
    audiocraft_lm,
    audiocraft_run,
    full_size,
    random_lm,
    random_take,
    run_alone,
    run_together,
)

pytest.importorskip("torch")

from dgx_music.engines.musicgen.decoder.torch import TorchDecoder

pytestmark = [
    pytest.mark.fullsize,
    pytest.mark.skipif(not find_spec("audiocraft"), reason="audiocraft is not installed"),
]


def decoder_of(arch, weights):
    return TorchDecoder(weights, arch, device="cpu", precision="fp32", max_rows=16, max_positions=300)


@pytest.mark.parametrize(("size", "layers"), [("small", None), ("medium", 2), ("large", 2)])
def test_logits_and_greedy_tokens_are_those_of_audiocraft(size, layers):
    arch = full_size(size, layers)
    weights = random_lm(arch)
    take = random_take(arch, 1, frames=37, prompt=20, text=12)
    found = run_alone(decoder_of(arch, weights), take)
    expected = audiocraft_run(arch, audiocraft_lm(arch, weights), take)
    print(f"\n{size}: largest difference of logits {np.abs(found.logits - expected.logits).max():.1e}")
    np.testing.assert_array_equal(found.laid, expected.laid)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_alone_and_among_seven_others_are_equal_to_the_bit(size):
    arch = full_size(size, 2)
    decoder = decoder_of(arch, random_lm(arch))
    takes = [random_take(arch, seed, frames=12 + 2 * seed, text=3 + seed, prompt=seed) for seed in range(8)]
    together = run_together(decoder, [(number, take) for number, take in enumerate(takes)])
    for take, found in zip(takes, together, strict=True):
        np.testing.assert_array_equal(found.logits, run_alone(decoder, take).logits)
