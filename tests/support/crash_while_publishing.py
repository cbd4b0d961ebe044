"""Ends a recovering daemon at the first, second, third … thing that it does to the library, then starts it again.

The job has two takes, staged and recorded, and wants a session: what remains is to publish them, to write the
session and to complete the job. Prints how many different crashes there were.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from ardour_session import lint
from dgx_music.config import Config
from dgx_music.core import open_core
from dgx_music.jobs import JobState, Source
from dgx_music.jobs.store import NewJob, Store
from dgx_music.library.take import StagedFile
from dgx_music.paths import Paths
from dgx_music.request import GenerationRequest
from support.takes import take

CRASHED = 77
FRAMES = 24_000


def crash_at(step, library):
    """End this process instead of the so-manieth thing that it does below the library."""
    left = step

    def hook(event, arguments):
        nonlocal left
        if (event == "open" or event.startswith(("os.", "shutil."))) and any(
            str(library) in str(value) for value in arguments
        ):
            left -= 1
            if left == 0:
                os._exit(CRASHED)

    sys.addaudithook(hook)


def saving(paths):
    """Bring a job to the point where its takes are recorded; return its id and files."""
    store = Store(paths.database)
    request = GenerationRequest.from_fields(
        {"prompt": "noise", "duration": 0.5, "takes": 2, "make_session": True}
    )
    [(job_id, _)] = store.add([NewJob(request, Source("cli"), "sketch")])
    store.claim()
    staging = paths.staging_in(paths.library) / f"{job_id}.1"
    staging.mkdir(parents=True)
    made = []
    for index in range(2):
        staged = staging / f"take{index}.wav"
        noise = np.random.default_rng(index).normal(0, 0.1, (FRAMES, 2))
        soundfile.write(staged, noise, 48_000, subtype="PCM_24")
        content = staged.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        file = StagedFile(str(staged), f"2026/11/22/{staged.name}", sha256, len(content), None)
        made.append(replace(take(index, job_id, frames=FRAMES), files=(file,)))
    assert store.record_takes(job_id, made)
    store.close()
    return job_id, [file for one in made for file in one.files]


def in_child(paths, step=None):
    """Start up as the daemon does, in a process of its own; return its exit status."""
    child = os.fork()
    if child == 0:

        async def main():
            async with open_core(Config(), paths) as core:
                if step is not None:
                    crash_at(step, paths.library)
                await core.dispatcher.recover()

        try:
            asyncio.run(main())
            os._exit(0)
        finally:  # whatever it was, this process must not go on as if it were its parent
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check(paths, job_id, files):
    store = Store(paths.database)
    job = store.get(job_id)
    kinds = [event["kind"] for event in store.events_of(job_id)]
    store.close()
    assert (job.state, job.attempts) == (JobState.COMPLETED, 1), job
    assert kinds.count("completed") == 1
    session = Path(job.session_path)
    finals = [paths.library / file.final for file in files]
    assert set(finals[0].parent.iterdir()) == {*finals, session.parent}
    for file, final in zip(files, finals, strict=True):
        assert hashlib.sha256(final.read_bytes()).hexdigest() == file.sha256
    assert lint(session) == []
    assert {path.name for path in paths.library.iterdir()} <= {"2026", ".staging"}
    staging = paths.staging_in(paths.library)
    assert not staging.exists() or list(staging.iterdir()) == []


def main():
    step = 0
    while True:
        step += 1
        paths = Paths.find({"DGX_MUSIC_HOME": str(Path(sys.argv[1]) / str(step))})
        job_id, files = saving(paths)
        status = in_child(paths, step)
        assert in_child(paths) == 0
        check(paths, job_id, files)
        if status == 0:
            break
        assert status == CRASHED
    print(step - 1)


if __name__ == "__main__":
    main()
