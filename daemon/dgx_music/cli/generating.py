"""`dgx-music generate`: asks the running daemon, or does the job in place where none runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import typer

from dgx_music.cli.looking import job_text
from dgx_music.cli.progress import progress_bar
from dgx_music.errors import (
    DaemonUnreachableError,
    DgxMusicError,
    InstanceRunningError,
    LibraryError,
    RequestError,
    StoreError,
    WorkerDiedError,
)
from dgx_music.jobs import JobState, Source
from dgx_music.jobs.view import job_view
from dgx_music.library.publish import copy_to_free_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dgx_music.cli.context import Cli
    from dgx_music.core import Core
    from dgx_music.instance import RunningDaemon
    from dgx_music.jobs import Accepted, Job, JobUpdate

__all__ = ["excerpt", "generate"]


_TURN_S = 0.2
"""How often to look whether the process that works on the queue has finished."""


class _JobEndedError(DgxMusicError):
    """Raised when the job failed or was cancelled; carries the job's own code."""

    def __init__(self, job: Job) -> None:
        self.code = job.error_code or job.state.value
        super().__init__(f"{job.id} {job.state}: {job.error_message or 'it was cancelled'}")


def generate(cli: Cli, fields: Mapping[str, Any], *, wait: bool, output: Path | None) -> None:
    """Submit the request, wait with a progress bar, print the result.

    Raises:
        RequestError: a field is out of bounds.
        _JobEndedError: the job failed or was cancelled.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise RequestError(f"--output {output}: is a file; name a folder")
    daemon = cli.running()
    if not wait:
        accepted = _submit_only(cli, daemon, fields)
        cli.show(accepted, f"{accepted['job_id']}  (engine {accepted['engine']}, place {accepted['place']})")
        return
    with progress_bar(quiet=cli.as_json) as report, ExitStack() as held:
        if daemon is None:
            daemon = _take_turn(cli, held)
        if daemon is not None:
            job_id = _by_daemon(daemon, fields, report)
        else:
            job_id = asyncio.run(_in_place(cli, fields, report))
    with cli.store() as store:
        job = store.get(job_id)
    if job.state is not JobState.COMPLETED:
        raise _JobEndedError(job)
    copies = _copy_takes(job, cli.library, output) if output is not None else []
    data = {**job_view(job, cli.library), "copies": [str(copy) for copy in copies]}
    text = "\n".join([job_text(job, cli), *(f"  copy     {copy}" for copy in copies)])
    cli.show(data, text)


def excerpt(option: str, path: Path | None, start: int | None, length: int | None) -> dict[str, Any] | None:
    """Return the request's field for a stretch of a file: options of one group, `None` where none is given."""
    if path is None:
        if start is not None or length is not None:
            raise typer.BadParameter(f"--{option}-start and --{option}-length need a file")
        return None
    given = {"path": str(path.absolute()), "start": start, "length": length}
    return {name: value for name, value in given.items() if value is not None}


def _submit_only(cli: Cli, daemon: RunningDaemon | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    if daemon is not None:
        from dgx_music.surfaces.osc.client import OscClient  # noqa: PLC0415

        with OscClient(str(daemon.osc_host), int(daemon.osc_port or 0)) as client:
            accepted = client.request(fields)
    else:
        accepted = asyncio.run(_store_for_later(cli, fields))
    return {
        "job_id": accepted.job_id,
        "engine": accepted.engine,
        "place": accepted.place,
        "eta_s": accepted.eta_s,
    }


async def _store_for_later(cli: Cli, fields: Mapping[str, Any]) -> Accepted:
    from dgx_music.core import open_core  # noqa: PLC0415

    async with open_core(cli.config, cli.paths) as core:
        return await core.intake.submit(fields, Source("cli"))


def _by_daemon(daemon: RunningDaemon, fields: Mapping[str, Any], report: Callable[[float, str], None]) -> str:
    from dgx_music.surfaces.osc.client import OscClient  # noqa: PLC0415

    with OscClient(str(daemon.osc_host), int(daemon.osc_port or 0)) as client:
        accepted = client.request(fields)
        _say(accepted.job_id, accepted.engine, str(fields.get("engine", "auto")))
        try:
            for reply in client.events(accepted.job_id):
                if "fraction" in reply.values:
                    report(reply.values["fraction"], reply.values["step"])
        except KeyboardInterrupt:
            with contextlib.suppress(DgxMusicError):
                client.cancel(accepted.job_id)
            raise
        except DaemonUnreachableError as err:
            raise DaemonUnreachableError(
                f"{err}; {accepted.job_id} is safe in the queue and goes on when the daemon is back"
            ) from err
        return accepted.job_id


def _take_turn(cli: Cli, held: ExitStack) -> RunningDaemon | None:
    """Wait until no other process works on the queue, and lock it; or return the daemon that has come up meanwhile."""
    from dgx_music.instance import InstanceLock  # noqa: PLC0415

    lock = InstanceLock(cli.paths, "generate")
    while True:
        try:
            lock.acquire()
        except InstanceRunningError:
            daemon = cli.running()
            if daemon is not None:
                return daemon
            time.sleep(_TURN_S)
        else:
            held.callback(lock.release)
            return None


async def _in_place(cli: Cli, fields: Mapping[str, Any], report: Callable[[float, str], None]) -> str:
    from dgx_music.core import open_core  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with open_core(cli.config, cli.paths) as core:
        await core.dispatcher.recover()
        accepted = await core.intake.submit(fields, Source("cli"))
        _say(accepted.job_id, accepted.engine, str(fields.get("engine", "auto")))

        def listen(update: JobUpdate) -> None:
            if update.job.id == accepted.job_id:
                report(update.job.progress, update.job.step.value)

        core.intake.subscribe(listen)
        watching = asyncio.create_task(_stop_when_asked(core, accepted.job_id))
        try:
            while not (await core.intake.job(accepted.job_id)).state.final:
                await core.dispatcher.run_next(only=accepted.job_id)
        except asyncio.CancelledError:
            with contextlib.suppress(DgxMusicError):
                await core.intake.cancel(accepted.job_id)
            raise KeyboardInterrupt from None
        except (StoreError, WorkerDiedError) as err:
            print(f"{accepted.job_id} is safe in the queue; the next daemon makes it", file=sys.stderr)
            raise err from None
        finally:
            watching.cancel()
        return accepted.job_id


async def _stop_when_asked(core: Core, job_id: str) -> None:
    """Notice a `cancel` that another command has written into the store, since no daemon is there to tell us."""
    while not (await core.intake.job(job_id)).cancel_asked:  # noqa: ASYNC110 - the other process has no event for us
        await asyncio.sleep(_TURN_S)
    core.dispatcher.cancel_running(job_id)


def _say(job_id: str, engine: str, wanted: str) -> None:
    if wanted == "auto" and engine == "sketch":
        print(
            f"{job_id}: the procedural engine 'sketch' makes this, for MusicGen is not installed here or has no weights "
            "(./install.sh --musicgen adds it, 'dgx-music models download musicgen-small' its weights)",
            file=sys.stderr,
        )


def _copy_takes(job: Job, library: Path, folder: Path) -> list[Path]:
    copies: list[Path] = []
    for take in job.takes:
        source = library / take.files[0].final
        target = folder / source.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            copy_to_free_name(source, target)
        except FileExistsError as err:
            raise LibraryError(f"{target} exists and is left alone; the take is {source}") from err
        except OSError as err:
            raise LibraryError(f"{target}: cannot be written: {err.strerror}; the take is {source}") from err
        copies.append(target)
    return copies
