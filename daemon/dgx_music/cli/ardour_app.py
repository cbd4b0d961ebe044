"""The commands about Ardour and their options, and nothing else."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from dgx_music.cli.context import Cli
from dgx_music.cli.options import (  # noqa: TC001 - typer reads the annotations
    At,
    JobIds,
    Json,
    OnTopOption,
    Stems,
    TrackName,
)

__all__ = ["app"]

app = typer.Typer()
template_app = typer.Typer(help="Ardour session templates.", no_args_is_help=True)
app.add_typer(template_app, name="template")


@app.command()
def session(
    job_ids: JobIds,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The session's folder, which must not exist.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Start from a template: one that comes along, one of your Ardour's, or a .template file. Its tracks, "
            "busses and plugins stay.",
        ),
    ] = None,
    append: Annotated[
        Path | None,
        typer.Option(
            metavar="SESSION",
            help="Add the takes to this session instead, which no Ardour may have open; as it was, it is kept beside.",
        ),
    ] = None,
    at: At = None,
    ardour6: Annotated[
        bool, typer.Option("--ardour6", help="Write the older format that Ardour 6 reads.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build an Ardour session from finished jobs, one after the other on the grid, or add them to one.

    Example: dgx-music session gen_1a2b3c4d5e6f --append ~/music/song --at 17
    """
    if (output is None) == (append is None):
        raise typer.BadParameter("give a new session's folder with --output, or a session with --append")
    if append is not None and (template is not None or ardour6):
        raise typer.BadParameter("--template and --ardour6 are for a new session, not for --append")
    if ardour6 and template is not None:
        raise typer.BadParameter("a template's own format stays; --ardour6 goes without --template")
    if at is not None and append is None and template is None:
        raise typer.BadParameter("--at goes with --append or --template; a new session begins with the takes")
    from dgx_music.cli import sessions  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        if append is not None:
            sessions.append(cli, job_ids, append, at=at)
        elif output is not None:
            sessions.build(cli, job_ids, output, template=template, at=at, ardour6=ardour6)


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A .ardour or .template file, or a session's folder.")],
    as_json: Json = False,
) -> None:
    """List a session's tracks, regions, tempo and markers, and what Ardour would stay silent about."""
    from dgx_music.cli import sessions  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        sessions.inspect(cli, path)


@app.command()
def deliver(
    job_ids: JobIds,
    into: Annotated[
        Path, typer.Option(metavar="SESSION", help="The Ardour session: its folder, or its .ardour file.")
    ],
    at: At = None,
    track: TrackName = None,
    on_top: OnTopOption = None,
    stems: Stems = False,
    as_json: Json = False,
) -> None:
    """Let the takes of finished jobs land in a session that is open in Ardour, once more or in another one."""
    from dgx_music.cli.into import Landing, deliver  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        deliver(cli, job_ids, Landing(into, at, track, on_top, stems=stems))


@app.command()
def deliveries(
    session: Annotated[
        Path | None, typer.Option(metavar="SESSION", help="Only those into this session.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List what was delivered to sessions, what became of it, and what is in its way."""
    from dgx_music.cli import into  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        into.deliveries(cli, limit, session)


@app.command()
def tempo(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")],
    take: Annotated[int, typer.Option(help="Which of its takes, from 1.")] = 1,
    midi: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a MIDI file that Ardour imports with its tempo; it must not exist.",
        ),
    ] = None,
    measured: Annotated[
        bool,
        typer.Option(
            "--measured", help="Write the measured tempo, even where the engine knows which it played in."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the tempo that a take was asked in, was played in, and measures; hand it to a session as a MIDI file."""
    from dgx_music.cli import tempo as command  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        command.tempo(cli, job_id, take, midi=midi, measured=measured)


@template_app.command("list")
def template_list(as_json: Json = False) -> None:
    """List the templates that come along, and those of your Ardour."""
    from dgx_music.cli import templates  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        templates.list_templates(cli)


@template_app.command("use")
def template_use(
    name: Annotated[str, typer.Argument(help="A template's name, or a .template file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The new session's folder.")],
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 48_000,
    as_json: Json = False,
) -> None:
    """Make a new, empty session from a template."""
    from dgx_music.cli import templates  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        templates.use_template(cli, name, output, sample_rate)
