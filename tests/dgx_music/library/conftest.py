from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dgx_music.finishing.finish import finish
from dgx_music.library.staging import stage_take
from support.signals import noise, raw_take

MADE_AT = datetime(2026, 11, 22, 18, 30, 5, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


@pytest.fixture
def stage(root):
    """Return a function that finishes and stages a take of noise with two stems."""

    def staged(
        *, rate=48_000, stems=("drums", "bass"), audio=None, job_id="gen_1a2b3c4d5e6f", folder="a", **fields
    ):
        parts = {name: noise(0.5, rate, seed=number) for number, name in enumerate(stems)}
        audio = (sum(parts.values()) if parts else noise(0.5, rate)) if audio is None else audio
        raw, spec = raw_take(audio, rate, stems=parts, **fields)
        return stage_take(
            finish(raw, spec),
            raw,
            spec,
            job_id=job_id,
            staging_dir=root / ".staging" / folder,
            library_root=root,
            made_at=MADE_AT,
            generation_s=1.5,
            finishing_s=0.25,
        )

    return staged
