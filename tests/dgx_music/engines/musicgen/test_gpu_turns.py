"""While a CUDA graph is captured, nobody else gives work to a GPU."""

import threading
import time

import pytest

from dgx_music.engines.musicgen import gpu_turns
from dgx_music.engines.musicgen.gpu_turns import capturing, working

PATIENCE_S = 20


@pytest.fixture
def threads():
    """Start threads that must all be through in the end, and without an error."""
    started, errors = [], []

    def start(run):
        def guarded():
            try:
                run()
            except BaseException as err:  # noqa: BLE001 - told to the test
                errors.append(err)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        started.append(thread)
        return thread

    yield start
    for thread in started:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in started)
    assert errors == []
    assert (gpu_turns._at_work, gpu_turns._captures) == (0, 0)


def test_work_waits_for_a_capture_and_a_capture_for_work(threads):
    seen = []
    with working("cuda:0"):

        def capture():
            with capturing():
                seen.append("capture")

        threads(capture)
        while not gpu_turns._captures:
            time.sleep(0.001)

        def work():
            with working("cuda:0"):
                seen.append("work")

        later = threads(work)
        time.sleep(0.05)
        assert seen == []
    later.join(PATIENCE_S)
    assert seen == ["capture", "work"]


def test_many_work_at_once(threads):
    meeting = threading.Barrier(4, timeout=PATIENCE_S)

    def work():
        with working("cuda:0"), working("cuda:1"):
            meeting.wait()

    for _ in range(4):
        threads(work)


def test_a_processor_waits_for_nobody(threads):
    with capturing():

        def work():
            with working("cpu"):
                pass

        threads(work).join(PATIENCE_S)


def test_two_that_work_and_want_to_capture_do_so_one_after_the_other(threads):
    meeting, inside, most = threading.Barrier(3, timeout=PATIENCE_S), [], []

    def run():
        with working("cuda:0"):
            meeting.wait()
            for _ in range(20):
                with capturing():
                    inside.append(1)
                    with working("cuda:0"):  # as the captured step may have it
                        most.append(len(inside))
                    inside.pop()

    for thread in [threads(run) for _ in range(3)]:
        thread.join(PATIENCE_S)
    assert set(most) == {1}
    assert len(most) == 60


def test_an_error_ends_a_turn_too(threads):
    with pytest.raises(ZeroDivisionError), working("cuda:0"), capturing():
        raise ZeroDivisionError

    def work():
        with working("cuda:0"), capturing():
            pass

    threads(work).join(PATIENCE_S)
