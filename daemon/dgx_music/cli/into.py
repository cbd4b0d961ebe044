"""`generate --into`, `deliver`, `deliveries`: takes that land in a session, and what became of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ardour_session import SessionDocument, SessionError
from dgx_music.cli.session_files import SessionFileError, finished_jobs, session_file, show_remarks
from dgx_music.delivery.adding import need_rate, tempo_remarks
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.delivery.asking import fields_into, landing_sample
from dgx_music.delivery.occupied import hook_lives, open_snapshot
from dgx_music.delivery.position import Place
from dgx_music.errors import RequestError
from dgx_music.jobs.deliveries import Deliveries, session_folder
from dgx_music.reading.permissions import PERMISSIONS_FILE, permissions
from dgx_music.request import SessionTarget, read_prompt
from dgx_music.request.explain import explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dgx_music.cli.context import Cli
    from dgx_music.instance import RunningDaemon
    from dgx_music.jobs import Job
    from dgx_music.jobs.deliveries import Delivery

__all__ = ["Landing", "deliver", "deliveries", "fields_with_session"]


@dataclass(frozen=True)
class Landing:
    """Where the user wants takes to land."""

    session: Path
    """The session's folder, or one of its `.ardour` files."""
    at: str | None
    track: str | None
    on_top: str | None
    stems: bool


def fields_with_session(cli: Cli, given: Mapping[str, Any], landing: Landing) -> dict[str, Any]:
    """Return a request's fields with what the session decides: rate, tempo, meter, and where the takes land.

    Raises:
        RequestError: the place is none, or the given sample rate is not the session's.
        SessionFileError: the session cannot be read, or has no such bar.
    """
    document = _open(cli, landing.session)
    place = Place.parse(landing.at) if landing.at is not None else None
    try:
        filled = fields_into(
            document, given, place, track=landing.track, on_top=landing.on_top, stems=landing.stems
        )
    except SessionError as err:
        raise SessionFileError(str(err)) from err
    said, wins = read_prompt(str(given.get("prompt", ""))).bpm, filled.get("bpm")
    if said is not None and "bpm" not in given and wins is not None and said != wins:
        show_remarks([f"the session's {wins:g} BPM are taken, not the prompt's {said:g}"])
    show_remarks(_way_remarks(cli, Path(filled["session"]["path"]), cli.running()))
    return filled


def deliver(cli: Cli, job_ids: Sequence[str], landing: Landing) -> None:
    """Have the takes of finished jobs delivered into a session, one job after the other; the daemon does it.

    Raises:
        RequestError: a job isn't completed, has another sample rate than the session, or cannot land in this way.
        SessionFileError: the session cannot be read, or has no such bar.
    """
    jobs = finished_jobs(cli, job_ids)
    document = _open(cli, landing.session)
    folder = session_folder(os.path.realpath(document.path.parent))
    place = Place.parse(landing.at) if landing.at is not None else None
    need_rate(jobs, document.session.sample_rate_hz)
    grid, targets, remarks = document.grid, [], []
    try:
        own = jobs[0].request.session
        if place is None and own is not None and session_folder(own.path) == folder:
            start = own.position
        else:
            start = landing_sample(document, place)
    except SessionError as err:
        raise SessionFileError(str(err)) from err
    for job in jobs:
        targets.append(_target(job, folder, start, landing))
        remarks += tempo_remarks(job, grid.bpm_at(start))
        start = grid.bar_line_from(start + max(take.frames for take in job.takes))
    with cli.store() as store:
        verbs = Deliveries(store.database)
        made = [verbs.add(job.id, folder, target=target) for job, target in zip(jobs, targets, strict=True)]
    daemon = cli.running()
    if daemon is not None:
        _have_it_look(daemon, folder)
    show_remarks([*remarks, *_way_remarks(cli, Path(folder), daemon)])
    cli.show(
        [_view(one) for one in made],
        "\n".join(f"{one.id}  {one.state}  from sample {_position(one)}" for one in made),
    )


def deliveries(cli: Cli, limit: int, session: Path | None) -> None:
    """Print the newest deliveries, of all sessions or of one, and what is in their way."""
    folder = None
    if session is not None:  # it may be gone by now
        inside = session.suffix == ".ardour" and not session.is_dir()
        folder = session_folder(os.path.realpath(session.parent if inside else session))
    with cli.store() as store:
        found = Deliveries(store.database).recent(limit, folder)
        jobs = {one.job_id: store.get(one.job_id) for one in found}
    lines = [_line(one, jobs[one.job_id]) for one in found]
    data = [{**_view(one), "prompt": jobs[one.job_id].request.prompt} for one in found]
    cli.show(data, "\n".join(lines) or "nothing was delivered to a session yet")


def _open(cli: Cli, path: Path) -> SessionDocument:
    """Read a session as it was saved last: of a folder, the snapshot that its hook says is open, else its own file."""
    snapshot = open_snapshot(path, Spool(cli.paths.state_dir / "ardour")) if path.is_dir() else None
    try:
        return SessionDocument.open(snapshot or session_file(path))
    except (SessionError, OSError) as err:
        raise SessionFileError.of(err, path) from err


def _target(job: Job, folder: str, start: int, landing: Landing) -> SessionTarget:
    values = {"track": landing.track, "on_top": landing.on_top, "stems": landing.stems or None}
    given = {name: value for name, value in values.items() if value is not None}
    own = job.request.session
    if own is not None and session_folder(own.path) == folder and own.position == start:
        given = own.model_dump() | given
    try:
        return SessionTarget.model_validate(given | {"path": folder, "position": start})
    except ValidationError as err:
        raise RequestError(explain(err, SessionTarget)) from err


def _way_remarks(cli: Cli, folder: Path, daemon: RunningDaemon | None) -> list[str]:
    """What keeps takes from landing at once."""
    remarks = []
    if daemon is None:
        remarks.append("no daemon runs: the takes land once one does (systemctl --user start dgx-music)")
    if not permissions(folder).get("import", False):
        remarks.append(
            "this session does not let takes in yet: in Ardour, call 'DGX Music: Generate' or 'Permissions' once and"
            f" allow it, or write the line 'import = yes' into {folder / PERMISSIONS_FILE}"
        )
    if not hook_lives(folder, Spool(cli.paths.state_dir / "ardour")):
        remarks.append(
            "no Ardour with the DGX Music hook has this session open now: the takes land when one has"
            " ('dgx-music install-assets --register' registers the hook)"
        )
    return remarks


def _have_it_look(daemon: RunningDaemon, folder: str) -> None:
    """Tell the daemon that there is something to deliver; lost, it is found at the daemon's next look."""
    import socket  # noqa: PLC0415

    from dgx_music.surfaces.osc.replies import encode  # noqa: PLC0415
    from dgx_music.surfaces.osc.routes import LOOK  # noqa: PLC0415

    host, port = str(daemon.osc_host), int(daemon.osc_port or 0)
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, proto) as sender:
        sender.sendto(encode(LOOK, (folder,)), address)


def _view(delivery: Delivery) -> dict[str, Any]:
    view = {field.name: getattr(delivery, field.name) for field in fields(delivery)}
    view["state"] = delivery.state.value
    view["target"] = None if delivery.target is None else delivery.target.model_dump()
    return view


def _position(delivery: Delivery) -> int:
    return delivery.target.position if delivery.target is not None else 0


def _line(delivery: Delivery, job: Job) -> str:
    trouble = f"\n    {delivery.code}: {delivery.message}" if delivery.code else ""
    if not trouble and delivery.message:
        trouble = f"\n    {delivery.message}"
    at = delivery.updated_at[:16].replace("T", " ")
    return f"{delivery.id}  {at}  {delivery.state:<8}  {delivery.session_path}\n    {job.request.prompt}{trouble}"
