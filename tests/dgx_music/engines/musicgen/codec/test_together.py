from __future__ import annotations

import threading

import numpy as np

from dgx_music.engines.musicgen.codec.seanet import decoder
from dgx_music.engines.musicgen.codec.together import Together
from support.codecs import TINY


class Gate:
    """A network that keeps its first pass waiting and writes down the size of each; LSTM output is input + state."""

    def __init__(self):
        self.seanet = decoder(TINY)
        self.channels_out = 1
        self.entered, self.open = threading.Event(), threading.Event()
        self.batches = []

    def remember(self, inputs, state, keep):
        self.entered.set()
        assert self.open.wait(60)
        self.batches.append(len(inputs))
        if np.isnan(inputs).any():
            raise ValueError("not a number")
        return inputs + state[0, 0][..., None], state + 1


class Arrivals(list):
    """A queue that says when so many have come."""

    def __init__(self, expected):
        super().__init__()
        self.expected, self.all_there = expected, threading.Event()

    def append(self, item):
        super().append(item)
        self.expected -= 1
        if not self.expected:
            self.all_there.set()


def run(inputs, keeps):
    """Pass the first; pass the others while it works, and let them wait; return batches and results or errors."""
    gate = Gate()
    together = Together(gate)
    results = [None] * len(inputs)

    def one(index):
        state = np.full((2, 1, 1, 3), 10.0 * index, np.float32)
        try:
            results[index] = together.remember(inputs[index], state, keeps[index])
        except ValueError as err:
            results[index] = err

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(inputs))]
    threads[0].start()
    assert gate.entered.wait(60)
    together._waiting = arrivals = Arrivals(len(inputs) - 1)
    for thread in threads[1:]:
        thread.start()
    assert arrivals.all_there.wait(60)
    gate.open.set()
    for thread in threads:
        thread.join()
    return gate.batches, results


def pieces(lengths):
    return [np.full((1, 3, length), float(index), np.float32) for index, length in enumerate(lengths)]


def test_passes_that_wait_with_equal_pieces_are_done_in_one_and_given_back_to_each():
    batches, results = run(pieces([4, 4, 4, 4]), [(0, 4)] * 4)

    assert batches == [1, 3]
    for index, (frames, state) in enumerate(results):
        assert frames.shape == (1, 3, 4)
        assert np.unique(frames) == [11.0 * index]
        assert np.unique(state) == [10.0 * index + 1]


def test_pieces_of_other_lengths_and_cuts_wait_for_their_own_turn():
    batches, results = run(pieces([4, 4, 5, 4, 4]), [(0, 4), (0, 4), (0, 4), (1, 4), (0, 4)])

    assert sorted(batches) == [1, 1, 1, 2]
    assert [frames.shape[2] for frames, _ in results] == [4, 4, 5, 4, 4]


def test_an_error_reaches_all_that_it_concerns_and_no_other():
    inputs = pieces([4, 4, 4, 6])
    inputs[1][:] = np.nan
    _, results = run(inputs, [(0, 4)] * 4)

    assert isinstance(results[1], ValueError)
    assert isinstance(results[2], ValueError)
    assert np.unique(results[3][0]) == [33.0]
    assert np.unique(results[0][0]) == [0.0]
