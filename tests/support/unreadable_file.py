"""Run as root: becomes nobody, and drops a file that nobody may read. Prints `taken` if all went well."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from pathlib import Path

from support.drop_scene import drop_scene

NOBODY = 65_534


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


async def ordinary(home: Path) -> None:
    async with drop_scene(home) as scene:
        (scene.inbox / "beat.txt").write_text("drums")
        await scene.finish()


async def unreadable(home: Path) -> None:
    log = Lines()
    logging.getLogger("dgx_music").addHandler(log)
    async with drop_scene(home, rescan_interval_s=0.05) as scene:
        secret = scene.inbox / "secret.txt"
        os.close(os.open(secret, os.O_CREAT, 0o000))
        (scene.inbox / "other.txt").write_text("drums")
        await scene.jobs(1)
        await scene.until(lambda: scene.folder.counters.denied)
        scans = scene.folder.counters.scans
        await scene.until(lambda: scene.folder.counters.scans > scans + 5)
        reports = [line for line in log.lines if "secret.txt" in line]
        assert scene.folder.counters.denied == 1
        assert len(reports) == 1, reports
        assert "Permission denied" in reports[0]
        secret.chmod(0o600)
        secret.write_text("open sesame")
        await scene.jobs(2)
        assert scene.prompts == ["drums", "open sesame"]
        # Where nobody tells of a chmod (a network share), the next scan finds it.
        late = scene.inbox / "late.txt"
        os.close(os.open(late, os.O_CREAT, 0o000))
        await scene.until(lambda: scene.folder.counters.denied == 2)
        await scene.folder._incoming.disarm()
        late.chmod(0o600)
        late.write_text("better late")
        await scene.jobs(3)


def main() -> None:
    for_root, for_nobody = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    try:
        asyncio.run(ordinary(for_root))  # nobody may not even read the modules that this imports
        os.chown(for_nobody, NOBODY, NOBODY)
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            asyncio.run(unreadable(for_nobody))
            print("taken", flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    finally:
        shutil.rmtree(for_root)
        shutil.rmtree(for_nobody)


if __name__ == "__main__":
    main()
