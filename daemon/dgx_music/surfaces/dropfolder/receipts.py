"""What lies beside a prompt file when it is finished: the receipt, and the error text where something failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dgx_music.errors import DgxMusicError, RequestError
from dgx_music.jobs import JobState
from dgx_music.surfaces.dropfolder.names import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dgx_music.jobs import Job
    from dgx_music.library.take import Take
    from dgx_music.surfaces.dropfolder.claim import Claim

__all__ = ["job_errors", "receipt", "refusal"]


def receipt(claim: Claim, jobs: Sequence[Job], library_root: Path) -> str:
    """Return the receipt, JSON: every job in the file's order with its takes and what was measured on them."""
    data = {
        "format": "dgx-music-receipt/1",
        "file": printable(claim.name),
        "claim": claim.id,
        "jobs": [_job(row, job, library_root) for row, job in enumerate(jobs, start=1)],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def refusal(claim: Claim, error: DgxMusicError) -> str:
    """Return the text beside a file from which nothing was made."""
    problems = error.problems if isinstance(error, RequestError) else [str(error)]
    lines = [
        f"Nothing was made from {printable(claim.name)}.",
        "",
        "What was wrong, and what would be right:",
        *(f"  - {problem}" for problem in problems),
        "",
        "No job was started. Correct the file and drop it into the folder again.",
        f"(claim {claim.id})",
    ]
    return "\n".join(lines) + "\n"


def job_errors(claim: Claim, jobs: Sequence[Job]) -> str:
    """Return the text beside a file of which at least one job has no takes."""
    done = sum(job.state is JobState.COMPLETED for job in jobs)
    lines = [f"{len(jobs) - done} of {len(jobs)} jobs of {printable(claim.name)} have no takes.", ""]
    for row, job in enumerate(jobs, start=1):
        if job.state is JobState.FAILED:
            lines.append(f"  - job {row} ({job.id}) failed: {job.error_message or 'no reason was recorded'}")
            lines.append(f"    code {job.error_code or 'error'}, prompt {job.request.prompt[:200]!r}")
        elif job.state is JobState.CANCELLED:
            lines.append(f"  - job {row} ({job.id}) was cancelled; prompt {job.request.prompt[:200]!r}")
    if done:
        lines += [
            "",
            "The takes of the other jobs are in the library; the receipt beside this file lists them.",
        ]
        lines += ["To try again, drop a file with only the jobs above."]
    else:
        lines += ["", "To try again, drop the file into the folder again."]
    return "\n".join([*lines, f"(claim {claim.id})"]) + "\n"


def _job(row: int, job: Job, library_root: Path) -> dict[str, Any]:
    return {
        "row": row,
        "job_id": job.id,
        "state": str(job.state),
        "prompt": job.request.prompt,
        "engine": job.engine,
        "takes": [_take(take, library_root) for take in job.takes],
        "session": job.session_path,
        "error": (
            None
            if job.state is JobState.COMPLETED
            else {"code": job.error_code or str(job.state), "message": job.error_message or ""}
        ),
    }


def _take(take: Take, library_root: Path) -> dict[str, Any]:
    return {
        "path": printable(str(library_root / take.files[0].final)),
        "seed": take.seed,
        "engine": take.engine,
        "duration_s": take.duration_s,
        "loudness_lufs": take.loudness_lufs,
        "true_peak_dbtp": take.true_peak_dbtp,
        "tempo_measured_bpm": take.tempo_measured_bpm,
        "key_measured": take.key_measured,
    }
