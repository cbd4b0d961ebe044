"""The warm set: within its budget, least recently used first, nobody's model taken away under them."""

from __future__ import annotations

import threading

import pytest

from dgx_music.engines.musicgen.warm import WarmSet
from dgx_music.errors import EngineError


class FakeModel:
    def __init__(self, name):
        self.name = name
        self.broken = False
        self.closed = 0

    def close(self):
        self.closed += 1


class GaveUpError(Exception):
    pass


@pytest.fixture
def shelf():
    """A budget of 10, a hand-set clock, and a record of every model loaded."""

    class Shelf:
        now_s = 0.0
        loaded: list[FakeModel]

        def __init__(self):
            self.loaded = []
            self.warm = WarmSet(10, clock=lambda: self.now_s)

        def use(self, name, size=4, still_wanted=lambda: None):
            return self.warm.use(name, lambda: (size, lambda: self._load(name)), still_wanted)

        def _load(self, name):
            self.loaded.append(FakeModel(name))
            return self.loaded[-1]

    return Shelf()


def touch(shelf, name, size=4):
    shelf.now_s += 1
    with shelf.use(name, size) as model:
        return model


def test_a_warm_model_is_not_loaded_again(shelf):
    assert touch(shelf, "small") is touch(shelf, "small")
    assert len(shelf.loaded) == 1


def test_the_least_recently_used_model_makes_room(shelf):
    small, melody = touch(shelf, "small"), touch(shelf, "melody")
    touch(shelf, "small")
    touch(shelf, "stereo")
    assert shelf.warm.names == ("small", "stereo")
    assert (small.closed, melody.closed) == (0, 1)


def test_no_more_is_unloaded_than_must_be(shelf):
    touch(shelf, "a", 3)
    touch(shelf, "b", 3)
    touch(shelf, "c", 3)
    touch(shelf, "d", 4)
    assert shelf.warm.names == ("b", "c", "d")


def test_a_model_in_use_is_waited_for_and_never_taken_away(shelf):
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with shelf.use("small", 6):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    asked = []

    def still_wanted():
        asked.append(shelf.loaded[0].closed)
        leave.set()

    with shelf.use("large", 6, still_wanted) as model:
        assert model.name == "large"
    holder.join(10)
    assert asked
    assert set(asked) == {0}
    assert shelf.loaded[0].closed == 1


def test_who_waits_for_room_can_give_up(shelf):
    def give_up():
        raise GaveUpError

    with shelf.use("small", 6):
        with pytest.raises(GaveUpError), shelf.use("large", 6, give_up):
            pass
        assert shelf.warm.names == ("small",)
    with shelf.use("large", 6):
        assert shelf.warm.names == ("large",)


def test_a_model_larger_than_the_budget_is_refused_with_both_figures(shelf):
    touch(shelf, "small")
    with (
        pytest.raises(EngineError, match=r"large needs 11\.0 GB and may use"),
        WarmSet(10**9).use("large", lambda: (11 * 10**9, lambda: FakeModel("large")), lambda: None),
    ):
        pass
    with pytest.raises(EngineError, match=r"musicgen\.memory_mb"), shelf.use("large", 11):
        pass
    assert shelf.warm.names == ("small",)


def test_a_broken_model_is_closed_and_loaded_anew(shelf):
    broken = touch(shelf, "small")
    broken.broken = True
    again = touch(shelf, "small")
    assert again is not broken
    assert (broken.closed, again.closed) == (1, 0)


def test_a_load_that_fails_leaves_no_trace(shelf):
    def fail():
        raise EngineError("no weights")

    with (
        pytest.raises(EngineError, match="no weights"),
        shelf.warm.use("small", lambda: (4, fail), lambda: None),
    ):
        pass
    assert shelf.warm.names == ()
    assert touch(shelf, "small").name == "small"


def test_idle_models_rest_and_busy_ones_stay(shelf):
    small = touch(shelf, "small")
    with shelf.use("melody"):
        shelf.now_s += 600
        assert shelf.warm.rest(600) == ("small",)
        assert small.closed == 1
        assert shelf.warm.names == ("melody",)
    assert shelf.warm.rest(600) == ()


def test_the_last_user_of_a_broken_model_gives_its_memory_back(shelf):
    with shelf.use("small") as broken:
        with shelf.use("small"):
            broken.broken = True
        assert broken.closed == 0
    assert broken.closed == 1
    assert shelf.warm.names == ()


def test_who_waits_while_another_model_is_loaded_can_give_up(shelf):
    entered, leave = threading.Event(), threading.Event()

    def load():
        entered.set()
        leave.wait(10)
        return FakeModel("large")

    def hold():
        with shelf.warm.use("large", lambda: (4, load), lambda: None):
            pass

    def give_up():
        raise GaveUpError

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    try:
        with pytest.raises(GaveUpError), shelf.use("small", 4, give_up):
            pass
        assert not leave.is_set()
    finally:
        leave.set()
        holder.join(10)
    assert shelf.warm.names == ("large",)


def test_who_waits_for_room_is_not_overtaken_by_those_who_come_later(shelf):
    """Each of a row of jobs takes over the model in use from the one before; another model's job waits for its end."""
    order = []
    waits = threading.Event()

    def want(name):
        with shelf.use(name, 6, waits.set):
            order.append(name)

    with shelf.use("small", 6):
        first = threading.Thread(target=want, args=("large",))
        first.start()
        assert waits.wait(10)
        second = threading.Thread(target=want, args=("small",))
        second.start()
        second.join(0.3)
        assert order == []
    first.join(10)
    second.join(10)
    assert order == ["large", "small"]
