"""`cancel`, `pause`, `resume`: through the daemon where one runs, else on the store itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgx_music.jobs import JobState
from dgx_music.jobs.view import job_view

if TYPE_CHECKING:
    from dgx_music.cli.context import Cli

__all__ = ["cancel", "set_paused"]


def cancel(cli: Cli, job_id: str) -> None:
    """Cancel a job.

    Raises:
        JobNotFoundError: there is none of that id.
        JobStateError: it has ended.
    """
    daemon = cli.running()
    with cli.store() as store:
        if daemon is not None:
            from dgx_music.surfaces.osc.client import OscClient  # noqa: PLC0415

            store.get(job_id)
            with OscClient(str(daemon.osc_host), int(daemon.osc_port or 0)) as client:
                client.cancel(job_id)
            job = store.get(job_id)
        else:
            job = store.ask_cancel(job_id)
        said = "cancelled" if job.state is JobState.CANCELLED else "is being stopped"
        cli.show(job_view(job, cli.library), f"{job_id} {said}")


def set_paused(cli: Cli, *, paused: bool) -> None:
    """Pause or resume the queue; without a daemon the wish is kept for the next one."""
    daemon = cli.running()
    if daemon is not None:
        from dgx_music.surfaces.osc.client import OscClient  # noqa: PLC0415

        with OscClient(str(daemon.osc_host), int(daemon.osc_port or 0)) as client:
            client.pause() if paused else client.resume()
    else:
        with cli.store() as store:
            store.set_flag("paused", "1" if paused else "0")
    cli.show({"paused": paused}, "the queue is paused" if paused else "the queue goes on")
