"""Tokens drawn on the device are those that `musicgen.sampling.draw` draws from the same logits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from dgx_music.engines.musicgen.decoder.base import Sampling  # noqa: E402
from dgx_music.engines.musicgen.decoder.torch.draw import draw  # noqa: E402
from dgx_music.engines.musicgen.sampling import draw as draw_one  # noqa: E402

CARD = 97


def drawn(logits, samplings, uniforms):
    return draw(
        torch.from_numpy(logits),
        torch.tensor([one.temperature for one in samplings], dtype=torch.float64),
        torch.tensor([one.top_k for one in samplings]),
        torch.tensor([one.top_p for one in samplings], dtype=torch.float64),
        torch.from_numpy(uniforms),
    ).numpy()


samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.05, 0.7, 1.0, 3.0]),
    top_k=st.sampled_from([0, 1, 2, 30, CARD, 250]),
    top_p=st.sampled_from([0.0, 0.0, 0.01, 0.5, 0.95, 1.0]),
)


@given(
    st.lists(samplings, min_size=1, max_size=5),
    st.integers(0, 2**32),
    st.sampled_from([0, 0.5, 2]),
    st.sampled_from([0.0, 1e-7, 0.5, float(np.nextafter(np.float32(1), np.float32(0)))]) | st.none(),
)
@settings(max_examples=200, deadline=None)
def test_every_take_draws_by_its_own_settings(chosen, seed, step, uniform):
    generator = np.random.default_rng(seed)
    logits = generator.standard_normal((len(chosen), 4, CARD), np.float32) * 4
    if step:  # many equal logits, also at the edge of the top k
        logits = np.round(logits / np.float32(step)) * np.float32(step)
    uniforms = generator.random((len(chosen), 4), np.float32)
    if uniform is not None:
        uniforms[:] = uniform
    expected = [draw_one(*one) for one in zip(logits, chosen, uniforms, strict=True)]
    np.testing.assert_array_equal(drawn(logits, chosen, uniforms), expected)


def test_tokens_come_as_often_as_their_probability_says():
    logits = np.log(np.array([0.1, 0.5, 0.0001, 0.3, 0.0999], np.float32))
    count = 20_000
    uniforms = np.random.default_rng(1).random((count, 1), np.float32)
    tokens = drawn(np.tile(logits, (count, 1, 1)), [Sampling(top_k=4)] * count, uniforms)
    found = np.bincount(tokens[:, 0], minlength=5) / count
    np.testing.assert_allclose(found, np.array([0.1, 0.5, 0, 0.3, 0.0999]) / 0.9999, atol=0.012)
    assert found[2] == 0  # the fifth of the top four
