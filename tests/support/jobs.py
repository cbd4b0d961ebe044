"""Finished jobs whose files lie in a library, for tests of what is made of them."""

from __future__ import annotations

import numpy as np
import soundfile

from dgx_music.jobs import Job, JobState, JobStep, Source
from dgx_music.request import GenerationRequest
from support.takes import take


def finished_job(
    library,
    number=0,
    takes=1,
    stems=(),
    frames=480_000,
    rate=48_000,
    prompt="warm: pad / keys",
    fields=None,
    **facts,
):
    """A completed job of the sketch engine; `facts` change its takes, `fields` add to its request."""
    job_id = f"gen_{number:012x}"
    made = [take(i, job_id, stems, frames=frames, sample_rate_hz=rate, **facts) for i in range(takes)]
    for one in made:
        for file in one.files:
            path = library / file.final
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.zeros((frames, 2)), rate, subtype="PCM_24")
    return Job(
        id=job_id,
        request=GenerationRequest.from_fields({"prompt": prompt, "seed": 7, **(fields or {})}),
        source=Source("cli"),
        state=JobState.COMPLETED,
        step=JobStep.COMPLETED,
        progress=1.0,
        engine="sketch",
        attempts=1,
        error_code=None,
        error_message=None,
        created_at="2026-11-22T12:00:00+00:00",
        started_at=None,
        finished_at=None,
        session_path=None,
        cancel_asked=False,
        takes=tuple(made),
    )
