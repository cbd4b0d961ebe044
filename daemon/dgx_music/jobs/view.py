"""A job as plain data, whole, for programs: what the command line prints with `--json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from dgx_music.jobs.job import Job
    from dgx_music.library.take import Take

__all__ = ["job_view", "take_view"]


def job_view(job: Job, library: Path) -> dict[str, Any]:
    """Return everything that is known of a job; paths are absolute."""
    return {
        "job_id": job.id,
        "status": job.state.value,
        "current_step": job.step.value,
        "progress": round(job.progress, 4),
        "engine": job.engine,
        "request": job.request.model_dump(mode="json"),
        "source": {"surface": job.source.surface, "ref": job.source.ref},
        "attempts": job.attempts,
        "error_code": job.error_code,
        "error_message": job.error_message,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.finished_at,
        "session": job.session_path,
        "takes": [take_view(take, library) for take in job.takes],
    }


def take_view(take: Take, library: Path) -> dict[str, Any]:
    """Return what is known of a finished take; loudness in LUFS, peaks in dBTP and dBFS, tempo in BPM."""
    own, *stems = take.files
    return {
        "take": take.index + 1,
        "seed": take.seed,
        "path": str(library / own.final),
        "sha256": own.sha256,
        "stems": {stem.stem: str(library / stem.final) for stem in stems},
        "engine": take.engine,
        "engine_version": take.engine_version,
        "model": take.model,
        "neural": take.neural,
        "device": take.device,
        "precision": take.precision,
        "weights_licence": take.licence,
        "duration_s": round(take.duration_s, 6),
        "frames": take.frames,
        "channels": take.channels,
        "sample_rate_hz": take.sample_rate_hz,
        "bit_depth": take.bit_depth,
        "loudness_lufs": take.loudness_lufs,
        "true_peak_dbtp": take.true_peak_dbtp,
        "target_lufs": take.target_lufs,
        "level_outcome": take.level_outcome,
        "level_remark": take.level_remark,
        "bpm": take.bpm,
        "meter": take.meter,
        "key": take.key,
        "tempo_measured_bpm": take.tempo_measured_bpm,
        "tempo_confidence": take.tempo_confidence,
        "key_measured": take.key_measured,
        "key_confidence": take.key_confidence,
        "generation_s": round(take.generation_s, 3),
        "finishing_s": round(take.finishing_s, 3),
    }
