import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.engines.audiocraft.stand_ins import STAND_INS, stand_ins
from dgx_music.engines.musicgen.delay import first_step, interleave, steps, undo

CARD = 50
delays_of = st.lists(st.integers(0, 6), min_size=1, max_size=8).map(tuple)


@st.composite
def windows(draw):
    delays, frames = draw(delays_of), draw(st.integers(1, 30))
    known = draw(st.integers(0, frames))
    seed = draw(st.integers(0, 2**31))
    codes = np.random.default_rng(seed).integers(0, CARD, (len(delays), frames))
    return codes, known, delays


@given(windows())
def test_what_is_laid_out_and_filled_in_comes_back(window):
    codes, known, delays = window
    frames = codes.shape[1]
    laid = interleave(codes[:, :known], frames, delays, CARD)
    assert laid.shape == (steps(frames, delays), len(delays))
    # Sampling fills in what is missing, step by step, from the same codes.
    for book, delay in enumerate(delays):
        column = laid[:, book]
        column[column < 0] = codes[book, np.flatnonzero(column < 0) - delay]
    assert (undo(laid, 0, frames, delays) == codes).all()


@given(windows())
def test_a_token_is_missing_at_exactly_the_steps_that_hold_a_frame_yet_to_come(window):
    codes, known, delays = window
    frames = codes.shape[1]
    laid = interleave(codes[:, :known], frames, delays, CARD)
    for book, delay in enumerate(delays):
        for step in range(len(laid)):
            frame = step - delay
            if 0 <= frame < known:
                assert laid[step, book] == codes[book, frame]
            else:
                assert laid[step, book] == (-1 if known <= frame < frames else CARD)


@given(windows())
def test_the_first_step_is_the_first_that_misses_a_token(window):
    codes, known, delays = window
    frames = codes.shape[1]
    missing = np.flatnonzero((interleave(codes[:, :known], frames, delays, CARD) < 0).any(axis=1))
    if known < frames:
        assert missing[0] == first_step(known, delays)
    else:
        assert len(missing) == 0


@given(windows(), st.data())
def test_a_part_comes_back_as_a_part(window, data):
    codes, _, delays = window
    frames = codes.shape[1]
    laid = interleave(codes, frames, delays, CARD)
    start = data.draw(st.integers(0, frames))
    stop = data.draw(st.integers(start, frames))
    assert (undo(laid, start, stop, delays) == codes[:, start:stop]).all()


@pytest.mark.parametrize("delays", [(0, 1, 2, 3), (0, 0, 1, 1, 2, 2, 3, 3), (0, 2, 2, 5)])
@pytest.mark.parametrize("known", [0, 1, 7, 20])
def test_it_is_audiocrafts_pattern_without_its_first_empty_step(delays, known):
    torch = pytest.importorskip("torch")
    # Found and not imported: it cannot be without the stand-ins.
    if not find_spec("audiocraft"):
        pytest.skip("audiocraft is not installed")
    with stand_ins(STAND_INS), warnings.catch_warnings(action="ignore"):
        from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
    frames = 20
    codes = np.random.default_rng(1).integers(0, CARD, (len(delays), frames))
    given_codes = np.where(np.arange(frames) < known, codes, -1)

    pattern = DelayedPatternProvider(len(delays), list(delays)).get_pattern(frames)
    theirs, _, _ = pattern.build_pattern_sequence(torch.from_numpy(given_codes)[None], CARD)

    # Steps after the last frame of the slowest codebook do not exist in either.
    expected = theirs[0].numpy().T[1:]
    assert (interleave(codes[:, :known], frames, delays, CARD) == expected).all()
