"""Finds out which take or stem some audio is, from its samples alone; runs in commands and child processes.

Three ways, the surest first. The channels' hashes (`library.pcm`) find what holds the same samples, whatever became of the
file around them. Where they do not, files of the library with as many frames are compared sample by sample: a session
of 24 bits scales by 2^23 - 1 when it writes, and so moves loud samples by a step. Where that finds nothing either, the
record that a take carries in its iXML chunk is asked, which survives what changes the samples, but not every program.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import soundfile
import sqlalchemy as sa

from dgx_music.errors import AudioError, LibraryError, RequestError
from dgx_music.jobs.database import Database
from dgx_music.jobs.tables import files, jobs, takes
from dgx_music.library.pcm import file_pcm, frames_at_once, in_steps
from dgx_music.library.provenance import read_provenance
from dgx_music.reading.files import open_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

__all__ = ["Made", "Sounding", "identify"]

By = Literal["samples", "nearly the same samples", "record"]

_STEPS_APART = 1.5
"""Half a step from rounding to 24 bits, and one from the scale of 2^23 - 1."""
_AUDIBLE_STEPS = 64
"""What is quieter (-102 dBFS) is near to everything that is as quiet."""


@dataclass(frozen=True)
class Sounding:
    """A channel to look for, or all channels of a file."""

    path: str
    channel: int | None = None
    """From 0."""


@dataclass(frozen=True)
class Made:
    """What made some audio."""

    exact: bool
    """Whether the samples are the very ones that were made."""
    by: By
    """How it was found."""
    job_id: str
    take: int
    """1 for the job's first take."""
    stem: str | None
    """The part's name, or `None` for the take itself."""
    prompt: str
    seed: int
    engine: str
    model: str
    neural: bool
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    bpm: float | None
    meter: str | None
    key: str | None
    tempo_measured_bpm: float | None
    tempo_confidence: float
    created_at: str
    path: str
    """Of the file in the library; empty where only the record tells."""
    frames: int
    sample_rate_hz: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with `found`."""
        return {"found": True, **asdict(self)}


@dataclass(frozen=True)
class _Heard:
    """A file that was listened to, and which of its channels count."""

    path: str
    descriptor: int
    channels: tuple[int, ...]
    frames: int
    sample_rate_hz: int
    sha256: tuple[str, ...]
    """Of the channels that count."""


def identify(
    database: Path, library: Path, sources: Sequence[Sounding], *, roots: Sequence[Path] | None = None
) -> Made | None:
    """Say what made these channels, taken together; `None` where nothing of this library did.

    Args:
        database: the store's file; it may be missing.
        library: the library's root.
        sources: the channels of one region, or one whole file.
        roots: the folders that they may lie in; anywhere if `None`.

    Raises:
        RequestError: a source may not be read, or is no audio file.
        AudioError: a source is cut off.
        StoreError: the database cannot be used.
    """
    if not sources:
        raise RequestError("sources: empty; name at least one file")
    with ExitStack() as opened:
        heard = []
        for source in sources:
            descriptor = _open(source.path) if roots is None else open_inside(source.path, roots)
            opened.callback(os.close, descriptor)
            heard.append(_listen(descriptor, source))
        return _found(database, library, heard)


def _found(database: Path, library: Path, heard: Sequence[_Heard]) -> Made | None:
    by_record = _by_record(heard)
    if not database.exists():
        return by_record
    store = Database(database)
    try:
        with store.read() as db:
            found = _same(db, library, heard) or _nearly_the_same(db, library, heard)
            if found is None and by_record is not None:
                found = _of_job(db, library, by_record)
    finally:
        store.close()
    return found or by_record


def _listen(descriptor: int, source: Sounding) -> _Heard:
    try:
        with soundfile.SoundFile(descriptor, closefd=False) as file:
            pcm = file_pcm(file)
    except soundfile.SoundFileError as err:
        raise RequestError(f"{source.path!r} cannot be read as audio: {err}") from err
    except AudioError as err:
        raise AudioError(f"{source.path!r}: {err}") from err
    count = len(pcm.sha256)
    if source.channel is not None and not 0 <= source.channel < count:
        raise RequestError(
            f"{source.path!r} has {count} channel(s), so no channel {source.channel}; they count from 0"
        )
    channels = tuple(range(count)) if source.channel is None else (source.channel,)
    hashes = tuple(pcm.sha256[channel] for channel in channels)
    return _Heard(source.path, descriptor, channels, pcm.frames, pcm.sample_rate_hz, hashes)


def _open(text: str) -> int:
    path = Path(text)
    if not path.is_file():
        raise RequestError(f"{text!r} is no file; name an audio file")
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


_MADE = (
    sa.select(
        files.c.final,
        files.c.stem,
        files.c.pcm_sha256,
        takes,
        jobs.c.created_at,
        jobs.c.req_prompt,
    )
    .join(takes, takes.c.id == files.c.take_id)
    .join(jobs, jobs.c.id == takes.c.job_id)
    # The take before its stems, the newest first: what was made twice in the same way is the later one.
    .order_by(jobs.c.seq.desc(), takes.c.index, files.c.id)
)


def _same(db: sa.Connection, library: Path, heard: Sequence[_Heard]) -> Made | None:
    hashes = [sha256 for item in heard for sha256 in item.sha256]
    holding = [files.c.pcm_sha256.contains(sha256, autoescape=True) for sha256 in set(hashes)]
    row = db.execute(_MADE.where(*holding).limit(1)).first()
    return None if row is None else _made(row, library, "samples")


def _nearly_the_same(db: sa.Connection, library: Path, heard: Sequence[_Heard]) -> Made | None:
    frames = heard[0].frames
    if any(item.frames != frames for item in heard):
        return None
    for row in db.execute(_MADE.where(takes.c.frames == frames)):
        if _all_near(heard, library / row.final):
            return _made(row, library, "nearly the same samples")
    return None


def _all_near(heard: Sequence[_Heard], path: Path) -> bool:
    """Say whether every channel that was heard is, to a step of 24 bits, a channel of the file."""
    try:
        with soundfile.SoundFile(path) as ours:
            return all(_near(item, ours) for item in heard)
    except (OSError, soundfile.SoundFileError):
        return False  # gone from the library, or damaged: then it is not known to be this


def _near(item: _Heard, ours: soundfile.SoundFile) -> bool:
    os.lseek(item.descriptor, 0, os.SEEK_SET)
    with soundfile.SoundFile(item.descriptor, closefd=False) as theirs:
        possible = {channel: set(range(ours.channels)) for channel in item.channels}
        loudest = 0.0
        at_once = frames_at_once(max(theirs.channels, ours.channels))
        for theirs_block, ours_block in zip(_steps(theirs, at_once), _steps(ours, at_once), strict=False):
            if theirs_block.shape[1] != ours_block.shape[1]:
                return False
            for channel, left in possible.items():
                apart = np.abs(ours_block - theirs_block[channel]).max(axis=1)
                left.intersection_update(np.flatnonzero(apart <= _STEPS_APART + 1e-6).tolist())
                loudest = max(loudest, float(np.abs(theirs_block[channel]).max()))
            if not all(possible.values()):
                return False
    return loudest > _AUDIBLE_STEPS


def _steps(file: soundfile.SoundFile, at_once: int) -> Iterator[npt.NDArray[np.float64]]:
    """Read a file from its beginning as `(channels, frames)` in steps of 24 bits, not rounded to them."""
    file.seek(0)
    while len(block := file.read(at_once, dtype="float64", always_2d=True)):
        yield in_steps(block.T)


def _by_record(heard: Sequence[_Heard]) -> Made | None:
    found = [_of_record(item) for item in heard]
    first = found[0]
    if first is None or any(
        item is None or (item.job_id, item.take, item.stem) != (first.job_id, first.take, first.stem)
        for item in found
    ):
        return None
    return first


def _of_record(item: _Heard) -> Made | None:
    try:
        record = read_provenance(Path(f"/proc/self/fd/{item.descriptor}"))
        request, level, analysis = record["request"], record["level"], record["analysis"]
        return Made(
            exact=False,
            by="record",
            job_id=str(record["job_id"]),
            take=int(record["take_index"]) + 1,
            stem=record["stem"],
            prompt=str(request["prompt"]),
            seed=int(record["seed"]),
            engine=str(record["engine"]),
            model=str(record["model"]),
            neural=bool(record["neural"]),
            loudness_lufs=level["loudness_lufs"],
            true_peak_dbtp=level["true_peak_dbtp"],
            bpm=record["bpm"],
            meter=record["meter"],
            key=record["key"],
            tempo_measured_bpm=analysis["tempo_bpm"],
            tempo_confidence=float(analysis["tempo_confidence"]),
            created_at=str(record["made_at"]),
            path="",
            frames=item.frames,
            sample_rate_hz=item.sample_rate_hz,
        )
    except (LibraryError, LookupError, TypeError, ValueError):
        return None  # another program's file, or a record that somebody wrote by hand


def _of_job(db: sa.Connection, library: Path, record: Made) -> Made | None:
    """Return what the database knows of the take that a record names."""
    wanted = (
        (takes.c.job_id == record.job_id)
        & (takes.c.index == record.take - 1)
        & (files.c.stem.is_not_distinct_from(record.stem))
    )
    row = db.execute(_MADE.where(wanted).limit(1)).first()
    return None if row is None else _made(row, library, "record")


def _made(row: sa.Row[Any], library: Path, by: By) -> Made:
    return Made(
        exact=by == "samples",
        by=by,
        job_id=row.job_id,
        take=row._mapping[takes.c.index] + 1,  # noqa: SLF001 - SQLAlchemy's public name
        stem=row.stem,
        prompt=row.req_prompt,
        seed=row.seed,
        engine=row.engine,
        model=row.model,
        neural=bool(row.neural),
        loudness_lufs=row.loudness_lufs,
        true_peak_dbtp=row.true_peak_dbtp,
        bpm=row.bpm,
        meter=row.meter,
        key=row.key,
        tempo_measured_bpm=row.tempo_measured_bpm,
        tempo_confidence=row.tempo_confidence,
        created_at=row.created_at,
        path=str(library / row.final),
        frames=row.frames,
        sample_rate_hz=row.sample_rate_hz,
    )
