"""Who is decoded when: takes join and leave at any step, each its own, in fair order, within the memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgx_music.engines.musicgen.batcher import Batcher
from dgx_music.errors import EngineError
from support.scripted_decoder import ScriptedDecoder, expected, take


@pytest.fixture
def decoder():
    return ScriptedDecoder()


@pytest.fixture
def start(decoder):
    started = []

    def _start(max_takes=8, memory_bytes=10**9):
        started.append(Batcher(decoder, max_takes=max_takes, memory_bytes=memory_bytes))
        return started[-1]

    yield _start
    decoder.gate.set()
    for batcher in started:
        batcher.close()


def all_frames(decoding):
    while not decoding.wait(decoding.take.frames, 10):
        pass
    return decoding.frames(0, decoding.take.frames)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 12)), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_every_take_gets_its_own_tokens_whoever_else_is_there(shapes, max_takes):
    batcher = Batcher(ScriptedDecoder(), max_takes=max_takes, memory_bytes=10**9)
    takes = [
        take(seed, frames, prompt_frames=min(prompt, frames - 1))
        for seed, (frames, prompt) in enumerate(shapes)
    ]
    decodings = [batcher.submit(each, owner=number % 3) for number, each in enumerate(takes)]
    for each, decoding in zip(takes, decodings, strict=True):
        np.testing.assert_array_equal(all_frames(decoding), expected(each))
        assert decoding.finished
    batcher.close()


def test_frames_count_as_done_only_when_all_their_codebooks_are(decoder, start):
    decoder.gate.clear()
    decoding = start().submit(take(1, 20, prompt_frames=5), "a")
    assert decoding.frames_done == 5
    decoder.gate.set()
    whole = all_frames(decoding)
    assert decoding.frames_done == 20
    np.testing.assert_array_equal(whole[:, :5], decoding.take.prompt)


def test_a_cancelled_take_leaves_before_the_next_step(decoder, start):
    batcher = start()
    decoder.gate.clear()
    leaver, stayer = batcher.submit(take(1, 1000), "a"), batcher.submit(take(2, 50), "b")
    decoder.gate.set()
    leaver.wait(1, 10)
    decoder.gate.clear()
    leaver.cancel()
    before = len(decoder.batches)
    decoder.gate.set()
    all_frames(stayer)
    # One step may have been under way when the take was cancelled.
    assert all(0 not in batch for batch in decoder.batches[before + 1 :])
    assert not leaver.finished


def test_a_cancelled_take_that_waits_never_enters(decoder, start):
    batcher = start(max_takes=1)
    decoder.gate.clear()
    first, second = batcher.submit(take(1, 10), "a"), batcher.submit(take(2, 10), "a")
    second.cancel()
    decoder.gate.set()
    all_frames(first)
    assert batcher.takes == 0
    assert len(decoder.admitted) == 1


def test_an_owner_with_many_takes_does_not_keep_another_from_the_batch(decoder, start):
    batcher = start(max_takes=2)
    decoder.gate.clear()
    many = [batcher.submit(take(number, 20), "many") for number in range(6)]
    one = batcher.submit(take(99, 20), "one")
    decoder.gate.set()
    for decoding in [*many, one]:
        all_frames(decoding)
    # Two of `many` may have been there before `one` came; the next free place is its.
    assert next(place for place, each in enumerate(decoder.admitted) if each is one.take) <= 2


def test_small_takes_do_not_overtake_a_large_one_for_ever(decoder, start):
    batcher = start(memory_bytes=2 * 2 * 110)
    decoder.gate.clear()
    running = batcher.submit(take(0, 40), "a")
    large = batcher.submit(take(1, 200, rows=2), "b")
    small = [batcher.submit(take(2 + number, 40), "c") for number in range(4)]
    decoder.gate.set()
    for decoding in [running, large, *small]:
        all_frames(decoding)
    order = [next(i for i, each in enumerate(decoder.admitted) if each is d.take) for d in (large, *small)]
    assert order[0] == min(order)


def test_the_batch_never_needs_more_than_its_memory(decoder, start):
    needed = []
    decoder.bytes_needed = lambda rows, positions: needed.append((rows, positions)) or rows * positions
    batcher = start(memory_bytes=500)
    decodings = [batcher.submit(take(number, 20 + 10 * number), number) for number in range(6)]
    for decoding in decodings:
        all_frames(decoding)
    largest = max(len(batch) for batch in decoder.batches)
    assert 1 < largest < 6
    assert all(
        sum(len(decoder.admitted[handle].conditions) for handle in batch)
        * max(decoder.admitted[handle].frames + 3 for handle in batch)
        <= 500
        for batch in decoder.batches
    )


def test_a_take_that_can_never_fit_is_refused_and_the_others_go_on(start):
    batcher = start(memory_bytes=500)
    huge, fine = batcher.submit(take(1, 5000), "a"), batcher.submit(take(2, 20), "b")
    with pytest.raises(EngineError, match=r"2 rows of 5003 positions .* raise musicgen\.memory_mb"):
        all_frames(huge)
    np.testing.assert_array_equal(all_frames(fine), expected(fine.take))


def test_a_decoder_that_fails_tells_everybody_and_those_who_come_later(decoder, start):
    batcher = start(max_takes=1)
    decoder.gate.clear()
    decodings = [batcher.submit(take(number, 20), number) for number in range(2)]
    decoder.fail = MemoryError("out of memory")
    decoder.gate.set()
    for decoding in decodings:
        with pytest.raises(MemoryError):
            all_frames(decoding)
    assert batcher.failed
    with pytest.raises(EngineError, match="the decoder has stopped: out of memory"):
        batcher.submit(take(3, 20), "late")
    assert decoder.closed


def test_closing_ends_what_still_waits(decoder, start):
    batcher = start(max_takes=1)
    decoder.gate.clear()
    decodings = [batcher.submit(take(number, 500), number) for number in range(2)]
    decoder.gate.set()
    batcher.close()
    for decoding in decodings:
        with pytest.raises(EngineError, match="unloaded"):
            all_frames(decoding)
    assert decoder.closed
