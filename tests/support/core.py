"""Runs the real queue, dispatcher and worker on a folder of a test's own."""

from __future__ import annotations

import asyncio
import contextlib

from dgx_music.config import Config
from dgx_music.core import open_core
from dgx_music.jobs import Source
from dgx_music.paths import Paths


def paths_in(folder):
    return Paths.find({"DGX_MUSIC_HOME": str(folder)})


def config_with(**sections):
    return Config.model_validate(sections)


@contextlib.asynccontextmanager
async def running_core(folder, config=None):
    """A core whose dispatcher works, as in the daemon."""
    async with open_core(config or Config(), paths_in(folder)) as core:
        await core.dispatcher.recover()
        working = asyncio.create_task(core.dispatcher.run())
        try:
            yield core
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working


async def ended(core, job_id):
    """Wait for a job's end, by its updates."""
    over = asyncio.Event()
    stop = core.intake.subscribe(lambda update: over.set() if update.job.id == job_id else None)
    try:
        while True:
            over.clear()  # before the look, so that an update between look and wait is not missed
            job = await core.intake.job(job_id)
            if job.state.final:
                return job
            await asyncio.wait_for(over.wait(), 60)
    finally:
        stop()


async def make(core, engine="test-noise", prompt="noise", **fields):
    """Submit a job and wait for its end."""
    fields = {"prompt": prompt, "duration": 0.5, "engine": engine, **fields}
    return await ended(core, (await core.intake.submit(fields, Source("cli"))).job_id)
