"""`status`, `history`, `queue`: looks at the store, which works with and without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.errors import RequestError
from dgx_music.jobs import JobState
from dgx_music.jobs.view import job_view

if TYPE_CHECKING:
    from dgx_music.cli.context import Cli
    from dgx_music.jobs import Job

__all__ = ["history", "job_text", "queue", "status"]


def status(cli: Cli, job_id: str | None) -> None:
    """Print a job, or the daemon and the queue's counts."""
    if job_id is not None:
        with cli.store() as store:
            job = store.get(job_id)
            cli.show({**job_view(job, cli.library), "events": store.events_of(job_id)}, job_text(job, cli))
        return
    holder = cli.running()
    counts = {state.value: 0 for state in JobState}
    paused = False
    if cli.paths.database.exists():
        with cli.store() as store:
            counts = {state.value: number for state, number in store.counts().items()}
            paused = store.flag("paused") == "1"
    daemon: dict[str, Any] = {"running": holder is not None}
    text = "daemon: not running (start it with: systemctl --user start dgx-music, or dgx-music daemon)"
    if holder is not None:
        daemon |= {
            "pid": holder.pid,
            "osc": f"{holder.osc_host}:{holder.osc_port}",
            "version": holder.version,
        }
        text = f"daemon: running, pid {holder.pid}, OSC on {holder.osc_host}:{holder.osc_port}"
    jobs = ", ".join(f"{number} {name}" for name, number in counts.items())
    cli.show(
        {"daemon": daemon, "paused": paused, "jobs": counts}, f"{text}\njobs: {jobs}{' (paused)' * paused}"
    )


def history(cli: Cli, limit: int, state: str | None) -> None:
    """Print the newest jobs, one a line."""
    wanted = _state(state)
    with cli.store() as store:
        jobs = store.recent(limit, wanted)
    _show_list(cli, jobs, "nothing was made yet")


def queue(cli: Cli, limit: int) -> None:
    """Print the running and the waiting jobs in order, one a line."""
    with cli.store() as store:
        jobs = [*store.processing(), *store.pending(limit)]
    _show_list(cli, jobs, "the queue is empty")


def job_text(job: Job, cli: Cli) -> str:
    """Return a job as lines for a person."""
    lines = [
        f"{job.id}  {job.state} ({job.step}, {job.progress:.0%})  engine {job.engine}",
        f"  prompt   {job.request.prompt}",
    ]
    if job.error_message:
        lines.append(f"  error    {job.error_code}: {job.error_message}")
    for take in job.takes:
        lines.append(f"  take {take.index + 1}   {cli.library / take.files[0].final}")
        lines.append(f"           {level_text(take.loudness_lufs, take.true_peak_dbtp)}, seed {take.seed}")
        if take.level_remark:
            lines.append(f"           {take.level_remark}")
        lines.append(
            f"           tempo {_tempo(take.bpm, take.tempo_measured_bpm)}, key {_asked_heard(take.key, take.key_measured)}"
        )
    if job.session_path:
        lines.append(f"  session  {job.session_path}")
        lines.append(f'  open it  ardour "{job.session_path}"')
    return "\n".join(lines)


def level_text(loudness_lufs: float | None, true_peak_dbtp: float | None) -> str:
    """Return loudness and true peak for a person."""
    loudness = "no loudness (silent or too short)" if loudness_lufs is None else f"{loudness_lufs:.1f} LUFS"
    peak = "" if true_peak_dbtp is None else f", {true_peak_dbtp:.1f} dBTP"
    return loudness + peak


def _tempo(played: float | None, heard: float | None) -> str:
    return _asked_heard(
        f"{played:g} BPM" if played is not None else None, f"{heard:.1f} BPM" if heard is not None else None
    )


def _asked_heard(played: str | None, heard: str | None) -> str:
    measured = f"measured {heard}" if heard else "not measurable"
    return f"{played} ({measured})" if played else measured


def _state(text: str | None) -> JobState | None:
    try:
        return JobState(text) if text else None
    except ValueError:
        raise RequestError(f"--state {text!r}: choose one of {', '.join(JobState)}") from None


def _show_list(cli: Cli, jobs: list[Job], empty: str) -> None:
    lines = [
        f"{job.id}  {job.created_at[:16].replace('T', ' ')}  {job.state:<10}  {job.engine:<9}  {job.request.prompt[:60]}"
        for job in jobs
    ]
    cli.show([job_view(job, cli.library) for job in jobs], "\n".join(lines) or empty)
