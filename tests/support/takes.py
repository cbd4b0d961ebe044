"""Made-up takes for tests of what only keeps records of them."""

from __future__ import annotations

from dgx_music.library.take import StagedFile, Take


def take(index, job_id="gen_0", stems=(), **changes):
    names = [f"{job_id}_t{index + 1}", *(f"{job_id}_t{index + 1}_{stem}" for stem in stems)]
    files = tuple(
        StagedFile(f"/staging/{name}.wav", f"2026/11/22/{name}.wav", "ab" * 32, 1000, stem)
        for name, stem in zip(names, (None, *stems), strict=True)
    )
    values = {
        "index": index,
        "seed": 7 + index,
        "engine": "sketch",
        "engine_version": "1",
        "neural": False,
        "model": "numpy-synth",
        "model_hash": "",
        "files": files,
        "frames": 480_000,
        "channels": 2,
        "sample_rate_hz": 48_000,
        "bit_depth": 24,
        "loudness_lufs": -16.02,
        "true_peak_dbtp": -1.2,
        "sample_peak_dbfs": -1.3,
        "target_lufs": -16.0,
        "level_outcome": "on_target",
        "level_remark": "",
        "bpm": 93.5,
        "meter": "4/4",
        "key": "A minor",
        "tempo_measured_bpm": 93.4,
        "tempo_confidence": 0.8,
        "key_measured": None,
        "key_confidence": 0.0,
        "generation_s": 0.5,
        "finishing_s": 0.25,
    }
    return Take(**{**values, **changes})
