from __future__ import annotations

from dgx_music.blame import Blame
from dgx_music.errors import WorkerDiedError
from dgx_music.host.process import DiedInCompanyError, EndedForAnotherError

ALONE, IN_COMPANY, FOR_ANOTHER = WorkerDiedError("x"), DiedInCompanyError("x"), EndedForAnotherError("x")


def test_a_death_alone_is_a_jobs_own_and_one_in_company_is_nobodys():
    blame = Blame()
    assert [blame.died("a", IN_COMPANY) for _ in range(5)] == [0] * 5
    assert [blame.died("a", ALONE), blame.died("a", IN_COMPANY), blame.died("a", ALONE)] == [1, 1, 2]
    assert blame.died("b", ALONE) == 1


def test_whoever_died_is_kept_apart_until_it_has_ended():
    blame = Blame()
    assert not blame.one_at_a_time
    blame.died("a", IN_COMPANY)
    blame.died("b", IN_COMPANY)
    blame.ended("a")
    assert blame.one_at_a_time
    blame.died("b", ALONE)
    assert blame.one_at_a_time
    blame.ended("b")
    assert not blame.one_at_a_time


def test_a_worker_that_was_ended_for_another_jobs_sake_raises_no_suspicion():
    blame = Blame()
    assert blame.died("a", FOR_ANOTHER) == 0
    assert not blame.one_at_a_time
    blame.died("a", ALONE)
    assert blame.died("a", FOR_ANOTHER) == 1


def test_a_jobs_strikes_are_forgotten_with_its_end():
    blame = Blame()
    blame.died("a", ALONE)
    blame.ended("a")
    assert blame.died("a", ALONE) == 1


def test_an_empty_queue_clears_everybody():
    blame = Blame()
    blame.died("gone", ALONE)
    blame.nothing_waits()
    assert not blame.one_at_a_time
    assert blame.died("gone", ALONE) == 1
