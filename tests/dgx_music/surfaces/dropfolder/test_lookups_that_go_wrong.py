"""The database may be locked, and jobs may end, in the very moment in which a file's jobs are looked up."""

from __future__ import annotations

import asyncio

from dgx_music.errors import StoreError
from dgx_music.jobs import Source
from support.drop_scene import drop_scene
from support.memory_door import MemoryDoor


class LockedOnceDoor(MemoryDoor):
    """Its first look at a submitted file's jobs fails, as with 'database is locked'."""

    looks = 0

    async def jobs_of(self, source):
        self.looks += 1
        if self.looks == 1:
            raise StoreError("database is locked")
        return await super().jobs_of(source)


class EndsWhileLookingDoor(MemoryDoor):
    """A job of somebody else's ends while another one is being looked up."""

    async def job(self, job_id):
        found = await super().job(job_id)
        if not found.state.final and found.request.request_id == "second":
            self.complete(next(iter(self.jobs)))
        return found


def test_a_look_that_fails_does_not_send_a_waiting_prompt_to_failed(tmp_path):
    async def main():
        async with drop_scene(tmp_path, LockedOnceDoor()) as scene:
            (scene.inbox / "p.txt").write_text("a waltz")
            await scene.jobs(1)
            await scene.until(lambda: scene.door.looks >= 2)
            assert list(scene.failed.iterdir()) == []
            await scene.finish()
            return scene.tree()

    assert asyncio.run(main()) == ["done/p.txt", "done/p.txt.receipt.json"]


def test_a_job_that_ends_during_the_look_is_not_waited_for_forever(tmp_path):
    async def main():
        door = EndsWhileLookingDoor()
        for request_id in ("first", "second"):
            await door.submit({"prompt": "a waltz", "request_id": request_id}, Source("osc", "127.0.0.1:9"))
        async with drop_scene(tmp_path, door) as scene:
            rows = '[{"prompt": "a", "request_id": "first"}, {"prompt": "b", "request_id": "second"}]'
            (scene.inbox / "both.json").write_text(rows)
            await scene.until(lambda: door.jobs["gen_000000000000"].state.final)
            await scene.finish(2)
            return scene.tree()

    assert asyncio.run(main()) == ["done/both.json", "done/both.json.receipt.json"]
