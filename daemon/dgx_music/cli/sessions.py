"""`session`, `inspect`, `template`: Ardour sessions from jobs, a look into any session, and templates."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ardour_session import FileFormat, SessionError, Severity, instantiate, lint, read_session, write_session
from dgx_music.delivery.session import session_from_jobs
from dgx_music.errors import DgxMusicError, RequestError
from dgx_music.jobs import JobState
from dgx_music.resources import shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ardour_session import Finding, Session
    from dgx_music.cli.context import Cli

__all__ = ["build", "inspect", "list_templates", "use_template"]


class _SessionFileError(DgxMusicError):
    """Raised when a session or template cannot be read or written."""

    code = "session"


def build(cli: Cli, job_ids: Sequence[str], output: Path, *, ardour6: bool) -> None:
    """Write a session from completed jobs into a new folder.

    Raises:
        RequestError: a job isn't completed, or the takes don't fit into one session.
    """
    with cli.store() as store:
        jobs = [store.get(job_id) for job_id in job_ids]
    unfinished = [f"{job.id} is {job.state}" for job in jobs if job.state is not JobState.COMPLETED]
    if unfinished:
        raise RequestError([f"{text}; a session needs finished takes" for text in unfinished])
    output = _new_folder(output)
    session = session_from_jobs(jobs, cli.library, output.name)
    file_format = FileFormat.ARDOUR_6 if ardour6 else FileFormat.ARDOUR_7
    try:
        path = write_session(session, output, file_format=file_format)
    except (SessionError, OSError) as err:
        raise _SessionFileError(str(err)) from err
    cli.show({"session": str(path)}, f'{path}\nopen it: ardour "{path}"')


def inspect(cli: Cli, path: Path) -> None:
    """Print what a session holds and what is wrong with it; leaves with status 1 where it is broken.

    Raises:
        _SessionFileError: the file is no session.
    """
    file = _session_file(path)
    try:
        session, findings = read_session(file), lint(file)
    except (SessionError, OSError) as err:
        raise _SessionFileError(str(err)) from err
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


def list_templates(cli: Cli) -> None:
    """Print the shipped templates' names and what they are for."""
    templates = [(file.stem, read_session(file).description, file) for file in _templates()]
    data = [{"name": name, "description": text, "path": str(file)} for name, text, file in templates]
    cli.show(data, "\n".join(f"{name}\n    {text}" for name, text, _file in templates))


def use_template(cli: Cli, name: str, output: Path, sample_rate: int) -> None:
    """Make a new session of a shipped template, or of a `.template` file.

    Raises:
        RequestError: there is no such template.
    """
    known = {file.stem: file for file in _templates()}
    file = Path(name) if name.endswith(".template") else known.get(name)
    if file is None:
        raise RequestError(f"there is no template {name!r}; there are {', '.join(map(repr, known))}")
    output = _new_folder(output)
    try:
        path = instantiate(file, output.name, sample_rate).save_new(output)
    except (SessionError, OSError) as err:
        raise _SessionFileError(str(err)) from err
    cli.show({"session": str(path)}, f'{path}\nopen it: ardour "{path}"')


def _new_folder(output: Path) -> Path:
    output = output.absolute()
    if not output.parent.is_dir():
        raise RequestError(f"--output {output}: the folder {output.parent} does not exist")
    if output.exists():
        raise RequestError(f"--output {output}: is there already and is left alone; name a new folder")
    return output


def _templates() -> list[Path]:
    return sorted((shipped("templates") / "sessions").glob("*/*.template"))


def _session_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.ardour"))
    own = path / f"{path.absolute().name}.ardour"
    if own in files:
        return own
    if len(files) == 1:
        return files[0]
    raise RequestError(f"{path}: holds {len(files)} sessions; name the .ardour file")


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
