import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from dgx_music.engines.musicgen.decoder.base import Sampling
from dgx_music.engines.musicgen.sampling import draw, uniforms

JUST_BELOW_1 = np.nextafter(np.float32(1), np.float32(0))

logits_rows = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 40)),
    # Few values, so that many are equal; 0 and −0 among them.
    elements=st.sampled_from([-30.0, -2.5, -1.0, -0.0, 0.0, 1e-30, 0.5, 0.75, 3.0, 20.0]),
)
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    top_k=st.integers(0, 45),
    top_p=st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.9, 1.0]),
)
numbers = st.floats(0, 1, exclude_max=True, width=32)


def by_the_rule(row, sampling, uniform):
    """One token, written out: sort, weigh, cut, walk along until the number is passed."""
    order = sorted(range(len(row)), key=lambda token: (-float(row[token]), token))
    if sampling.temperature == 0:
        return order[0]
    weights = np.exp((row[order].astype(np.float64) - float(row[order[0]])) / sampling.temperature)
    if sampling.top_p:
        before = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
        kept = int((before <= sampling.top_p * np.cumsum(weights)[-1]).sum())
    else:
        kept = min(sampling.top_k or len(row), len(row))
    mass = np.cumsum(weights)[:kept]
    place = next((at for at in range(kept) if mass[at] > float(uniform) * mass[-1]), kept - 1)
    return order[place]


def drawn_often(row, sampling, count=20_000, seed=3):
    chosen = draw(np.repeat(row[None], count, axis=0), sampling, uniforms(seed, count, 1)[:, 0])
    return np.bincount(chosen, minlength=len(row))


@given(logits_rows, samplings, st.data())
def test_it_draws_what_the_rule_says_at_every_number_and_among_equals(logits, sampling, data):
    uniform = data.draw(hnp.arrays(np.float32, len(logits), elements=numbers))
    expected = [by_the_rule(row, sampling, number) for row, number in zip(logits, uniform, strict=True)]
    assert draw(logits, sampling, uniform).tolist() == expected


@given(logits_rows, samplings)
def test_both_ends_of_the_numbers_draw_tokens_that_are_kept(logits, sampling):
    rows = len(logits)
    first = draw(logits, sampling, np.zeros(rows, np.float32))
    last = draw(logits, sampling, np.full(rows, JUST_BELOW_1, np.float32))
    assert (first == logits.argmax(axis=1)).all()
    assert ((last >= 0) & (last < logits.shape[1])).all()
    if sampling.top_k == 1 and not sampling.top_p:
        assert (last == first).all()


@given(logits_rows, samplings, st.data())
def test_a_row_draws_the_same_alone_and_among_others(logits, sampling, data):
    uniform = data.draw(hnp.arrays(np.float32, len(logits), elements=numbers))
    together = draw(logits, sampling, uniform)
    alone = [draw(logits[i : i + 1], sampling, uniform[i : i + 1])[0] for i in range(len(logits))]
    assert together.tolist() == alone


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_those_of_the_softmax(temperature):
    row = np.random.default_rng(5).standard_normal(50).astype(np.float32)
    weights = np.exp(row.astype(np.float64) / temperature)
    found = drawn_often(row, Sampling(temperature=temperature, top_k=0))
    assert stats.chisquare(found, found.sum() * weights / weights.sum()).pvalue > 1e-3


def test_frequencies_of_the_k_likeliest_are_those_of_the_softmax_over_them():
    row = np.random.default_rng(6).standard_normal(300).astype(np.float32)
    found = drawn_often(row, Sampling(top_k=20))
    kept = np.argsort(-row)[:20]
    weights = np.exp(row[kept].astype(np.float64))
    assert set(np.flatnonzero(found)) == set(kept)
    assert stats.chisquare(found[kept], found.sum() * weights / weights.sum()).pvalue > 1e-3


def test_top_p_keeps_the_token_that_passes_the_share_and_the_one_after_a_share_met_exactly():
    row = np.log(np.array([0.125, 0.5, 0.25, 0.125], np.float32))
    assert set(np.flatnonzero(drawn_often(row, Sampling(top_p=0.6), 2000))) == {1, 2}
    assert set(np.flatnonzero(drawn_often(row, Sampling(top_p=0.01), 2000))) == {1}
    equal = np.zeros(4, np.float32)
    assert set(np.flatnonzero(drawn_often(equal, Sampling(top_p=0.5), 2000))) == {0, 1, 2}


def test_top_k_has_no_say_beside_top_p():
    row = np.zeros(8, np.float32)
    found = drawn_often(row, Sampling(top_k=1, top_p=1.0), 2000)
    assert (found > 0).all()


def test_the_codebooks_of_a_step_draw_independently():
    row = np.zeros(4, np.float32)
    chosen = np.stack(
        [draw(np.repeat(row[None], 2, axis=0), Sampling(), pair) for pair in uniforms(9, 4000, 2)]
    )
    table = np.zeros((4, 4))
    np.add.at(table, (chosen[:, 0], chosen[:, 1]), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3


@settings(max_examples=20)
@given(st.integers(0, 2**63), st.integers(0, 5))
def test_a_seed_and_a_window_name_one_stream(seed, window):
    one = uniforms(seed, 7, 4, window=window)
    assert one.shape == (7, 4)
    assert ((one >= 0) & (one < 1)).all()
    assert (one == uniforms(seed, 7, 4, window=window)).all()
    assert (one != uniforms(seed, 7, 4, window=window + 1)).any()
    assert (one != uniforms(seed + 1, 7, 4, window=window)).any()
