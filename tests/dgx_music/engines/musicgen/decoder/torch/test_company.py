"""A take comes out the same whoever is decoded beside it, whenever they join and leave."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.language_models import MELODY, MONO, STEREO, random_lm, random_take, run_alone, run_together

pytest.importorskip("torch")

from dgx_music.engines.musicgen.decoder.base import Condition, OutOfRoomError, Sampling
from dgx_music.engines.musicgen.decoder.torch import TorchDecoder
from dgx_music.engines.musicgen.delay import first_step
from dgx_music.errors import EngineError

# Widths are multiples of 16, as in all published models: sums then run in the same order in any row.
WIDE = {
    "cross": replace(MONO, dim=48, heads=3, ffn_dim=96, card=64),
    "stereo": replace(STEREO, dim=64, heads=2, ffn_dim=128, card=64),
    "prepend": replace(MELODY, dim=32, heads=2, ffn_dim=64, card=64),
}
SAMPLINGS = [
    Sampling(temperature=0.0),
    Sampling(),
    Sampling(temperature=0.7, top_k=5),
    Sampling(top_p=0.6),
    Sampling(temperature=1.3, top_k=0),
]


def decoder_of(arch, **options):
    options = {"precision": "fp32", "max_rows": 24, "max_positions": 1400} | options
    return TorchDecoder(random_lm(arch), arch, device="cpu", **options)


def unequal_takes(arch, count=8):
    """Takes that differ in all that they can."""
    return [
        random_take(
            arch,
            seed,
            frames=24 + 9 * seed,
            prompt=(0, 5, 20)[seed % 3],
            text=1 + 3 * seed,
            prefix=7 * seed % 40,
            guided=seed % 3 != 1,
            doubly=seed == 4,
            sampling=SAMPLINGS[seed % len(SAMPLINGS)],
        )
        for seed in range(count)
    ]


@pytest.mark.parametrize("kind", WIDE)
def test_alone_and_among_seven_others_are_equal_to_the_bit(kind):
    arch = WIDE[kind]
    decoder = decoder_of(arch)
    takes = unequal_takes(arch)
    together = run_together(decoder, [(4 * number, take) for number, take in enumerate(takes)])
    for take, found in zip(takes, together, strict=True):
        expected = run_alone(decoder, take)
        np.testing.assert_array_equal(found.laid, expected.laid)
        np.testing.assert_array_equal(found.logits, expected.logits)


def test_a_long_neighbour_changes_nothing():
    arch = WIDE["cross"]
    decoder = decoder_of(arch)
    short = random_take(arch, 1, frames=30, sampling=SAMPLINGS[1])
    long = random_take(arch, 2, frames=1300, prompt=1260, text=150)
    for joining in ([(0, short), (0, long)], [(0, long), (3, short)]):
        runs = run_together(decoder, joining)
        found = runs[joining.index(next(one for one in joining if one[1] is short))]
        expected = run_alone(decoder_of(arch), short)
        np.testing.assert_array_equal(found.laid, expected.laid)
        np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", WIDE)
def test_rows_that_fill_a_bucket_and_steps_queued_ahead_change_nothing(kind, precision):
    arch = WIDE[kind]
    takes = unequal_takes(arch, 5)
    runs = []
    for fixed in (False, True):
        decoder = decoder_of(arch, precision=precision, fixed=fixed, max_rows=11, max_positions=300)
        runs.append(run_together(decoder, [(4 * number, take) for number, take in enumerate(takes)]))
    for found, expected in zip(*runs, strict=True):
        np.testing.assert_array_equal(found.laid, expected.laid)


@cache
def solo_runs(arch):
    """Takes, and what each lays out by itself."""
    takes = unequal_takes(arch, 5)
    return [(take, run_alone(decoder_of(arch), take).laid) for take in takes]


class Company:
    """A decoder whose takes come and go, beside what each does alone."""

    def __init__(self, arch, *, fixed):
        self.decoder = decoder_of(arch, max_rows=8, max_positions=300, fixed=fixed)
        self.arch = arch
        self.at: dict[int, tuple[int, int]] = {}

    def join(self, seed):
        take, _ = solo_runs(self.arch)[seed]
        self.at[self.decoder.admit(take)] = (seed, first_step(take.prompt.shape[1], self.arch.delays))

    def step(self):
        for handle, tokens in self.decoder.step().items():
            seed, at = self.at[handle]
            laid = solo_runs(self.arch)[seed][1]
            np.testing.assert_array_equal(tokens, laid[at])
            self.at[handle] = (seed, at + 1)
            if self.decoder.finished(handle):
                assert at + 1 == len(laid)
                self.leave(handle)

    def leave(self, handle):
        self.decoder.release(handle)
        del self.at[handle]


@given(
    st.sampled_from(["cross", "prepend"]),
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from(["join", "step", "step", "step", "leave"]), st.integers(0, 4)), max_size=40
    ),
)
@settings(max_examples=30, deadline=None)
def test_takes_may_join_and_leave_at_any_step(kind, fixed, actions):
    arch = WIDE[kind]
    company = Company(arch, fixed=fixed)
    for action, number in actions:
        if action == "join":
            try:
                company.join(number)
            except OutOfRoomError:
                assert len(company.at) >= 2
        elif action == "leave" and company.at:
            company.leave(list(company.at)[number % len(company.at)])
        else:
            company.step()
    while company.at:
        company.step()
    assert not company.decoder.step()


def test_a_take_that_does_not_fit_is_told_so_and_fits_when_another_has_left():
    arch = WIDE["cross"]
    decoder = decoder_of(arch, max_rows=3, max_positions=60)
    first = decoder.admit(random_take(arch, 1))
    with pytest.raises(
        OutOfRoomError, match="needs 2 rows of 43 positions; of 3 rows of 60 positions 1 are free"
    ):
        decoder.admit(random_take(arch, 2))
    decoder.release(first)
    decoder.admit(random_take(arch, 2))
    with pytest.raises(OutOfRoomError):
        decoder.admit(random_take(arch, 3, guided=False, frames=58))


def test_a_window_may_fill_every_position():
    arch = WIDE["prepend"]
    take = random_take(arch, 1, frames=40, prefix=7)
    run = run_alone(decoder_of(arch, max_rows=2, max_positions=7 + 43), take)
    assert (run.laid >= 0).all()
    np.testing.assert_array_equal(run.laid, run_alone(decoder_of(arch), take).laid)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": (1.0,)}, "a weight for each"),
        ({"conditions": (Condition(prefix=np.zeros((2, 48), np.float32)), Condition())}, "equally long"),
        ({"frames": 400}, "uniforms"),
        ({"prompt": np.zeros((4, 40), np.int64)}, "fewer than the window's 40 frames"),
        ({"prompt": np.zeros((3, 4), np.int64)}, "4 codebooks"),
    ],
)
def test_a_take_that_makes_no_sense_is_refused_and_leaves_no_trace(change, words):
    arch = WIDE["cross"]
    decoder = decoder_of(arch)
    take = random_take(arch, 1)
    with pytest.raises(EngineError, match=words):
        decoder.admit(replace(take, **change))
    assert not decoder.step()
    np.testing.assert_array_equal(run_alone(decoder, take).laid, run_alone(decoder_of(arch), take).laid)


def test_text_for_a_model_without_cross_attention_is_refused():
    arch = WIDE["prepend"]
    take = random_take(WIDE["cross"], 1)
    with pytest.raises(EngineError, match="no cross-attention"):
        decoder_of(arch).admit(replace(take, uniforms=take.uniforms[:, : arch.codebooks]))
