"""A file is taken when it is complete, not before, however it came to lie there."""

from __future__ import annotations

import asyncio
import mmap
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dgx_music.surfaces.dropfolder.readiness import Candidate, Verdict, Writer, find_writer, inspect
from support.drop_scene import DropScene, drop_scene

DAEMON = Path(__file__).parents[4] / "daemon"


def run(home: Path, scenario: Any, **settings: Any) -> None:
    async def main() -> None:
        async with drop_scene(home, **settings) as scene:
            await scenario(scene)

    asyncio.run(main())


async def several_looks(scene: DropScene) -> None:
    """Let the folder be looked at for several settling times."""
    scans = scene.folder.counters.scans
    await scene.until(lambda: scene.folder.counters.scans > scans + 4)


def test_a_file_that_is_open_for_writing_is_left_until_it_is_closed(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        with (scene.inbox / "slow.txt").open("w") as file:
            file.write("dusty ")
            file.flush()
            await several_looks(scene)
            assert not scene.door.jobs
            file.write("drums")
        await scene.jobs(1)
        assert scene.prompts == ["dusty drums"]

    run(tmp_path, scenario, rescan_interval_s=0.1, settle_s=0.02)


def test_a_closed_file_does_not_wait_for_the_settling_time(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)

    run(tmp_path, scenario, settle_s=3_600)


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_a_rename_to_a_prompts_name_is_taken_at_once(tmp_path: Path, where: str) -> None:
    async def scenario(scene: DropScene) -> None:
        temporary = (tmp_path if where == "outside" else scene.inbox) / "beat.txt.part"
        temporary.write_text("drums")
        temporary.rename(scene.inbox / "beat.txt")
        await scene.jobs(1)
        assert scene.waiting() == []

    run(tmp_path, scenario, settle_s=3_600)


def test_a_file_renamed_while_it_is_written_is_left_until_it_is_closed(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        with (scene.inbox / "beat.tmp").open("w") as file:
            (scene.inbox / "beat.tmp").rename(scene.inbox / "beat.txt")
            await several_looks(scene)
            assert not scene.door.jobs
            file.write("drums")
        await scene.jobs(1)
        assert scene.prompts == ["drums"]

    run(tmp_path, scenario, rescan_interval_s=0.1, settle_s=0.02)


def test_an_editor_that_saves_by_rename_makes_one_job(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        # GNOME's editors write .goutputstream-…, Vim probes with 4913 and keeps beat.txt~, Emacs locks by a link.
        (scene.inbox / ".#beat.txt").symlink_to("me@host.1234")
        (scene.inbox / "4913").touch()
        (scene.inbox / "4913").unlink()
        (scene.inbox / ".goutputstream-X1").write_text("dusty drums")
        (scene.inbox / ".goutputstream-X1").rename(scene.inbox / "beat.txt")
        (scene.inbox / ".#beat.txt").unlink()
        await scene.finish()
        assert scene.prompts == ["dusty drums"]
        assert scene.tree() == ["done/beat.txt", "done/beat.txt.receipt.json"]

    run(tmp_path, scenario)


def test_an_empty_file_gets_time_to_be_filled(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "New Document.txt").touch()
        await several_looks(scene)
        (scene.inbox / "New Document.txt").write_text("drums")
        await scene.jobs(1)
        assert scene.prompts == ["drums"]

    run(tmp_path, scenario, rescan_interval_s=0.05, settle_s=5)


def test_a_file_that_vanishes_before_it_is_taken_is_forgotten(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        with (scene.inbox / "gone.txt").open("w"):
            await several_looks(scene)
            (scene.inbox / "gone.txt").unlink()
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.finish()
        assert scene.prompts == ["drums"]

    run(tmp_path, scenario, rescan_interval_s=0.05)


def test_what_lies_there_at_the_start_is_taken_oldest_first(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for age, name in enumerate(["c.txt", "a.txt", "b.txt"]):
        (inbox / name).write_text(name)
        os.utime(inbox / name, (1_700_000_000 + age, 1_700_000_000 + age))

    async def scenario(scene: DropScene) -> None:
        await scene.jobs(3)
        assert scene.prompts == ["c.txt", "a.txt", "b.txt"]

    run(tmp_path, scenario)


def test_a_file_of_which_no_event_told_is_found_by_the_next_scan(tmp_path: Path) -> None:
    # An overflow of the kernel's queue, another machine on a network share: no event. Here the observer is
    # stopped, so that nothing at all is told.
    async def scenario(scene: DropScene) -> None:
        await scene.folder._incoming.disarm()
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)

    run(tmp_path, scenario, rescan_interval_s=0.2)


def test_the_polling_observer_finds_files_and_waits_for_their_writers(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "one.txt").write_text("drums")
        await scene.jobs(1)
        (tmp_path / "two.txt").write_text("bass")
        (tmp_path / "two.txt").rename(scene.inbox / "two.txt")
        await scene.finish(2)
        assert scene.prompts == ["drums", "bass"]

    run(tmp_path, scenario, observer="polling")


def test_copies_by_other_programs_arrive_whole(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        source = tmp_path / "source.txt"
        source.write_text("dusty drums")
        for number, command in enumerate((["cp"], ["cp", "-p"], ["mv"], ["ln"], ["cp", "--reflink=auto"])):
            copy = tmp_path / f"copy{number}.txt"
            shutil.copy(source, copy)
            program = await asyncio.create_subprocess_exec(*command, str(copy), str(scene.inbox))
            assert await program.wait() == 0
        await scene.finish(5)
        assert set(scene.prompts) == {"dusty drums"}

    run(tmp_path, scenario)


def test_a_lease_tells_writers_from_readers(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("drums")
    assert find_writer(path) is Writer.NONE
    with path.open():
        assert find_writer(path) is Writer.NONE
    for mode in ("a", "r+"):
        with path.open(mode):
            assert find_writer(path) is Writer.PRESENT
    os.link(path, tmp_path / "other.txt")
    with (tmp_path / "other.txt").open("a"):
        assert find_writer(path) is Writer.PRESENT
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        file.close()
        assert find_writer(path) is Writer.PRESENT
    assert find_writer(path) is Writer.NONE


def test_a_writer_that_opens_the_file_at_the_wrong_instant_does_not_end_the_daemon(tmp_path: Path) -> None:
    # A broken lease makes the kernel send a signal; by default one that kills.
    path = tmp_path / "file.txt"
    path.touch()
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from dgx_music.surfaces.dropfolder.readiness import find_writer
        print("ready", flush=True)
        seen = {{find_writer(Path({str(path)!r})).value for _ in range(60_000)}}
        print(*sorted(seen))
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(DAEMON)}, stdout=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "ready\n"
        while daemon.poll() is None:
            for _ in range(200):
                os.close(os.open(path, os.O_WRONLY))
        seen = daemon.stdout.read().split()
    assert daemon.returncode == 0, signal.Signals(-daemon.returncode)
    assert seen == ["none", "present"]


def test_without_leases_a_file_has_to_stay_the_same_for_the_settling_time(tmp_path: Path) -> None:
    # On another user's file the kernel gives no lease (EACCES), as network file systems do not.
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    code = textwrap.dedent(
        """
        import os
        from pathlib import Path
        from dgx_music.surfaces.dropfolder.readiness import Candidate, find_writer, inspect
        folder = Path(os.environ["FOLDER"])
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        found = Candidate("a.txt", closed=True)
        print(find_writer(folder / "a.txt").value)
        for now_s in (10.0, 10.3, 10.6):
            print(inspect(folder, found, 0.5, now_s).value)
        """
    )
    folder = Path("/tmp") / f"dgx-music-test-{os.getpid()}"  # pytest's own folders are closed to others
    folder.mkdir()
    try:
        (folder / "a.txt").write_text("drums")
        (folder / "a.txt").chmod(0o644)
        shown = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(DAEMON), "FOLDER": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        shutil.rmtree(folder)
    assert shown.stdout.split() == ["unknown", "wait", "wait", "ready"]


def test_growth_starts_the_settling_time_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("d")
    found = Candidate("a.txt")
    assert inspect(tmp_path, found, 0.5, 10.0) is Verdict.WAIT
    path.write_text("drums")
    assert inspect(tmp_path, found, 0.5, 10.4) is Verdict.WAIT
    assert inspect(tmp_path, found, 0.5, 10.6) is Verdict.WAIT
    assert inspect(tmp_path, found, 0.5, 10.9) is Verdict.READY
