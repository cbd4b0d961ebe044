"""Writes a finished take into the staging folder, complete and synced; runs in the worker process."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.errors import LibraryError
from dgx_music.library.chunks import metadata_chunks
from dgx_music.library.naming import folder_of, take_file_name
from dgx_music.library.pcm import pcm_hashes
from dgx_music.library.publish import sync_folder
from dgx_music.library.take import StagedFile, Take
from dgx_music.library.wav import write_wav

if TYPE_CHECKING:
    from datetime import datetime

    from dgx_music.engines.base import RawAudio, TakeSpec
    from dgx_music.finishing.master import FileAudio, Master

__all__ = ["stage_take"]

_TEMPO_AGREES = 0.02
"""How far the measured tempo may be from the asked one for the file's name to carry it."""


def stage_take(
    master: Master,
    raw: RawAudio,
    spec: TakeSpec,
    *,
    job_id: str,
    staging_dir: Path,
    library_root: Path,
    made_at: datetime,
    generation_s: float = 0.0,
    finishing_s: float = 0.0,
) -> Take:
    """Write the take and its stems; return the take with the names that they will be published under.

    The same arguments give the same bytes. The names are free in the library at this moment; should one be
    taken until `publish`, that refuses it.

    Args:
        master: what `finish` gave.
        raw: what it was given.
        spec: the take's spec.
        job_id: names the files and goes into their metadata.
        staging_dir: on the library's file system; made if missing. A file left there by an attempt that died
            is replaced.
        library_root: the library's folder.
        made_at: date and time for the metadata, and for the folder `YYYY/MM/DD`.
        generation_s: how long the engine took.
        finishing_s: how long finishing took.

    Raises:
        LibraryError: when two stems would bear the same name.
        OSError: when the files cannot be written, for example on a full disk; nothing of this take is left.
    """
    parts: dict[str | None, FileAudio] = {None: master.audio}
    parts.update(master.stems)
    folder = folder_of(made_at)
    names = _free_names(
        library_root / folder, list(parts), raw, spec, job_id=job_id, bpm=_tempo_for_name(master, raw, spec)
    )
    staging_dir.mkdir(parents=True, exist_ok=True)
    files: list[StagedFile] = []
    try:
        for stem, audio in parts.items():
            staged = staging_dir / names[stem]
            staged.unlink(missing_ok=True)
            sha256, size_bytes = write_wav(
                staged,
                audio,
                sample_rate_hz=master.sample_rate_hz,
                bit_depth=master.bit_depth,
                metadata=metadata_chunks(master, raw, spec, job_id=job_id, stem=stem, made_at=made_at),
            )
            files.append(
                StagedFile(
                    str(staged.absolute()),
                    f"{folder}/{names[stem]}",
                    sha256,
                    size_bytes,
                    stem,
                    pcm_hashes(audio, master.bit_depth),
                )
            )
        sync_folder(staging_dir)
    except BaseException:
        for file in files:
            Path(file.staged).unlink(missing_ok=True)
        raise
    return Take(
        index=spec.index,
        seed=spec.seed,
        engine=raw.info.name,
        engine_version=raw.info.version,
        neural=raw.info.neural,
        model=raw.info.model,
        model_hash=raw.info.model_hash,
        files=tuple(files),
        frames=master.audio.shape[1],
        channels=master.audio.shape[0],
        sample_rate_hz=master.sample_rate_hz,
        bit_depth=master.bit_depth,
        loudness_lufs=master.level.loudness_lufs,
        true_peak_dbtp=master.level.true_peak_dbtp,
        sample_peak_dbfs=master.level.sample_peak_dbfs,
        target_lufs=master.level.target_lufs,
        level_outcome=master.level.outcome,
        level_remark=master.level.remark,
        bpm=raw.bpm,
        meter=raw.meter,
        key=raw.key,
        tempo_measured_bpm=master.analysis.tempo_bpm,
        tempo_confidence=master.analysis.tempo_confidence,
        key_measured=master.analysis.key,
        key_confidence=master.analysis.key_confidence,
        generation_s=generation_s,
        finishing_s=finishing_s,
        device=raw.info.device,
        precision=raw.info.precision,
        licence=raw.info.licence,
    )


def _tempo_for_name(master: Master, raw: RawAudio, spec: TakeSpec) -> float | None:
    """Return the tempo that the music is known to have: the engine's own, or the asked one where it is heard."""
    asked, measured = spec.request.bpm, master.analysis.tempo_bpm
    if raw.bpm is not None:
        return raw.bpm
    timeline = spec.request.timeline
    if timeline is not None and not timeline.is_constant:
        return None  # no one tempo is
    if asked is not None and measured is not None and abs(measured / asked - 1) <= _TEMPO_AGREES:
        return asked
    return None


def _free_names(
    folder: Path,
    stems: list[str | None],
    raw: RawAudio,
    spec: TakeSpec,
    *,
    job_id: str,
    bpm: float | None,
) -> dict[str | None, str]:
    """Return names that no file in the folder bears, by stem; a second edition is marked as such."""
    for edition in itertools.count(1):
        names = {
            stem: take_file_name(
                spec.request.prompt,
                engine=raw.info.name,
                job_id=job_id,
                take_index=spec.index,
                bpm=bpm,
                key=raw.key,
                stem=stem,
                edition=edition,
            )
            for stem in stems
        }
        if len(set(names.values())) < len(names):
            raise LibraryError(
                f"the stems {', '.join(repr(stem) for stem in stems if stem)} differ only in what a file name "
                "cannot carry; an engine must name its stems apart in letters a-z and digits"
            )
        if not any(os.path.lexists(folder / name) for name in names.values()):
            break
    return names
