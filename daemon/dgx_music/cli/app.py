"""The commands and their options, and nothing else."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from dgx_music.cli.context import Cli

__all__ = ["app", "main"]

app = typer.Typer(
    name="dgx-music",
    help="Prompts in, finished takes and Ardour sessions out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
template_app = typer.Typer(help="Ardour session templates.", no_args_is_help=True)
models_app = typer.Typer(help="MusicGen's models: which there are, which are here.", no_args_is_help=True)
app.add_typer(db_app, name="db")
app.add_typer(template_app, name="template")
app.add_typer(models_app, name="models")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobIds = Annotated[list[str], typer.Argument(metavar="JOB…", help="Job ids, such as gen_1a2b3c4d5e6f.")]


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
def generate(
    prompt: Annotated[
        str, typer.Argument(help="What the music should be; tempo, meter and key may stand in it.")
    ],
    duration: Annotated[float | None, typer.Option(help="Length in seconds (16).")] = None,
    bars: Annotated[int | None, typer.Option(help="Length in bars; needs a tempo.")] = None,
    samples: Annotated[int | None, typer.Option(help="Exact length in samples.")] = None,
    bpm: Annotated[float | None, typer.Option(help="Tempo, quarter notes a minute.")] = None,
    meter: Annotated[str | None, typer.Option(help="Time signature, such as 7/8.")] = None,
    key: Annotated[str | None, typer.Option(help="Key, such as 'C# minor'.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="The end runs into the beginning.")] = False,
    takes: Annotated[int | None, typer.Option(help="How many takes.")] = None,
    seed: Annotated[int | None, typer.Option(help="Take k (from 0) uses seed + k.")] = None,
    engine: Annotated[str | None, typer.Option(help="auto, or an engine's name.")] = None,
    model: Annotated[str | None, typer.Option(help="A model's name or path.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Nucleus sampling; 0 is off.")] = None,
    cfg_coef: Annotated[float | None, typer.Option(help="Classifier-free guidance.")] = None,
    continue_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Audio to go on from, inside a folder of reading.roots."),
    ] = None,
    continue_start: Annotated[
        int | None, typer.Option(help="Its first sample, in samples of that file.")
    ] = None,
    continue_length: Annotated[int | None, typer.Option(help="Number of its samples; to the end.")] = None,
    melody: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Audio whose melody or style to follow.")
    ] = None,
    melody_start: Annotated[int | None, typer.Option(help="Its first sample.")] = None,
    melody_length: Annotated[int | None, typer.Option(help="Number of its samples; to the end.")] = None,
    loudness: Annotated[str | None, typer.Option(help="LUFS, or ebu-r128, streaming, none.")] = None,
    sample_rate: Annotated[int | None, typer.Option(help="Sample rate in Hz.")] = None,
    bit_depth: Annotated[str | None, typer.Option(help="16, 24 or float.")] = None,
    session: Annotated[bool, typer.Option("--session", help="Also write an Ardour session.")] = False,
    request_id: Annotated[str | None, typer.Option(help="Sent twice, done once.")] = None,
    priority: Annotated[int | None, typer.Option(help="−10 to 10; higher goes first.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also copy the takes into this folder.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the takes, or print the job id.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Make takes from a prompt; by the daemon if one runs, else in place.

    Example: dgx-music generate "dusty lo-fi drums and rhodes, 84 bpm, A minor" --bars 8 --takes 3 --session
    """
    from dgx_music.cli import generating  # noqa: PLC0415

    fields: dict[str, object] = {
        "prompt": prompt,
        "duration": duration,
        "bars": bars,
        "samples": samples,
        "bpm": bpm,
        "meter": meter,
        "key": key,
        "loop": loop or None,
        "takes": takes,
        "seed": seed,
        "engine": engine,
        "model": model,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "cfg_coef": cfg_coef,
        "continue_from": generating.excerpt("continue", continue_from, continue_start, continue_length),
        "melody": generating.excerpt("melody", melody, melody_start, melody_length),
        "loudness": loudness,
        "sample_rate": sample_rate,
        "bit_depth": bit_depth,
        "make_session": session or None,
        "request_id": request_id,
        "priority": priority,
    }
    cli = Cli(as_json=as_json)
    with cli.errors():
        given = {name: value for name, value in fields.items() if value is not None}
        generating.generate(cli, given, wait=wait, output=output)


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


@app.command()
def session(
    job_ids: JobIds,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The session's folder, which must not exist.")
    ],
    ardour6: Annotated[
        bool, typer.Option("--ardour6", help="Write the older format that Ardour 6 reads.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build an Ardour session from finished jobs, one after the other on the grid."""
    from dgx_music.cli import sessions  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        sessions.build(cli, job_ids, output, ardour6=ardour6)


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


@template_app.command("list")
def template_list(as_json: Json = False) -> None:
    """List the shipped templates."""
    from dgx_music.cli import sessions  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        sessions.list_templates(cli)


@template_app.command("use")
def template_use(
    name: Annotated[str, typer.Argument(help="A shipped template's name, or a .template file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The new session's folder.")],
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 48_000,
    as_json: Json = False,
) -> None:
    """Make a new, empty session from a template."""
    from dgx_music.cli import sessions  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        sessions.use_template(cli, name, output, sample_rate)


@app.command()
def measure(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Audio files.")], as_json: Json = False
) -> None:
    """Measure loudness, true peak, tempo and key of audio files."""
    from dgx_music.cli import measuring  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        measuring.measure(cli, files)


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
def install_assets(as_json: Json = False) -> None:
    """Put configuration, systemd unit, Lua scripts and templates into place; never over a file of yours."""
    from dgx_music.cli import checking  # noqa: PLC0415

    cli = Cli(as_json=as_json)
    with cli.errors():
        checking.install_assets(cli)


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
