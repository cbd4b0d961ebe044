"""The compiled decoder: near to fp32, the same to the bit in any company, on any path of its code, in any order."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgx_music.engines.musicgen.decoder.agreement import compare_logits
from dgx_music.engines.musicgen.decoder.base import Condition, OutOfRoomError, Sampling
from dgx_music.errors import EngineError
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

# Heads as wide as in the published models, and more than one block of inputs.
WIDE = replace(MONO, dim=256, heads=4, ffn_dim=520, card=150, layers=2)
ALL = SHAPES | {"wide": WIDE}
SAMPLINGS = [
    Sampling(temperature=0.0),
    Sampling(),
    Sampling(temperature=0.7, top_k=5),
    Sampling(top_p=0.6),
    Sampling(temperature=1.3, top_k=0),
]


def unequal_takes(arch, count=8):
    """Takes that differ in all that they can."""
    return [
        random_take(
            arch,
            seed,
            frames=16 + 7 * seed,
            prompt=(0, 5, 15)[seed % 3],
            text=1 + 3 * seed,
            prefix=7 * seed % 40,
            guided=seed % 3 != 1,
            doubly=seed == 4,
            sampling=SAMPLINGS[seed % len(SAMPLINGS)],
        )
        for seed in range(count)
    ]


def equal(found, expected):
    np.testing.assert_array_equal(found.laid, expected.laid)
    np.testing.assert_array_equal(found.logits, expected.logits)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("prompt", [0, 9])
def test_logits_are_near_to_those_of_fp32(kind, prompt, make_decoder, forced_logits, one_torch_thread):
    from dgx_music.engines.musicgen.decoder.torch import TorchDecoder

    arch = ALL[kind]
    take = random_take(arch, 3, frames=60, prompt=prompt, text=19, guidance=1.5)
    reference = TorchDecoder(
        random_lm(arch), arch, device="cpu", precision="fp32", max_rows=4, max_positions=100
    )
    expected = run_alone(reference, take)
    found = forced_logits(make_decoder(arch), take, expected.laid)
    agreement = compare_logits(expected.logits, found)
    assert agreement.cosine > 0.999
    assert agreement.kl < 1e-3
    assert agreement.top1 > 0.9


@pytest.mark.parametrize("kind", ALL)
def test_the_fast_path_equals_the_portable_one_to_the_bit(kind, make_decoder, libraries):
    arch = ALL[kind]
    takes = [random_take(arch, seed, frames=50, text=2 + 9 * seed, prompt=seed) for seed in range(6)]
    joining = [(2 * number, take) for number, take in enumerate(takes)]
    expected = run_together(make_decoder(arch, variant="portable", threads=1), joining)
    for variant in libraries:
        for one, other in zip(
            run_together(make_decoder(arch, variant=variant), joining), expected, strict=True
        ):
            equal(one, other)


@pytest.mark.parametrize("kind", ALL)
def test_alone_and_among_seven_others_are_equal_to_the_bit(kind, make_decoder):
    arch = ALL[kind]
    takes = unequal_takes(arch)
    together = run_together(make_decoder(arch), [(4 * number, take) for number, take in enumerate(takes)])
    alone = make_decoder(arch)
    for take, found in zip(takes, together, strict=True):
        equal(found, run_alone(alone, take))


@pytest.mark.parametrize("rows", range(1, 18))
def test_no_count_of_rows_changes_a_row(rows, make_decoder):
    takes = [random_take(WIDE, seed, frames=6, guided=False) for seed in range(rows)]
    alone = make_decoder(WIDE)
    for take, found in zip(
        takes, run_together(make_decoder(WIDE), [(0, take) for take in takes]), strict=True
    ):
        equal(found, run_alone(alone, take))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_who_joins_and_leaves_when_changes_nothing(data, make_decoder):
    arch = data.draw(st.sampled_from([MONO, MELODY]))
    takes = unequal_takes(arch, 5)
    turns = data.draw(st.lists(st.integers(0, 40), min_size=5, max_size=5))
    alone = make_decoder(arch)
    together = run_together(make_decoder(arch), list(zip(turns, takes, strict=True)))
    for take, found in zip(takes, together, strict=True):
        equal(found, run_alone(alone, take))


@pytest.mark.parametrize("threads", [1, 3, 16])
def test_threads_change_nothing(threads, make_decoder):
    take = random_take(WIDE, 1, frames=40)
    equal(
        run_alone(make_decoder(WIDE, threads=threads), take), run_alone(make_decoder(WIDE, threads=2), take)
    )


@pytest.mark.parametrize("kind", ["mono", "melody", "wide"])
def test_what_a_prompt_fills_in_equals_what_steps_filled_in(kind, make_decoder):
    """More positions than one pass of the prefill takes."""
    arch = ALL[kind]
    decoder = make_decoder(arch)
    take = random_take(arch, 5, frames=150, prefix=70)
    whole = run_alone(decoder, take)
    prompt = np.stack([whole.laid[delay : delay + 120, book] for book, delay in enumerate(arch.delays)])
    continued = run_alone(decoder, replace(take, prompt=prompt))
    np.testing.assert_array_equal(continued.laid, whole.laid)
    np.testing.assert_array_equal(continued.logits, whole.logits[120:])


def test_a_prompt_that_leaves_nothing_to_draw_is_handed_out_as_it_is(make_decoder):
    take = random_take(MONO, 1, frames=12, prompt=12)
    run = run_alone(make_decoder(MONO), take)
    assert len(run.logits) == max(MONO.delays)
    for book, delay in enumerate(MONO.delays):
        np.testing.assert_array_equal(run.laid[delay : delay + 12, book], take.prompt[book])


def test_without_text_is_unlike_with_text_and_unguided_is_one_row(make_decoder):
    decoder = make_decoder(MONO)
    take = random_take(MONO, 1, frames=10, guided=False)
    bare = replace(take, conditions=(Condition(),))
    empty = replace(take, conditions=(Condition(cross=np.zeros((0, MONO.dim), np.float32)),))
    with_text, without = run_alone(decoder, take), run_alone(decoder, bare)
    assert not np.array_equal(with_text.logits, without.logits)
    equal(run_alone(decoder, empty), without)


def test_biases_of_attention_to_nothing_are_added(make_decoder):
    take = random_take(BIASED, 1, frames=10, guided=False)
    bare = run_alone(make_decoder(BIASED), replace(take, conditions=(Condition(),)))
    zeros = replace(take, conditions=(Condition(cross=np.zeros((3, BIASED.dim), np.float32)),))
    np.testing.assert_allclose(run_alone(make_decoder(BIASED), zeros).logits, bare.logits, atol=1e-3)


def test_what_does_not_fit_is_refused_and_leaves_no_trace(make_decoder):
    decoder = make_decoder(MONO, max_rows=3, max_positions=60)
    handle = decoder.admit(random_take(MONO, 1, frames=20))
    with pytest.raises(OutOfRoomError):
        decoder.admit(random_take(MONO, 2, frames=20))
    with pytest.raises(EngineError, match="has room for 60"):
        decoder.admit(random_take(MONO, 2, frames=58, guided=False))
    beside = decoder.admit(random_take(MONO, 3, frames=20, guided=False))
    decoder.release(handle)
    decoder.release(beside)
    equal(
        run_alone(decoder, random_take(MONO, 4, frames=20)),
        run_alone(make_decoder(MONO), random_take(MONO, 4, frames=20)),
    )
    assert decoder.step() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"conditions": (Condition(cross=np.zeros((4, MONO.dim + 1), np.float32)), Condition())},
        {"conditions": (Condition(cross=np.zeros((4000, MONO.dim), np.float32)), Condition())},
        {"conditions": (Condition(prefix=np.zeros((4, MONO.dim), np.float32)), Condition())},
        {"weights": (1.0,)},
        {"prompt": np.full((4, 3), MONO.card + 1)},
        {"prompt": np.full((4, 3), -1)},
        {"prompt": np.zeros((3, 3), np.int64)},
        {"prompt": np.zeros((4, 21), np.int64)},
        {"uniforms": np.zeros((20, 4), np.float32)},
    ],
)
def test_what_c_would_read_amiss_is_refused(wrong, make_decoder):
    take = replace(random_take(MONO, 1, frames=20), **wrong)
    with pytest.raises(EngineError):
        make_decoder(MONO).admit(take)


def test_memory_grows_with_rows_and_positions(make_decoder):
    decoder = make_decoder(STEREO)
    one = decoder.bytes_needed(1, 1000)
    assert decoder.bytes_needed(2, 1000) - one >= 2 * STEREO.layers * STEREO.dim * 1000 * 2
    assert decoder.bytes_needed(1, 2000) > one


def test_closing_ends_the_threads(make_decoder):
    import psutil

    before = psutil.Process().num_threads()
    decoder = make_decoder(MONO, threads=5)
    run_alone(decoder, random_take(MONO, 1, frames=5))
    assert psutil.Process().num_threads() == before + 4
    decoder.close()
    assert psutil.Process().num_threads() == before
