"""The commands and their options, and nothing else; those about Ardour and `generate` stand in modules of their own."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from dgx_music.cli import ardour_app, generate_app
from dgx_music.cli.context import Cli
from dgx_music.cli.options import Json  # noqa: TC001 - typer reads the annotations

__all__ = ["app", "main"]

app = typer.Typer(
    name="dgx-music",
    help="Prompts in, finished takes and Ardour sessions out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
models_app = typer.Typer(help="MusicGen's models: which there are, which are here.", no_args_is_help=True)
app.add_typer(db_app, name="db")
app.add_typer(models_app, name="models")
app.add_typer(generate_app.app)
app.add_typer(ardour_app.app)


def main() -> None:
    """Run the command line."""
    app()


def _version(value: bool) -> None:
    if value:
        from dgx_music import __version__  # noqa: PLC0415

        print(f"dgx-music {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Prompts in, finished takes and Ardour sessions out."""


@app.command()
def daemon() -> None:
    """Run the daemon: OSC, the drop folder and the queue, until SIGTERM."""
    from dgx_music.cli import serve  # noqa: PLC0415

    cli = Cli(as_json=False)
    with cli.errors():
        serve.run(cli)


@app.command()
def status(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job's id; all in all if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a job, or the daemon and the queue."""
    from dgx_music.cli import looking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        looking.status(cli, job_id)


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many jobs, newest first.")] = 20,
    state: Annotated[str | None, typer.Option(help="Only pending, completed, failed …")] = None,
    as_json: Json = False,
) -> None:
    """List what was made."""
    from dgx_music.cli import looking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        looking.history(cli, limit, state)


@app.command()
def queue(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many waiting jobs to list.")] = 20,
    as_json: Json = False,
) -> None:
    """List what runs and what waits, in order."""
    from dgx_music.cli import looking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        looking.queue(cli, limit)


@app.command()
def cancel(job_id: Annotated[str, typer.Argument(metavar="JOB")], as_json: Json = False) -> None:
    """Cancel a waiting or running job."""
    from dgx_music.cli import steering  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        steering.cancel(cli, job_id)


@app.command()
def pause(as_json: Json = False) -> None:
    """Let the daemon start no more jobs; the running one goes on. A generate without a daemon does not wait."""
    from dgx_music.cli import steering  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        steering.set_paused(cli, paused=True)


@app.command()
def resume(as_json: Json = False) -> None:
    """Start jobs again."""
    from dgx_music.cli import steering  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        steering.set_paused(cli, paused=False)


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """List the published models, what they can do, their licence, and which are on this machine."""
    from dgx_music.cli import models  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        models.show(cli)


@models_app.command("download")
def models_download(
    name: Annotated[str, typer.Argument(help="A model's name, such as musicgen-small.")],
    as_json: Json = False,
) -> None:
    """Fetch a model's weights from the hub; a download that was cut off goes on where it stopped."""
    from dgx_music.cli import models  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        models.fetch(cli, name)


@app.command()
def measure(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Audio files.")], as_json: Json = False
) -> None:
    """Measure loudness, true peak, tempo and key of audio files."""
    from dgx_music.cli import measuring  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        measuring.measure(cli, files)


@app.command("who-made")
def who_made(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Audio files, such as those in a session's interchange."),
    ],
    as_json: Json = False,
) -> None:
    """Say which take or stem a file is, by its samples: after an import, a rename, or without its metadata."""
    from dgx_music.cli import identifying  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        identifying.who_made(cli, files)


@app.command()
def benchmark(
    model: Annotated[
        str | None, typer.Option(help="A model's name or path; the configuration's own.")
    ] = None,
    durations: Annotated[
        list[float] | None, typer.Option("--duration", help="Seconds of the takes to make (8, 16, 30, 120).")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often everything is measured.")] = 3,
    peers: Annotated[
        bool,
        typer.Option("--peers/--no-peers", help="Also measure audiocraft and transformers, where installed."),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write table, JSON and picture into this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure MusicGen on this machine: speed, memory, and what a lower precision costs.

    Example: dgx-music benchmark --model musicgen-small --duration 8 --duration 30 -o benchmark
    """
    from dgx_music.cli import benchmarking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        benchmarking.benchmark(
            cli,
            model=model,
            durations_s=durations or [8.0, 16.0, 30.0, 120.0],
            rounds=rounds,
            peers=peers,
            output=output,
        )


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this installation and say what would mend it."""
    from dgx_music.cli import checking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        checking.doctor(cli)


@app.command("install-assets")
def install_assets(
    registering: Annotated[
        bool | None,
        typer.Option(
            "--register/--unregister",
            help="Also give the scripts their slots in every Ardour, beside your own, or take them out of these. "
            "Ardour must not run.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put configuration, systemd unit, Lua scripts and templates into place; never over a file of yours."""
    from dgx_music.cli import checking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        checking.install_assets(cli, registering=registering)


@app.command("remove-assets")
def remove_assets(as_json: Json = False) -> None:
    """Take away what install-assets put into place, unless you changed it."""
    from dgx_music.cli import checking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        checking.remove_assets(cli)


@db_app.command("upgrade")
def db_upgrade(as_json: Json = False) -> None:
    """Bring the database to this version's schema; a copy of the old one is kept."""
    from dgx_music.jobs import schema  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        before, after = schema.upgrade(cli.paths.database)
        what = (
            "made"
            if before is None
            else "up to date already"
            if before == after
            else f"upgraded from {before}"
        )
        data = {"database": str(cli.paths.database), "before": before, "after": after}
        cli.show(data, f"{cli.paths.database}: {what} (schema {after})")
