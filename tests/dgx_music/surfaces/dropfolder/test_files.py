"""What can lie in the drop folder, from a plain prompt to what nobody wants there."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dgx_music.config import InboxConfig
from dgx_music.errors import ConfigError
from dgx_music.surfaces.dropfolder import DropFolder
from support.drop_scene import DropScene, drop_scene
from support.memory_door import MemoryDoor


def run(home: Path, scenario: Any, **settings: Any) -> None:
    async def main() -> None:
        async with drop_scene(home, **settings) as scene:
            await scenario(scene)

    asyncio.run(main())


def test_a_prompt_ends_in_done_beside_its_receipt(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "beat.txt").write_text("dusty lo-fi drums")
        await scene.finish()
        assert scene.tree() == ["done/beat.txt", "done/beat.txt.receipt.json"]
        receipt = scene.receipt("beat.txt")
        assert receipt["file"] == "beat.txt"
        (job,) = receipt["jobs"]
        assert (job["row"], job["state"], job["engine"], job["error"]) == (1, "completed", "sketch", None)
        (take,) = job["takes"]
        seed = scene.door.jobs[job["job_id"]].request.seed
        assert take == {
            "path": str(tmp_path / "library/2026/11/22/take_0.wav"),
            "seed": seed,
            "engine": "sketch",
            "duration_s": 2.0,
            "loudness_lufs": -16.0,
            "true_peak_dbtp": -1.5,
            "tempo_measured_bpm": 93.4,
            "key_measured": "A minor",
        }
        source = scene.door.jobs[job["job_id"]].source
        assert (source.surface, source.ref) == ("drop", receipt["claim"])
        await scene.until(lambda: scene.folder.counters.done == 1)

    run(tmp_path, scenario)


def test_every_format_and_every_row(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "a.md").write_text("---\ntakes: 2\n---\nmarkdown")
        (scene.inbox / "b.json").write_text('[{"prompt": "json one"}, {"prompt": "json two"}]')
        (scene.inbox / "c.toml").write_text('[[job]]\nprompt = "toml one"\n[[job]]\nprompt = "toml two"\n')
        (scene.inbox / "d.csv").write_text("prompt,bpm\ncsv one,90\ncsv two,\n")
        (scene.inbox / "E.TXT").write_text("text")
        await scene.finish(8)
        assert sorted(scene.prompts) == sorted(
            ["markdown", "json one", "json two", "toml one", "toml two", "csv one", "csv two", "text"]
        )
        rows = scene.receipt("d.csv")["jobs"]
        assert [(row["row"], row["prompt"]) for row in rows] == [(1, "csv one"), (2, "csv two")]
        assert sorted(scene.door.batch_calls) == [2, 2, 2]

    run(tmp_path, scenario)


def test_rows_enter_together_or_not_at_all(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "set.csv").write_text("prompt,bars,bpm\nfine,4,90\nbad,0,90\n")
        said = await scene.refused("set.csv")
        assert "request 2: bars" in said
        await scene.until(lambda: scene.folder.counters.refused == 1)

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.txt", b"", "empty"),
        ("latin.txt", "späte Geigen".encode("latin-1"), "offset 2"),
        ("nul.txt", b"dr\0ums", "NUL"),
        ("take.wav", b"RIFF\x24\0\0\0WAVE", ".txt, .md, .json, .toml, .csv"),
        ("README", b"read me", "files without an extension"),
        ("typo.json", b'{"prompt": "drums", "bmp": 90}', "did you mean 'bpm'?"),
        ("long.txt", b"x" * 2_001, "at most 2000 characters"),
        ("huge.txt", b"x" * 5_000, "at most 4096 are read (inbox.max_file_bytes)"),
        ("many.csv", b"prompt\n" + b"drums\n" * 51, "inbox.max_jobs_per_file"),
    ],
)
def test_what_cannot_be_used_ends_in_failed_beside_the_reason(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / name).write_bytes(data)
        said = await scene.refused(name)
        assert says in said
        assert name in said
        assert (scene.failed / name).read_bytes() == data

    run(tmp_path, scenario, max_file_bytes=4_096, max_jobs_per_file=50)


def test_a_sparse_terabyte_is_refused_without_being_read(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        with (tmp_path / "huge.txt").open("wb") as file:
            file.truncate(2**40)
        (tmp_path / "huge.txt").rename(scene.inbox / "huge.txt")
        assert str(2**40) in await scene.refused("huge.txt")

    run(tmp_path, scenario)


def test_a_symbolic_link_is_moved_itself_and_never_followed(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("my diary")
        (scene.inbox / "link.txt").symlink_to(secret)
        (scene.inbox / "dangling.md").symlink_to("/nowhere")
        (scene.inbox / "folder.json").symlink_to(tmp_path)
        for name in ("link.txt", "dangling.md", "folder.json"):
            assert "symbolic link" in await scene.refused(name)
        assert (scene.failed / "link.txt").is_symlink()
        assert secret.read_text() == "my diary"

    run(tmp_path, scenario)


def test_pipes_sockets_and_devices_are_moved_and_never_opened(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        os.mkfifo(scene.inbox / "pipe.txt")
        with socket.socket(socket.AF_UNIX) as listener:
            here = Path.cwd()
            os.chdir(scene.inbox)  # a socket's path must be short
            try:
                listener.bind("socket.txt")
            finally:
                os.chdir(here)
            assert "named pipe" in await scene.refused("pipe.txt")
            assert "socket" in await scene.refused("socket.txt")
        assert (scene.failed / "pipe.txt").is_fifo()

    run(tmp_path, scenario)


def test_folders_are_left_alone(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / "my prompts.txt").mkdir()
        (scene.inbox / "my prompts.txt" / "inside.txt").write_text("drums")
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)
        assert (scene.inbox / "my prompts.txt" / "inside.txt").exists()
        assert not any(scene.failed.iterdir())

    run(tmp_path, scenario, rescan_interval_s=0.1)


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.txt",
        "beat.txt~",
        "beat.txt.tmp",
        "beat.txt.part",
        "beat.txt.crdownload",
        ".beat.txt.swp",
        ".goutputstream-ABC123",
        "#beat.txt#",
        "4913",
        ".#beat.txt",
        "old.txt.error.txt",
        "old.txt.receipt.json",
    ],
)
def test_temporary_files_and_our_own_answers_are_left_alone(tmp_path: Path, name: str) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.inbox / name).write_text("half a prompt")
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.jobs(1)
        scans = scene.folder.counters.scans
        await scene.until(lambda: scene.folder.counters.scans > scans + 2)
        assert scene.prompts == ["drums"]
        assert (scene.inbox / name).exists()
        assert not any(scene.failed.iterdir())

    run(tmp_path, scenario, rescan_interval_s=0.05)


def test_a_hard_link_is_taken_and_its_other_name_stays(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        original = tmp_path / "mine.txt"
        original.write_text("dusty drums")
        os.link(original, scene.inbox / "linked.txt")
        await scene.finish()
        assert scene.prompts == ["dusty drums"]
        assert original.read_text() == "dusty drums"
        assert (scene.done / "linked.txt").samefile(original)

    run(tmp_path, scenario)


def test_two_names_of_one_file_are_two_prompts(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        original = tmp_path / "mine.txt"
        original.write_text("dusty drums")
        os.link(original, scene.inbox / "one.txt")
        os.link(original, scene.inbox / "two.txt")
        await scene.finish(2)
        assert sorted(scene.tree()) == [
            "done/one.txt",
            "done/one.txt.receipt.json",
            "done/two.txt",
            "done/two.txt.receipt.json",
        ]

    run(tmp_path, scenario)


def test_equal_names_never_overwrite_each_other(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        for number in range(1, 4):
            (scene.inbox / "beat.txt").write_text(f"prompt {number}")
            await scene.finish(number)
        for number, name in enumerate(["beat.txt", "beat-2.txt", "beat-3.txt"], start=1):
            assert (scene.done / name).read_text() == f"prompt {number}"
            assert scene.receipt(name)["jobs"][0]["prompt"] == f"prompt {number}"

    run(tmp_path, scenario)


def test_files_that_a_user_put_into_done_are_not_touched(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        (scene.done / "beat.txt").write_text("mine")
        (scene.done / "beat-2.txt.receipt.json").write_text("mine too")
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.finish()
        assert (scene.done / "beat.txt").read_text() == "mine"
        assert (scene.done / "beat-2.txt.receipt.json").read_text() == "mine too"
        assert (scene.done / "beat-3.txt").read_text() == "drums"
        assert scene.receipt("beat-3.txt")["jobs"]

    run(tmp_path, scenario)


@pytest.mark.parametrize("stem", ["n" * 251, "é" * 125 + "n", "日" * 83 + "nn"])
def test_the_longest_names_end_with_a_receipt(tmp_path: Path, stem: str) -> None:
    async def scenario(scene: DropScene) -> None:
        name = f"{stem}.txt"
        assert len(name.encode()) == 255
        for number in (1, 2):
            (scene.inbox / name).write_text("drums")
            await scene.finish(number)
        receipts = sorted(scene.done.glob("*.receipt.json"))
        assert len(receipts) == 2
        for path in receipts:
            assert path.with_name(path.name.removesuffix(".receipt.json")).read_text() == "drums"

    run(tmp_path, scenario)


def test_names_that_are_not_utf_8_end_in_done(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        name = os.fsdecode(b"Gr\xfc\xdfe.txt")
        (scene.inbox / name).write_text("drums")
        await scene.finish()
        assert (scene.done / name).read_text() == "drums"
        assert scene.receipt(name)["file"] == "Gr??e.txt".replace("?", "\ufffd")

    run(tmp_path, scenario)


def test_names_with_line_breaks_and_quotes_end_in_done(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        name = "a\n\"b' $(c).txt"
        (scene.inbox / name).write_text("drums")
        await scene.finish()
        assert scene.receipt(name)["file"] == name

    run(tmp_path, scenario)


def test_an_inbox_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = DropFolder(InboxConfig(), tmp_path / "file" / "inbox", tmp_path, MemoryDoor())
    with pytest.raises(ConfigError, match=r"inbox\.path"):
        asyncio.run(folder.start())


def test_an_inbox_behind_a_symbolic_link_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "inbox").symlink_to(tmp_path / "real")

    async def scenario(scene: DropScene) -> None:
        (tmp_path / "real" / "beat.txt").write_text("drums")
        await scene.finish()
        assert (scene.done / "beat.txt").exists()

    run(tmp_path, scenario)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_may_not_be_read_stays_is_reported_once_and_taken_when_it_may() -> None:
    root = Path(__file__).parents[4]
    shown = subprocess.run(
        [sys.executable, "-m", "support.unreadable_file"],
        env={"PYTHONPATH": os.pathsep.join([str(root / "daemon"), str(root / "tests")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout.strip() == "taken", shown.stderr


@pytest.mark.slow
def test_two_thousand_files_at_once_are_two_thousand_jobs_in_few_threads(tmp_path: Path) -> None:
    async def scenario(scene: DropScene) -> None:
        for number in range(2_000):
            (tmp_path / "one.txt").write_text(f"drums {number}")
            (tmp_path / "one.txt").rename(scene.inbox / f"{number}.txt")
        before = threading.active_count()
        await scene.until(lambda: len(scene.door.jobs) == 2_000)
        assert threading.active_count() <= before + 32
        await scene.finish(2_000)
        assert len(set(scene.prompts)) == 2_000
        assert len(list(scene.done.iterdir())) == 4_000
        await scene.until(lambda: scene.folder.counters.done == 2_000)

    run(tmp_path, scenario)
