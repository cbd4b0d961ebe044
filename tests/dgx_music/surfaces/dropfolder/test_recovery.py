"""Nothing is lost and nothing is done twice, whatever is interrupted, deleted or refuses to work."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dgx_music.errors import EngineUnavailableError, StoreError
from dgx_music.jobs import Source
from dgx_music.surfaces.dropfolder.claim import Folders
from support.drop_scene import DropScene, drop_scene
from support.memory_door import MemoryDoor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dgx_music.jobs import Accepted


def run(home: Path, scenario: Any, **settings: Any) -> None:
    async def main() -> None:
        async with drop_scene(home, **settings) as scene:
            await scenario(scene)

    asyncio.run(main())


@asynccontextmanager
async def two_runs(home: Path, door: MemoryDoor, first: Any) -> AsyncIterator[DropScene]:
    """A first run that ends in the middle of something, and a second one."""
    async with drop_scene(home, door) as scene:
        await first(scene)
    async with drop_scene(home, door) as scene:
        yield scene


def test_jobs_that_run_while_the_daemon_restarts_are_waited_for_and_not_started_again(tmp_path: Path) -> None:
    async def first(scene: DropScene) -> None:
        (scene.inbox / "set.csv").write_text("prompt\none\ntwo\n")
        await scene.jobs(2)

    async def main() -> None:
        door = MemoryDoor()
        async with two_runs(tmp_path, door, first) as scene:
            assert len(list(scene.processing.iterdir())) == 1
            await scene.finish(2)
            assert [job["prompt"] for job in scene.receipt("set.csv")["jobs"]] == ["one", "two"]
            assert door.batch_calls == [2]

    asyncio.run(main())


def test_jobs_that_ended_while_the_daemon_was_away_get_their_receipt(tmp_path: Path) -> None:
    async def first(scene: DropScene) -> None:
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)

    async def main() -> None:
        door = MemoryDoor()
        async with drop_scene(tmp_path, door) as scene:
            await first(scene)
        door.complete(next(iter(door.jobs)))
        async with drop_scene(tmp_path, door) as scene:
            await scene.idle()
            assert scene.tree() == ["done/beat.txt", "done/beat.txt.receipt.json"]

    asyncio.run(main())


def test_a_claim_that_was_never_submitted_is_submitted_once(tmp_path: Path) -> None:
    claim = tmp_path / "inbox" / "processing" / "20261122T120000.000000Z-0123abcd"
    claim.mkdir(parents=True)
    (claim / "beat.txt").write_text("drums")

    async def scenario(scene: DropScene) -> None:
        await scene.finish()
        (job,) = scene.door.jobs.values()
        assert job.source == Source("drop", claim.name)
        assert job.request.request_id == f"drop:{claim.name}:1"

    run(tmp_path, scenario)


def test_an_empty_claim_and_strange_things_in_processing_are_no_obstacle(tmp_path: Path) -> None:
    processing = tmp_path / "inbox" / "processing"
    (processing / "20261122T120000.000000Z-0123abcd").mkdir(parents=True)
    (processing / "a file.txt").write_text("somebody's")
    (processing / "link").symlink_to(tmp_path)

    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "beat.txt").write_text("drums")
        (job_id,) = await scene.jobs(1)
        scene.door.complete(job_id)
        await scene.until((scene.done / "beat.txt").exists)
        await scene.until(lambda: {path.name for path in processing.iterdir()} == {"a file.txt", "link"})

    run(tmp_path, scenario)


def test_settings_that_changed_since_do_not_undo_what_was_accepted(tmp_path: Path) -> None:
    class Stricter(MemoryDoor):
        strict = False

        async def submit(self, fields: Any, source: Source) -> Accepted:
            if self.strict:
                raise EngineUnavailableError("no such engine any more")
            return await super().submit(fields, source)

    async def first(scene: DropScene) -> None:
        (scene.inbox / "set.txt").write_text("drums")
        await scene.jobs(1)
        (claim,) = scene.processing.iterdir()
        (claim / "set.txt").rename(claim / "set.unknown")
        door.strict = True

    door = Stricter()

    async def main() -> None:
        async with two_runs(tmp_path, door, first) as scene:
            await scene.finish()
            assert scene.tree() == ["done/set.unknown", "done/set.unknown.receipt.json"]

    asyncio.run(main())


def test_an_engine_that_is_not_there_is_a_refusal(tmp_path: Path) -> None:
    class NoEngine(MemoryDoor):
        async def submit(self, fields: Any, source: Source) -> Accepted:
            raise EngineUnavailableError("musicgen is not installed; run install.sh --musicgen")

    async def main() -> None:
        async with drop_scene(tmp_path, NoEngine()) as scene:
            (scene.inbox / "beat.txt").write_text("drums")
            assert "install.sh --musicgen" in await scene.refused("beat.txt")

    asyncio.run(main())


def test_a_store_that_fails_loses_nothing(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        scene.door.broken = True
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.until(lambda: scene.folder.counters.retried)
        assert not any(scene.failed.iterdir())
        scene.door.broken = False
        await scene.finish()
        assert scene.tree() == ["done/beat.txt", "done/beat.txt.receipt.json"]

    run(tmp_path, scenario)


def test_a_store_that_fails_at_the_end_loses_nothing(tmp_path: Path) -> None:
    class Forgetful(MemoryDoor):
        async def jobs_of(self, source: Source) -> Any:
            if self.broken:
                raise StoreError("the database is locked")
            return await super().jobs_of(source)

    async def main() -> None:
        async with drop_scene(tmp_path, Forgetful()) as scene:
            (scene.inbox / "beat.txt").write_text("drums")
            (job_id,) = await scene.jobs(1)
            scene.door.broken = True
            scene.door.complete(job_id)
            await scene.until(lambda: scene.folder.counters.retried)
            scene.door.broken = False
            await scene.idle()
            assert scene.tree() == ["done/beat.txt", "done/beat.txt.receipt.json"]

    asyncio.run(main())


def test_a_file_that_takes_the_place_of_done_is_refused_as_any_other(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        scene.done.rmdir()
        scene.done.write_text("a file is in the way")
        await scene.until((scene.failed / "done.error.txt").exists)
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)
        scene.door.complete(next(iter(scene.door.jobs)))
        await scene.until((scene.done / "beat.txt.receipt.json").exists)

    run(tmp_path, scenario)


def test_a_job_that_fails_or_is_cancelled_sends_the_file_to_failed_with_receipt_and_reason(
    tmp_path: Path,
) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "set.csv").write_text("prompt\none\ntwo\nthree\n")
        one, two, three = await scene.jobs(3)
        scene.door.complete(one)
        scene.door.fail(two)
        await scene.door.cancel(three)
        await scene.idle()
        assert scene.tree() == [f"failed/set.csv{end}" for end in ("", ".error.txt", ".receipt.json")]
        said = (scene.failed / "set.csv.error.txt").read_text()
        assert "2 of 3 jobs" in said
        assert f"job 2 ({two}) failed: the model ran out of memory" in said
        assert f"job 3 ({three}) was cancelled" in said
        jobs = scene.receipt("set.csv", scene.failed)["jobs"]
        assert [job["state"] for job in jobs] == ["completed", "failed", "cancelled"]
        assert jobs[1]["error"] == {"code": "engine", "message": "the model ran out of memory"}
        assert len(jobs[0]["takes"]) == 1

    run(tmp_path, scenario)


def test_a_job_that_ends_before_its_submission_returns_is_noticed(tmp_path: Path) -> None:
    class Instant(MemoryDoor):
        async def submit(self, fields: Any, source: Source) -> Accepted:
            accepted = await super().submit(fields, source)
            self.complete(accepted.job_id)
            return accepted

    async def main() -> None:
        async with drop_scene(tmp_path, Instant()) as scene:
            (scene.inbox / "beat.txt").write_text("drums")
            await scene.until((scene.done / "beat.txt").exists)

    asyncio.run(main())


def test_a_request_id_that_another_source_used_first_gives_that_job(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        first = await scene.door.submit(
            {"prompt": "drums", "request_id": "mine"}, Source("osc", "127.0.0.1:9")
        )
        (scene.inbox / "again.json").write_text('{"prompt": "drums", "request_id": "mine"}')
        (scene.inbox / "both.json").write_text(
            '[{"prompt": "drums", "request_id": "mine"}, {"prompt": "bass"}]'
        )
        _, bass = await scene.jobs(2)
        scene.door.complete(bass)
        scene.door.complete(first.job_id)
        await scene.idle()
        assert scene.receipt("again.json")["jobs"][0]["job_id"] == first.job_id
        assert [job["job_id"] for job in scene.receipt("both.json")["jobs"]] == [first.job_id, bass]

    run(tmp_path, scenario)


def test_a_folder_that_is_deleted_is_made_again_and_watched(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        for number in range(1, 4):
            shutil.rmtree(scene.inbox)
            await scene.until(scene.failed.exists)
            await scene.until(lambda n=number: scene.folder.counters.rearmed == n)
            (scene.inbox / "beat.txt").write_text("drums")
            await scene.finish(number)
            assert scene.tree() == ["done/beat.txt", "done/beat.txt.receipt.json"]

    run(tmp_path, scenario)


def test_a_folder_that_is_renamed_away_is_made_again(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        scene.inbox.rename(tmp_path / "elsewhere")
        await scene.until(scene.failed.exists)
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.finish()
        (tmp_path / "elsewhere" / "stray.txt").write_text("not here")
        (scene.inbox / "next.txt").write_text("bass")
        await scene.finish(2)
        assert scene.prompts == ["drums", "bass"]

    run(tmp_path, scenario, rescan_interval_s=0.1)


def test_a_folder_that_is_replaced_by_another_is_watched_in_its_place(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "waiting.txt").write_text("drums")
        scene.inbox.rename(tmp_path / "old")
        (tmp_path / "new").rename(scene.inbox)
        await scene.until(lambda: scene.folder.counters.rearmed)
        await scene.finish()
        assert scene.prompts == ["drums"]

    run(tmp_path, scenario, rescan_interval_s=0.1)


def test_a_folder_deleted_while_its_job_runs_still_gets_the_receipt(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "beat.txt").write_text("drums")
        (job_id,) = await scene.jobs(1)
        shutil.rmtree(scene.inbox)
        await scene.until(lambda: scene.folder.counters.rearmed)
        scene.door.complete(job_id)
        await scene.until((scene.done / "beat.txt.receipt.json").exists)
        assert scene.receipt("beat.txt")["jobs"][0]["job_id"] == job_id

    run(tmp_path, scenario)


def test_a_folder_that_cannot_be_made_again_is_tried_until_it_can(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        shutil.rmtree(scene.inbox)
        scene.inbox.write_text("a file is in the way")
        scans = scene.folder.counters.scans
        await scene.until(lambda: scene.folder.counters.scans > scans + 2)
        scene.inbox.unlink()
        await scene.until(scene.failed.exists)
        await scene.until(lambda: scene.folder.counters.rearmed)
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)

    run(tmp_path, scenario, rescan_interval_s=0.05)


def test_stop_without_start_and_twice_is_harmless(tmp_path: Path) -> None:
    async def main() -> None:
        door = MemoryDoor()
        async with drop_scene(tmp_path, door) as scene:
            await scene.folder.stop()
        assert door.listeners == 0

    asyncio.run(main())


def test_finishing_again_after_everything_was_written_changes_nothing(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.create()
    (tmp_path / "beat.txt").write_text("drums")
    claim = folders.take("beat.txt")
    assert claim is not None
    answers = {".receipt.json": f"claim {claim.id}"}
    for _ in range(2):
        folders.finish(claim, folders.done, answers)
        assert sorted(path.name for path in folders.done.iterdir()) == ["beat.txt", "beat.txt.receipt.json"]


@pytest.mark.parametrize("links", ["links", "no links"])
def test_a_crash_at_any_step_of_finishing_leaves_one_receipt_and_one_prompt(
    tmp_path: Path, links: str
) -> None:
    root = Path(__file__).parents[4]
    shown = subprocess.run(
        [sys.executable, "-m", "support.crash_while_finishing", str(tmp_path), links],
        env={"PYTHONPATH": os.pathsep.join([str(root / "daemon"), str(root / "tests")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    crashes = int(shown.stdout)
    assert crashes > 10
