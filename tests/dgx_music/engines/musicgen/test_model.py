"""A loaded model and the jobs that share it."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from dgx_music.engines.musicgen.following import Followed
from dgx_music.engines.musicgen.model import Model
from dgx_music.request import GenerationRequest


class Ears:
    """Listens until it is let go."""

    def __init__(self):
        self.listens, self.go = threading.Event(), threading.Event()

    def follow(self, excerpt, _roots, *, long):
        if excerpt is not None:
            self.listens.set()
            assert self.go.wait(20)
        return Followed(lambda _window: None, ())


@pytest.fixture
def ears():
    made = Ears()
    yield made
    made.go.set()


def test_a_job_that_has_words_only_does_not_wait_for_one_whose_melody_is_listened_to(ears):
    model = Model(
        None,
        SimpleNamespace(lm=None),
        None,
        batcher=None,
        codec=None,
        text=SimpleNamespace(encode=len),
        follower=ears,
    )
    threads = [
        threading.Thread(
            target=model.conditioning,
            args=("words", GenerationRequest.from_fields({"prompt": "words", **fields}), ()),
            kwargs={"long": False},
            daemon=True,
        )
        for fields in ({"melody": {"path": "/tune.wav"}}, {})
    ]
    threads[0].start()
    assert ears.listens.wait(20)
    threads[1].start()
    threads[1].join(20)
    assert not threads[1].is_alive()
    assert threads[0].is_alive()
    ears.go.set()
    threads[0].join(20)
    assert not threads[0].is_alive()
