"""The metadata chunks of a take: bext, iXML and LIST INFO."""

from __future__ import annotations

import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dgx_music import __version__
from dgx_music.library.provenance import how_made, ixml
from dgx_music.library.wav import Chunk

if TYPE_CHECKING:
    from datetime import datetime

    from dgx_music.engines.base import RawAudio, TakeSpec
    from dgx_music.finishing.master import LevelReport, Master

__all__ = ["bext", "info_list", "metadata_chunks"]

_UNKNOWN = 0x7FFF
"""What EBU Tech 3285 writes for a loudness field without a figure."""


def bext(
    *,
    description: str,
    reference: str,
    made_at: datetime,
    time_reference_samples: int,
    level: LevelReport | None,
    coding_history: str,
) -> Chunk:
    """Return the Broadcast Audio Extension, version 2 (EBU Tech 3285, 2011).

    Args:
        description: what it is, cut at 256 ASCII characters.
        reference: the originator's own id, at most 32 characters.
        made_at: date and time of making, written as it is given.
        time_reference_samples: where it starts on the timeline; Ardour's "original position".
        level: measured loudness and true peak; range, momentary and short-term are not measured.
        coding_history: one line on format and maker.
    """
    loudness = level.loudness_lufs if level else None
    peak = level.true_peak_dbtp if level else None
    return Chunk(
        b"bext",
        struct.pack(
            "<256s32s32s10s8sQH64x5h180x",
            _ascii(description, 256),
            _ascii("DGX Music", 32),
            _ascii(reference, 32),
            made_at.strftime("%Y-%m-%d").encode(),
            made_at.strftime("%H:%M:%S").encode(),
            time_reference_samples,
            2,
            _hundredths(loudness),
            _UNKNOWN,
            _hundredths(peak),
            _UNKNOWN,
            _UNKNOWN,
        )
        + _ascii(coding_history, 4096)
        + b"\r\n\0",
    )


def info_list(entries: dict[str, str]) -> Chunk:
    """Return a LIST INFO chunk of UTF-8 texts by their four-letter ids."""
    parts = [
        Chunk(name.encode(), text.encode("utf-8", "replace") + b"\0").encoded()
        for name, text in entries.items()
    ]
    return Chunk(b"LIST", b"INFO" + b"".join(parts))


def _hundredths(value: float | None) -> int:
    if value is None:
        return _UNKNOWN
    return max(-32768, min(_UNKNOWN - 1, round(value * 100)))


def _ascii(text: str, length: int) -> bytes:
    return text.encode("ascii", "replace")[:length]


def metadata_chunks(
    master: Master, raw: RawAudio, spec: TakeSpec, *, job_id: str, stem: str | None, made_at: datetime
) -> list[Chunk]:
    """Return all metadata of one file, in the order in which it is written; `stem` is `None` for the take itself."""
    request, info = spec.request, raw.info
    made = how_made(neural=info.neural)
    maker = f"{info.name} {info.version}, model {info.model}, seed {spec.seed}"
    note = "; ".join(filter(None, (made, maker, raw.notes)))
    what = f"{request.prompt} [{stem}]" if stem else request.prompt
    mode = "mono" if master.audio.shape[0] == 1 else "stereo"
    return [
        bext(
            description=f"{made}: {what}",
            reference=f"{job_id}_t{spec.index + 1}",
            made_at=made_at,
            time_reference_samples=request.session.position if request.session else 0,
            level=None if stem else master.level,
            coding_history=f"A=PCM,F={master.sample_rate_hz},W={master.bit_depth},M={mode},"
            f"T=DGX Music {__version__}; {made}; {maker}",
        ),
        Chunk(
            b"iXML",
            ixml(
                _record(master, raw, spec, job_id=job_id, stem=stem, made_at=made_at),
                note=note,
                take=spec.index + 1,
                tracks=("Mono",) if mode == "mono" else ("Left", "Right"),
                sample_rate_hz=master.sample_rate_hz,
                bit_depth=master.bit_depth,
            ),
        ),
        info_list(
            {
                "INAM": what,
                "ISFT": f"DGX Music {__version__} ({info.name} {info.version})",
                "ICMT": note,
                "ICRD": made_at.strftime("%Y-%m-%d"),
            }
        ),
    ]


def _record(
    master: Master, raw: RawAudio, spec: TakeSpec, *, job_id: str, stem: str | None, made_at: datetime
) -> dict[str, Any]:
    """Return what `read_provenance` gives back: everything needed to make the take again, and what came out."""
    return {
        "generator": "DGX Music",
        "version": __version__,
        "made": how_made(neural=raw.info.neural),
        "made_at": made_at.isoformat(timespec="seconds"),
        "job_id": job_id,
        "take_index": spec.index,
        "seed": spec.seed,
        "stem": stem,
        "request": spec.request.model_dump(mode="json"),
        "engine": raw.info.name,
        "engine_version": raw.info.version,
        "neural": raw.info.neural,
        "model": raw.info.model,
        "model_hash": raw.info.model_hash,
        "device": raw.info.device,
        "precision": raw.info.precision,
        "weights_licence": raw.info.licence,
        "bpm": raw.bpm,
        "meter": raw.meter,
        "key": raw.key,
        "notes": raw.notes,
        "level": asdict(master.level),
        "analysis": asdict(master.analysis),
    }
