"""Ends a process at the first, second, third … system call of finishing a claim, then finishes it again.

Prints how many different crashes there were. With `no links` the file system acts as one without hard links.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

from dgx_music.surfaces.dropfolder.claim import Claim, Folders

CRASHED = 77
ANSWERS = {".receipt.json": '{"claim": "CLAIM"}', ".error.txt": "why (claim CLAIM)"}


def refuse_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def finish(folders: Folders, claim: Claim) -> None:
    answers = {suffix: text.replace("CLAIM", claim.id) for suffix, text in ANSWERS.items()}
    folders.finish(claim, folders.failed, answers)


def crash_at(step: int, inbox: Path) -> None:
    """End this process instead of the so-manieth thing that it does to a file below the folder."""
    left = step

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if (event == "open" or event.startswith("os.")) and any(
            str(inbox) in str(value) for value in arguments
        ):
            left -= 1
            if left == 0:
                os._exit(CRASHED)

    sys.addaudithook(hook)


def main() -> None:
    home, links = Path(sys.argv[1]), sys.argv[2]
    if links == "no links":
        os.link = refuse_links
    step = 0
    while True:
        step += 1
        folders = Folders(home / f"inbox{step}")
        folders.create()
        (folders.failed / "beat.txt").write_text("another one of this name")
        (folders.inbox / "beat.txt").write_text("drums")
        claim = folders.take("beat.txt")
        assert claim is not None
        child = os.fork()
        if child == 0:
            crash_at(step, folders.inbox)
            finish(folders, claim)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        left = folders.unfinished()
        assert left in ([claim], []), left
        if left:
            finish(folders, claim)
        assert folders.unfinished() == []
        assert list(folders.processing.iterdir()) == []
        found = sorted(path.name for path in folders.failed.iterdir())
        expected = ["beat-2.txt", "beat-2.txt.error.txt", "beat-2.txt.receipt.json", "beat.txt"]
        assert found == expected, (step, found)
        assert (folders.failed / "beat-2.txt").read_text() == "drums"
        assert claim.id in (folders.failed / "beat-2.txt.receipt.json").read_text()
        if status == 0:
            break
        assert os.waitstatus_to_exitcode(status) == CRASHED
    print(step - 1)


if __name__ == "__main__":
    main()
