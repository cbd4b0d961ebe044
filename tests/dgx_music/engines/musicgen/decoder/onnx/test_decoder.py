"""The decoder on ONNX Runtime: its fp32 graph against PyTorch's, its 8-bit products against fp32, rows against each other."""

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from support.language_models import (
    BIASED,
    MELODY,
    MONO,
    SHAPES,
    STEREO,
    random_lm,
    random_take,
    run_alone,
    run_together,
)

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from dgx_music.engines.musicgen.decoder.agreement import compare_logits
from dgx_music.engines.musicgen.decoder.base import Condition, OutOfRoomError, Sampling
from dgx_music.engines.musicgen.decoder.onnx.decoder import OnnxDecoder
from dgx_music.engines.musicgen.decoder.onnx.prepare import prepare
from dgx_music.errors import EngineError

# Wide enough for products to be split among threads.
WIDE = {
    "cross": replace(MONO, dim=128, heads=4, ffn_dim=512, card=256),
    "odd": MONO,
    "stereo": STEREO,
    "prepend": replace(MELODY, dim=96, heads=3, ffn_dim=200, card=131),
}
SAMPLINGS = [
    Sampling(temperature=0.0),
    Sampling(),
    Sampling(temperature=0.7, top_k=5),
    Sampling(top_p=0.6),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


def decoder_of(arch, cache, precision="int8", **options):
    name = sha256(repr(arch).encode()).hexdigest()
    folder = prepare(random_lm(arch), arch, weights_sha256=name, cache_dir=cache, precision=precision)
    options = {"max_rows": 24, "max_positions": 800, "threads": 1} | options
    return OnnxDecoder(folder, arch, precision=precision, **options)


def unequal_takes(arch, count=8):
    """Takes that differ in all that they can."""
    return [
        random_take(
            arch,
            seed,
            frames=24 + 9 * seed,
            prompt=(0, 5, 20)[seed % 3],
            text=1 + 6 * seed,
            prefix=7 * seed % 40,
            guided=seed % 3 != 1,
            doubly=seed == 4,
            sampling=SAMPLINGS[seed % len(SAMPLINGS)],
        )
        for seed in range(count)
    ]


TAKES = {
    "guided": {},
    "unguided": {"guided": False},
    "doubly guided": {"doubly": True},
    "continued": {"prompt": 37},
    "much text": {"text": 70, "prefix": 40, "prompt": 3},
}


@pytest.mark.parametrize("kind", TAKES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_graph_in_fp32_computes_what_torch_computes(shape, kind, cache):
    pytest.importorskip("torch")
    from dgx_music.engines.musicgen.decoder.torch import TorchDecoder

    arch = SHAPES[shape]
    options = {"precision": "fp32", "max_rows": 4, "max_positions": 200}
    take = random_take(arch, 1, **TAKES[kind])
    expected = run_alone(TorchDecoder(random_lm(arch), arch, device="cpu", **options), take)
    found = run_alone(decoder_of(arch, cache, "fp32"), take)
    np.testing.assert_array_equal(found.laid, expected.laid)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["mono", "melody"])
def test_greedy_tokens_in_fp32_are_those_of_torch_for_500_steps(shape, cache):
    pytest.importorskip("torch")
    from dgx_music.engines.musicgen.decoder.torch import TorchDecoder

    arch = SHAPES[shape]
    take = random_take(arch, 2, frames=520)
    options = {"precision": "fp32", "max_rows": 2, "max_positions": 600}
    expected = run_alone(TorchDecoder(random_lm(arch), arch, device="cpu", **options), take)
    np.testing.assert_array_equal(run_alone(decoder_of(arch, cache, "fp32"), take).laid, expected.laid)


@pytest.mark.parametrize("shape", ["cross", "stereo", "prepend"])
def test_eight_bits_stay_close_to_fp32(shape, cache):
    arch = WIDE[shape]

    def first_logits(precision):
        decoder = decoder_of(arch, cache, precision)
        found = []
        for seed in range(12):
            handle = decoder.admit(random_take(arch, seed, frames=60, prompt=4 * seed, guided=False))
            decoder.step()
            found.append(decoder.logits(handle))
            decoder.release(handle)
        return np.stack(found)

    found = compare_logits(first_logits("fp32"), first_logits("int8"))
    assert 0 < found.kl < 2e-3
    assert found.cosine > 0.998


def test_large_activations_and_weights_do_not_saturate(cache):
    """Where all is at the end of its range, AVX2's 16-bit sums would overflow, were the weights not kept from it."""
    arch = replace(MONO, dim=64, heads=4, ffn_dim=128, card=64)
    weights = {name: np.sign(array) * np.float32(0.05) for name, array in random_lm(arch).items()}
    for name, array in weights.items():
        if "linear1" in name:
            weights[name] = np.abs(array)
        if "norm" in name and name.endswith("weight"):
            weights[name] = np.ones_like(array)
    found = {}
    for precision in ("fp32", "int8"):
        folder = prepare(weights, arch, weights_sha256="e" * 64, cache_dir=cache, precision=precision)
        decoder = OnnxDecoder(folder, arch, max_rows=2, max_positions=100, precision=precision)
        handle = decoder.admit(random_take(arch, 3, frames=50, prompt=40, guided=False))
        decoder.step()
        found[precision] = decoder.logits(handle)
    assert compare_logits(found["fp32"], found["int8"]).cosine > 0.99


@pytest.mark.parametrize("kind", WIDE)
def test_alone_and_among_seven_others_are_equal_to_the_bit(kind, cache):
    arch = WIDE[kind]
    decoder = decoder_of(arch, cache, threads=2)
    takes = unequal_takes(arch)
    together = run_together(decoder, [(4 * number, take) for number, take in enumerate(takes)])
    alone_decoder = decoder_of(arch, cache, threads=2)
    for take, found in zip(takes, together, strict=True):
        alone = run_alone(alone_decoder, take)
        np.testing.assert_array_equal(found.laid, alone.laid)
        np.testing.assert_array_equal(found.logits, alone.logits)


def test_unguided_takes_come_out_the_same_in_every_number_of_rows(cache):
    """Odd and even numbers of rows go through different code in matrix libraries."""
    arch = WIDE["cross"]
    takes = [random_take(arch, seed, guided=False, frames=12) for seed in range(7)]
    decoder = decoder_of(arch, cache, threads=2)
    expected = [run_alone(decoder, take).logits for take in takes]
    for count in range(1, 8):
        runs = run_together(decoder, [(0, take) for take in takes[:count]])
        for run, alone in zip(runs, expected, strict=False):
            np.testing.assert_array_equal(run.logits, alone)


def test_takes_without_text_alone_and_beside_others(cache):
    """A model with cross-attention and nothing to attend to."""
    arch = WIDE["cross"]
    bare = replace(random_take(arch, 5, guided=False, prompt=20), conditions=(Condition(),))
    alone = run_alone(decoder_of(arch, cache), bare)
    runs = run_together(decoder_of(arch, cache), [(0, random_take(arch, 6, frames=30)), (2, bare)])
    np.testing.assert_array_equal(runs[1].logits, alone.logits)
    text = replace(bare, conditions=(Condition(cross=np.ones((3, arch.dim), np.float32)),))
    assert np.abs(run_alone(decoder_of(arch, cache), text).logits - alone.logits).max() > 1e-3


def test_a_take_released_in_the_middle_leaves_the_others_as_they_were(cache):
    arch = WIDE["cross"]
    takes = unequal_takes(arch, 5)
    expected = [run_alone(decoder_of(arch, cache), take) for take in takes]
    decoder = decoder_of(arch, cache)
    handles = [decoder.admit(take) for take in takes]
    last = {}
    for turn in range(40):
        last |= {handle: decoder.logits(handle) for handle in decoder.step()}
        if turn in (3, 9):
            decoder.release(handles[0 if turn == 3 else 2])
    # Its row is taken by another one, from the beginning.
    again = decoder.admit(takes[2])
    decoder.step()
    np.testing.assert_array_equal(decoder.logits(again), expected[2].logits[0])
    np.testing.assert_array_equal(last[handles[4]], expected[4].logits[39])


def test_a_finished_take_gives_its_rows_up_and_is_known_until_it_is_released(cache):
    arch = WIDE["odd"]
    decoder = decoder_of(arch, cache, max_rows=2)
    handle = decoder.admit(random_take(arch, 1, frames=2))
    while not decoder.finished(handle):
        assert set(decoder.step()) == {handle}
    assert decoder.step() == {}
    other = decoder.admit(random_take(arch, 2, frames=2))
    assert set(decoder.step()) == {other}
    decoder.release(handle)
    assert set(decoder.step()) == {other}


def test_what_does_not_fit_now_and_what_never_fits_are_told_apart(cache):
    arch = WIDE["odd"]
    decoder = decoder_of(arch, cache, max_rows=3, max_positions=50)
    decoder.admit(random_take(arch, 1, frames=40))
    with pytest.raises(OutOfRoomError):
        decoder.admit(random_take(arch, 2, frames=40))
    with pytest.raises(EngineError, match="51 positions"):
        decoder.admit(random_take(arch, 3, frames=48, guided=False))
    decoder.admit(random_take(arch, 3, frames=47, guided=False))
    decoder.step()


def test_biases_reach_every_product(cache):
    arch = replace(BIASED, dim=64, heads=4, ffn_dim=96)
    take = random_take(arch, 1, frames=3)
    found = run_alone(decoder_of(arch, cache), take).logits[0]
    expected = run_alone(decoder_of(arch, cache, "fp32"), take).logits[0]
    assert compare_logits(expected, found).cosine > 0.99


_WITHOUT_TORCH = """
import sys
from support.language_models import MONO, random_take, run_alone
from pathlib import Path
from dgx_music.engines.musicgen.decoder.onnx.decoder import OnnxDecoder

run_alone(OnnxDecoder(Path(sys.argv[1]), MONO, max_rows=2, max_positions=60), random_take(MONO, 1))
heavy = {"torch", "transformers", "scipy", "onnx"} & set(sys.modules)
assert not heavy, heavy
"""


def test_decoding_needs_neither_torch_nor_onnx(cache):
    folder = prepare(random_lm(MONO), MONO, weights_sha256="f" * 64, cache_dir=cache)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, folder],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_without_its_files_is_named(tmp_path):
    with pytest.raises(EngineError, match=str(tmp_path)):
        OnnxDecoder(tmp_path, MONO)
