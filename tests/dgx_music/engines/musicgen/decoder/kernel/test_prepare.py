"""Weights of the compiled decoder: rounded by less than half a step of their block's scale, and where C looks for them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.musicgen.decoder.kernel.binding import Kernel
from dgx_music.engines.musicgen.decoder.kernel.prepare import BLOCK, FILE, TILE, pack, prepare, sections
from dgx_music.errors import EngineError
from support.language_models import BIASED, MELODY, MONO, SHAPES, random_lm


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_packed_weights_are_the_weights_within_half_a_step(outputs, inputs, seed):
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((outputs, inputs)).astype(np.float16)
    weight *= generator.random((outputs, 1)) < 0.9  # an output of nothing but zeros has no scale
    packed = pack(weight)
    tiles, blocks = packed.shape[:2]
    whole = packed[..., : TILE * BLOCK].view(np.int8).reshape(tiles, blocks, BLOCK // 4, TILE, 4)
    whole = whole.transpose(0, 3, 1, 2, 4).reshape(tiles * TILE, blocks, BLOCK)
    scales = (
        packed[..., TILE * BLOCK :].copy().view(np.float32).transpose(0, 2, 1).reshape(tiles * TILE, blocks)
    )
    found = (whole * scales[..., None]).reshape(tiles * TILE, -1)
    expected = np.zeros_like(found)
    expected[:outputs, :inputs] = weight
    pairs = whole.astype(int).reshape(-1, 2)
    assert np.abs(pairs).max() <= 127
    # AVX2 adds the products of two neighbours with activations of up to 255 in 16 bits.
    assert 255 * np.maximum(pairs, 0).sum(axis=1).max() < 2**15
    assert 255 * np.minimum(pairs, 0).sum(axis=1).min() >= -(2**15)
    assert (np.abs(found - expected) <= np.repeat(scales, BLOCK, axis=1) * 0.501).all()


@pytest.mark.parametrize("kind", SHAPES)
def test_sections_follow_one_another_by_pages(kind):
    placed = sections(SHAPES[kind])
    assert [section.offset % 4096 for section in placed] == [0] * len(placed)
    assert all(b.offset >= a.offset + a.bytes for a, b in itertools.pairwise(placed))
    assert len({section.name for section in placed}) == len(placed)


def test_a_prepared_folder_is_made_once_and_says_how_far_it_is(tmp_path):
    shares = []
    lm = random_lm(BIASED)
    folder = prepare(lm, BIASED, weights_sha256="a" * 64, cache_dir=tmp_path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert prepare({}, BIASED, weights_sha256="a" * 64, cache_dir=tmp_path) == folder


def test_weights_of_another_model_are_refused(tmp_path, libraries):
    folder = prepare(random_lm(MELODY), MELODY, weights_sha256="a" * 64, cache_dir=tmp_path)
    library = next(iter(libraries.values()))
    positions = np.zeros((10, MONO.dim), np.float32)
    for broken in (lambda: None, (folder / FILE).unlink):
        broken()
        with pytest.raises(EngineError, match="prepared weights"):
            Kernel(library, folder, MONO, positions=positions, longest=10, threads=1)
