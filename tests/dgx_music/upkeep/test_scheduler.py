from __future__ import annotations

import asyncio

from dgx_music.upkeep.scheduler import Upkeep


def test_a_chore_runs_again_and_again_until_stopped():
    async def main():
        runs = asyncio.Queue()

        async def chore():
            runs.put_nowait("done")

        upkeep = Upkeep()
        upkeep.every(0.01, "chore", chore)
        upkeep.start()
        for _ in range(3):
            await asyncio.wait_for(runs.get(), 10)
        upkeep.stop()

    asyncio.run(main())


def test_a_chore_that_is_late_is_never_run_twice_at_a_time():
    async def main():
        at_once, most, enough = 0, 0, asyncio.Event()
        runs = 0

        async def slow():
            nonlocal at_once, most, runs
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.05)
            at_once -= 1
            runs += 1
            if runs == 3:
                enough.set()

        upkeep = Upkeep()
        upkeep.every(0.01, "slow", slow)
        upkeep.start()
        await asyncio.wait_for(enough.wait(), 20)
        upkeep.stop()
        return most

    assert asyncio.run(main()) == 1


def test_stopping_what_never_started_does_nothing():
    Upkeep().stop()
