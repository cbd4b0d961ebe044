"""`generate` and its options, and nothing else."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from dgx_music.cli.context import Cli
from dgx_music.cli.options import (  # noqa: TC001 - typer reads the annotations
    At,
    Json,
    OnTopOption,
    Stems,
    TrackName,
)

__all__ = ["app"]

app = typer.Typer()


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
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="SESSION",
            help="Let the takes land in this Ardour session, at its sample rate and its tempo there.",
        ),
    ] = None,
    at: At = None,
    track: TrackName = None,
    on_top: OnTopOption = None,
    stems: Stems = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the takes, or print the job id.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Make takes from a prompt; by the daemon if one runs, else in place.

    Example: dgx-music generate "dusty lo-fi drums and rhodes, 84 bpm, A minor" --bars 8 --takes 3 --session
             dgx-music generate "fill, brushed snare" --bars 2 --into ~/music/song --at 17
    """
    if into is None and (at or track or on_top or stems):
        raise typer.BadParameter(
            "--at, --track, --on-top and --stems say how takes land in a session: name it, --into"
        )
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
        if into is not None:
            from dgx_music.cli.into import Landing, fields_with_session  # noqa: PLC0415 - lxml

            given = fields_with_session(cli, given, Landing(into, at, track, on_top, stems=stems))
        generating.generate(cli, given, wait=wait, output=output)
