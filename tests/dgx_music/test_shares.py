from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.shares import Shares


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_alone_a_jobs_share_is_its_time():
    clock = Clock()
    shares = Shares(clock)
    clock.now_s += 50  # nothing runs
    shares.begin("a", "e")
    clock.now_s += 3
    assert shares.end("a") == 3


def test_time_in_company_is_divided_within_the_engine_and_not_across_engines():
    clock = Clock()
    shares = Shares(clock)
    shares.begin("a", "e")
    clock.now_s += 1
    shares.begin("b", "e")
    shares.begin("alone", "other")
    clock.now_s += 4
    assert shares.end("b") == 2
    assert shares.end("alone") == 4
    clock.now_s += 1
    assert shares.end("a") == 1 + 2 + 1


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=40),
)
def test_the_shares_of_all_jobs_add_up_to_the_time_in_which_the_engine_worked(steps):
    """Each step lets time pass, then begins or ends one of six jobs."""
    clock = Clock()
    shares = Shares(clock)
    running, busy_s, shared_s = set(), 0.0, 0.0
    for job, pause_s in [*steps, *((job, 1.0) for job in range(6))]:
        clock.now_s += pause_s
        busy_s += pause_s if running else 0.0
        if job in running:
            running.remove(job)
            shared_s += shares.end(str(job))
        else:
            running.add(job)
            shares.begin(str(job), "e")
    for job in running:
        shared_s += shares.end(str(job))
    assert shared_s == pytest.approx(busy_s)
