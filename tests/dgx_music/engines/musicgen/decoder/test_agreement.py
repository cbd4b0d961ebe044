import numpy as np
import pytest

from dgx_music.engines.musicgen.decoder.agreement import compare_logits


def test_equal_logits_agree_wholly():
    logits = np.random.default_rng(0).standard_normal((3, 4, 50))
    found = compare_logits(logits, logits)
    assert (found.top1, found.top10, found.max_abs) == (1, 1, 0)
    assert found.kl == pytest.approx(0, abs=1e-12)
    assert found.cosine == pytest.approx(1)


def test_divergence_is_that_of_the_distributions():
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    found = compare_logits(np.log(p) + 7, np.log(q))  # a constant changes no distribution
    assert found.kl == pytest.approx((p * np.log(p / q)).sum())
    assert found.top1 == 0


def test_top_ten_counts_what_both_have_in_common():
    first = np.arange(20.0)
    other = first.copy()
    other[[19, 0]] = other[[0, 19]]
    assert compare_logits(first[None], other[None]).top10 == pytest.approx(0.9)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        compare_logits(np.zeros((2, 5)), np.zeros((1, 5)))
