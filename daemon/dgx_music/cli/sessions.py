"""`session`, `inspect`: Ardour sessions from jobs, jobs added to a session, and a look into any session."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ardour_session import (
    FileFormat,
    SessionDocument,
    SessionError,
    Severity,
    audio_folder,
    instantiate,
    lint,
    read_session,
    write_session,
)
from dgx_music.cli.session_files import (
    SessionFileError,
    finished_jobs,
    new_folder,
    refuse_open,
    session_file,
    show_remarks,
)
from dgx_music.cli.templates import template_file
from dgx_music.delivery.adding import add_jobs, take_over_tempo
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.delivery.position import Place
from dgx_music.delivery.session import session_from_jobs
from dgx_music.errors import DgxMusicError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ardour_session import Finding, Session
    from dgx_music.cli.context import Cli
    from dgx_music.jobs import Job

__all__ = ["append", "build", "inspect"]

KEPT_AS = "before-dgx-music"
"""`NAME.ardour.before-dgx-music`: no name that Ardour lists as a snapshot, or writes itself."""


def build(
    cli: Cli, job_ids: Sequence[str], output: Path, *, template: str | None, at: str | None, ardour6: bool
) -> None:
    """Write a session from completed jobs into a new folder, of nothing or of a template.

    Raises:
        RequestError: a job isn't completed, or the takes don't fit into one session.
    """
    jobs = finished_jobs(cli, job_ids)
    output = new_folder(output)
    try:
        if template is not None:
            path, remarks = _of_template(cli, jobs, output, template_file(template), at)
        else:
            session = session_from_jobs(jobs, cli.library, output.name)
            file_format = FileFormat.ARDOUR_6 if ardour6 else FileFormat.ARDOUR_7
            path, remarks = write_session(session, output, file_format=file_format), ()
    except (SessionError, OSError) as err:
        raise SessionFileError.of(err, output) from err
    show_remarks(remarks)
    cli.show({"session": str(path), "remarks": list(remarks)}, f'{path}\nopen it: ardour "{path}"')


def append(cli: Cli, job_ids: Sequence[str], target: Path, *, at: str | None) -> None:
    """Add completed jobs as tracks to a session that no Ardour has open; the session as it was is kept beside it.

    Raises:
        RequestError: a job isn't completed, or has another sample rate than the session.
        SessionFileError: the session is open, cannot be read or written, or has no such bar.
    """
    jobs = finished_jobs(cli, job_ids)
    place = Place.parse(at) if at is not None else None
    file = session_file(target)
    refuse_open(file, Spool(cli.paths.state_dir / "ardour"))
    try:
        document = SessionDocument.open(file)
        audio = audio_folder(file.resolve().parent)
        added = add_jobs(document, jobs, cli.library, place, audio=audio)
        refuse_open(file, Spool(cli.paths.state_dir / "ardour"))
        kept = document.save_in_place(KEPT_AS)
    except (SessionError, OSError) as err:
        raise SessionFileError.of(err, file) from err
    show_remarks(added.remarks)
    rate = document.session.sample_rate_hz
    data = {
        "session": str(file),
        "kept": str(kept),
        "sample_rate_hz": rate,
        "jobs": [
            {
                "job_id": job.id,
                "position_samples": made.start_samples,
                "tracks": [track.name for track in made.tracks],
            }
            for job, made in zip(jobs, added.jobs, strict=True)
        ],
        "remarks": list(added.remarks),
    }
    lines = [
        f"  {job.id} from sample {made.start_samples}: {', '.join(track.name for track in made.tracks)}"
        for job, made in zip(jobs, added.jobs, strict=True)
    ]
    cli.show(data, "\n".join([str(file), *lines, f"as it was before: {kept}", f'open it: ardour "{file}"']))


def _of_template(
    cli: Cli, jobs: Sequence[Job], output: Path, template: Path, at: str | None
) -> tuple[Path, tuple[str, ...]]:
    rates = {take.sample_rate_hz for job in jobs for take in job.takes}
    if len(rates) != 1:
        listing = ", ".join(f"{rate} Hz" for rate in sorted(rates))
        raise RequestError(f"the takes have different sample rates ({listing}); a session has one")
    document = instantiate(template, output.name, rates.pop())
    take_over_tempo(document, jobs)
    place = Place.parse(at) if at is not None else None
    added = add_jobs(document, jobs, cli.library, place, audio=audio_folder(output))
    return document.save_new(output), added.remarks


def inspect(cli: Cli, path: Path) -> None:
    """Print what a session holds and what is wrong with it; leaves with status 1 where it is broken.

    Raises:
        SessionFileError: the file is no session.
    """
    file = session_file(path)
    try:
        session, findings = read_session(file), lint(file)
    except (SessionError, OSError) as err:
        raise SessionFileError.of(err, file) from err
    data = {
        "path": str(file),
        "session": _view(session),
        "findings": [asdict(finding) for finding in findings],
    }
    cli.show(data, _text(file, session, findings))
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise _BrokenSessionError(f"{file}: {len(findings)} finding(s), see above")


class _BrokenSessionError(DgxMusicError):
    """Raised when a session has errors in it, so that scripts notice."""

    code = "session_broken"


def _view(session: Session) -> dict[str, object]:
    view = asdict(session)
    view["tempo_map"] = {
        "tempos": [{"bpm": float(t.bpm), "quarters": float(t.quarters)} for t in session.tempo_map.tempos],
        "meters": [
            {"bar": m.bar, "meter": f"{m.beats_per_bar}/{m.note_value}"} for m in session.tempo_map.meters
        ],
    }
    return {key: _plain(item) for key, item in view.items()}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _text(file: Path, session: Session, findings: Sequence[Finding]) -> str:
    tempo, meter = session.tempo_map.tempos[0], session.tempo_map.meters[0]
    lines = [
        str(file),
        f"  {session.sample_rate_hz} Hz, {float(tempo.bpm):g} BPM, {meter.beats_per_bar}/{meter.note_value}",
    ]
    for track in session.tracks:
        muted = " (muted)" if track.muted else ""
        lines.append(
            f"  track   {track.name}{muted}, {track.channel_count} ch, {len(track.playlists)} playlist(s)"
        )
        lines += [
            f"    region  {region.name}: from sample {region.position_samples}, {region.length_samples} long"
            for region in track.playlist.regions
        ]
    lines += [f"  marker  {marker.name} at sample {marker.position_samples}" for marker in session.markers]
    if session.loop:
        lines.append(f"  loop    {session.loop.start_samples} to {session.loop.end_samples}")
    lines += [f"  {finding.severity}  {finding.where}: {finding.message}" for finding in findings]
    return "\n".join(lines)
