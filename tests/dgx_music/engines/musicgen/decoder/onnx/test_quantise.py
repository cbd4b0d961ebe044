import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dgx_music.engines.musicgen.decoder.onnx.quantise import quantise_rows

weights = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 21)),
    elements=st.floats(-4, 4, width=32),
)


@given(weights)
def test_rounding_is_off_by_half_a_step_at_most_and_zero_stays_zero(weight):
    whole, scales = quantise_rows(weight)
    assert whole.dtype == np.int8
    assert (np.abs(weight - whole * scales[:, None]) <= scales[:, None] * 0.5001).all()
    assert (whole[weight == 0] == 0).all()


@given(weights)
def test_no_pair_of_neighbours_saturates_sixteen_bits_whatever_the_activations(weight):
    whole = quantise_rows(weight)[0].astype(np.int64)
    pairs = whole[:, : whole.shape[1] // 2 * 2].reshape(len(whole), -1, 2)
    assert (255 * np.maximum(pairs, 0).sum(axis=2) <= np.iinfo(np.int16).max).all()
    assert (255 * np.minimum(pairs, 0).sum(axis=2) >= np.iinfo(np.int16).min).all()


def test_the_range_is_used_where_neighbours_allow_it():
    whole, scales = quantise_rows(np.array([[1, 0, -0.5, 0.25], [0.2, 0.2, 0, 0]], np.float32))
    assert whole[0].tolist() == [127, 0, -64, 32]
    assert whole[1].tolist() == [64, 64, 0, 0]
    np.testing.assert_allclose(scales, [1 / 127, 0.4 / 127], rtol=1e-6)
