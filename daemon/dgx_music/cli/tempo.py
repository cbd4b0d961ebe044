"""`tempo`: a take's tempo, for a session that is to follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.assets.write import create_file
from dgx_music.delivery import labels
from dgx_music.delivery.tempo_file import tempo_file, tempo_of
from dgx_music.errors import AudioError, LibraryError, RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.cli.context import Cli
    from dgx_music.jobs import Job
    from dgx_music.library.take import Take
    from dgx_music.request import Timeline

__all__ = ["tempo"]


def tempo(cli: Cli, job_id: str, number: int, *, midi: Path | None, measured: bool) -> None:
    """Print the tempo that was asked for, played and measured; write a MIDI file with the one that holds.

    Args:
        cli: the command's surroundings.
        job_id: a completed job.
        number: one of its takes, from 1.
        midi: a MIDI file, which must not exist.
        measured: whether the measured tempo goes into it even where the engine knows which it played in.

    Raises:
        JobNotFoundError: there is no such job.
        RequestError: it has no such take.
        AudioError: a MIDI file is wanted and no tempo is known.
        LibraryError: the file is there already.
    """
    with cli.store() as store:
        job = store.get(job_id)
    if not 1 <= number <= len(job.takes):
        has = f"takes 1 to {len(job.takes)}" if job.takes else f"no takes, it is {job.state}"
        raise RequestError(f"--take {number}: {job.id} has {has}")
    take = job.takes[number - 1]
    data = _facts(job, take)
    timeline = tempo_of(job, take, measured=measured)
    if midi is not None:
        if timeline is None:
            raise AudioError(
                f"{job.id}: no tempo can be heard in take {number}"
                + ("" if measured else ", and the engine played on no grid")
            )
        try:
            create_file(midi, tempo_file(timeline, f"{labels.title(job)} tempo"))
        except FileExistsError as err:
            raise LibraryError(f"{midi}: is there already and is left alone; name a new file") from err
        except OSError as err:
            raise LibraryError(f"{midi}: cannot be written: {err.strerror or err}") from err
        data |= {"midi": str(midi), "midi_tempo": _described(timeline)}
    cli.show(data, _text(job, number, data))


def _facts(job: Job, take: Take) -> dict[str, Any]:
    asked = job.request
    points = asked.tempo_map or ()
    return {
        "job_id": job.id,
        "take": take.index + 1,
        "asked": {
            "bpm": asked.bpm,
            "meter": asked.meter,
            "tempo_map": [point.model_dump() for point in points],
        },
        "played": {"bpm": take.bpm, "meter": take.meter},
        "measured": {"bpm": take.tempo_measured_bpm, "confidence": take.tempo_confidence},
    }


def _text(job: Job, number: int, data: dict[str, Any]) -> str:
    asked, played, measured = data["asked"], data["played"], data["measured"]
    changes = len(asked["tempo_map"])
    neural = job.takes[number - 1].neural
    mapped = f", a tempo map of {changes} changes" if changes > 1 else ""
    heard = (
        "nothing to be heard"
        if measured["bpm"] is None
        else f"{measured['bpm']:.2f} BPM, confidence {measured['confidence']:.2f} of 1"
    )
    lines = [
        f"{job.id} take {number}",
        f"  asked     {_bpm(asked, 'no tempo')}{mapped}",
        f"  played    {_bpm(played, 'the tempo map' if mapped and not neural else 'unknown: the engine follows no grid')}",
        f"  measured  {heard}",
    ]
    if "midi" in data:
        lines += [
            f"  MIDI      {data['midi']}: {data['midi_tempo']}",
            "            in Ardour: Session > Import, tick 'Use MIDI Tempo Map'; it takes the place of the session's own",
        ]
    return "\n".join(lines)


def _bpm(tempo: dict[str, Any], unknown: str) -> str:
    parts = [f"{tempo['bpm']:g} BPM" if tempo["bpm"] is not None else "", tempo["meter"] or ""]
    return ", ".join(filter(None, parts)) or unknown


def _described(timeline: Timeline) -> str:
    if timeline.is_constant:
        meter = timeline.meters[0].meter
        return f"{float(timeline.bpm_at(timeline.changes[0])):g} BPM, {meter}"
    return f"a tempo map of {len(timeline.changes)} changes"
