"""What narrower numbers cost, on random weights: an upper bound on blunders, not a measure of quality."""

from dataclasses import replace

import numpy as np
import pytest

from support.language_models import MELODY, MONO, random_lm, random_take

pytest.importorskip("torch")

from dgx_music.engines.musicgen.decoder.agreement import compare_logits
from dgx_music.engines.musicgen.decoder.torch import TorchDecoder
from dgx_music.errors import EngineError

ARCHS = {
    "cross": replace(MONO, dim=128, heads=4, layers=6, ffn_dim=256, card=256),
    "prepend": replace(MELODY, dim=128, heads=4, layers=6, ffn_dim=256, card=256),
}


def first_logits(arch, weights, precision):
    """The logits that each of many prompts ends in."""
    decoder = TorchDecoder(weights, arch, device="cpu", precision=precision, max_rows=2, max_positions=300)
    found = []
    for seed in range(12):
        handle = decoder.admit(random_take(arch, seed, frames=60, prompt=4 * seed))
        decoder.step()
        found.append(decoder.logits(handle))
        decoder.release(handle)
    return np.stack(found)


@pytest.mark.parametrize("kind", ARCHS)
@pytest.mark.parametrize(("precision", "kl", "cosine"), [("bf16", 1e-3, 0.9995), ("fp16", 1e-5, 0.99999)])
def test_narrower_numbers_stay_close_to_fp32(kind, precision, kl, cosine):
    arch = ARCHS[kind]
    weights = random_lm(arch)
    found = compare_logits(first_logits(arch, weights, "fp32"), first_logits(arch, weights, precision))
    assert 0 < found.kl < kl
    assert found.cosine > cosine
    assert found.top1 > 0.9
    assert found.top10 > 0.95


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(EngineError, match="fp32, bf16, fp16"):
        TorchDecoder(random_lm(MONO), MONO, device="cpu", precision="int8", max_rows=2, max_positions=60)
