"""One take on its way: every frame is taken in once, whenever it comes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dgx_music.engines.musicgen.batcher import Batcher, Decoding
from dgx_music.engines.musicgen.conditioning.window import plan
from dgx_music.engines.musicgen.decoder.base import Condition, Sampling
from dgx_music.engines.musicgen.take_run import TakeRun
from support.scripted_decoder import DELAYS, ScriptedDecoder, expected, take

RATE_HZ = 50


class Plain:
    """A codec for which a frame is a sample: its first codebook's token."""

    lag_frames = 0

    def push(self, codes):
        return codes[:1].astype(np.float32)

    def finish(self):
        return np.zeros((1, 0), np.float32)


@pytest.fixture
def decoder():
    return ScriptedDecoder()


@pytest.fixture
def begin(decoder):
    batcher = Batcher(decoder, max_takes=4, memory_bytes=10**9)

    def begin(frames, *, window=1000, prompt=None):
        known = np.zeros((len(DELAYS), 0), np.int64) if prompt is None else prompt
        return TakeRun(
            batcher,
            "a job",
            seed=1,
            sampling=Sampling(),
            windows=plan(frames, window=window, stride=window * 3 // 5, prompt=known.shape[1]),
            prompt=known,
            conditioned=lambda _window: ((Condition(),) * 2, (0.5, 0.5)),
            decoder=Plain(),
            frame_rate_hz=RATE_HZ,
        )

    yield begin
    decoder.gate.set()
    batcher.close()


def to_its_end(run):
    heard = []
    for _ in range(10_000):
        audio = run.advance()
        if audio is not None:
            heard.append(audio)
        if run.finished:
            return np.concatenate(heard, axis=1)
        run.wait(1.0)
    raise AssertionError(f"{run.fraction:.0%} after ten thousand turns")


@pytest.mark.parametrize("frames", [1, 20, 137])
def test_the_audio_is_that_of_all_frames_in_order(begin, frames):
    run = begin(frames)
    heard = to_its_end(run)
    np.testing.assert_array_equal(heard, run.codes[:1])
    np.testing.assert_array_equal(run.audio(), heard)
    np.testing.assert_array_equal(run.audio(), heard)


def test_each_window_begins_with_the_last_frames_of_the_one_before(begin, decoder):
    run = begin(43, window=20)
    to_its_end(run)
    assert [given.prompt.shape[1] for given in decoder.admitted] == [0, 8, 8]
    for start, given in zip((12, 24), decoder.admitted[1:], strict=True):
        np.testing.assert_array_equal(given.prompt, run.codes[:, start : start + 8])


@pytest.mark.parametrize("window", [30, 1000])
def test_the_last_frames_may_come_while_those_before_are_taken_in(begin, decoder, monkeypatch, window):
    """As they do when the thread that takes them in has to wait for its turn."""
    ready, frames_of = threading.Event(), Decoding.frames

    def slow(self, start, stop):
        taken = frames_of(self, start, stop)
        decoder.gate.set()
        while not self.finished:
            self.wait(self.take.frames, 1.0)
        ready.set()
        return taken

    step, steps = decoder.step, []

    def pausing():
        if len(steps) == len(DELAYS) + 2 and not ready.is_set():
            decoder.gate.clear()
        steps.append(1)
        return step()

    decoder.step = pausing
    monkeypatch.setattr(Decoding, "frames", slow)
    run = begin(30 if window == 1000 else 48, window=window)
    heard = to_its_end(run)
    assert ready.is_set()
    np.testing.assert_array_equal(heard, run.codes[:1])
    first = decoder.admitted[0]
    np.testing.assert_array_equal(run.codes[:, : first.frames], expected(first))
    for given in decoder.admitted[1:]:
        np.testing.assert_array_equal(
            given.prompt, run.codes[:, first.frames - given.prompt.shape[1] : first.frames]
        )


def test_each_window_draws_from_numbers_of_its_own(begin, decoder):
    to_its_end(begin(43, window=20))
    first, second, _ = decoder.admitted
    assert not np.array_equal(first.uniforms, second.uniforms)
    assert first.uniforms.shape == take(1, 20).uniforms.shape
