"""MusicGen at full size (random weights) beside stock audiocraft and transformers, as ratios in one run; never judged.

`TEST_MODELS_DIR` keeps the checkpoints, `BENCHMARK_ROUNDS` says how many interleaved rounds (3).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from dgx_music.benchmark.report import table
from dgx_music.benchmark.run import Result, run
from dgx_music.benchmark.task import Task
from dgx_music.engines.musicgen.settings import MusicGenSettings
from support.musicgen_checkpoints import build

pytestmark = [pytest.mark.benchmark, pytest.mark.fullsize]


def test_full_size_beside_the_others(tmp_path_factory, capsys):
    root = Path(os.environ.get("TEST_MODELS_DIR") or tmp_path_factory.mktemp("models"))
    own = MusicGenSettings(
        model=str(build(root / "small-audiocraft", "small", format="audiocraft")),
        cache_dir=root / "cache",
        device="cpu",
        precision="int8",
    )
    hub = replace(own, model=str(build(root / "small-hub", "small")))
    results = [Result("memory bandwidth", Task("bandwidth", own))]
    for name, settings in (("kernel", own), ("ONNX", replace(own, kernel=False))):
        results += [
            Result(
                f"int8 {name}, batch {batch}, after {frame}",
                Task("steps", settings, batch=batch, at_frame=frame),
            )
            for batch, frame in ((1, 0), (1, 500), (8, 0), (8, 500))
        ]
    results += [
        Result(f"{precision}, batch 1, after 0", Task("steps", replace(own, precision=precision), steps=20))
        for precision in ("bf16", "fp32")
    ]
    results += [
        Result(
            f"audiocraft, batch {batch}, after {frame}",
            Task("steps", own, engine="audiocraft", steps=8, batch=batch, at_frame=frame),
        )
        for batch, frame in ((1, 0), (1, 500), (8, 0))
    ]
    results.append(
        Result("transformers, batch 1, after 0", Task("steps", hub, engine="transformers", steps=8))
    )
    results += [
        Result(f"take of {length:g} s", Task("take", own, duration_s=length)) for length in (16.0, 30.0)
    ]
    results.append(Result("int8 against fp32", Task("precision", own)))
    data = run(results, int(os.environ.get("BENCHMARK_ROUNDS", "3")), lambda _share, _name: None)
    by_name = {result.name: result for result in results}
    stock = by_name["audiocraft, batch 1, after 0"].median("ms")
    with capsys.disabled():
        print(f"\n{table(data)}\n")
        for result in results:
            if result.task.kind == "steps" and result.median("ms") and stock:
                per_take = result.median("ms") / result.task.batch
                print(
                    f"{result.name:<34} best {result.best('ms', largest=False):8.1f} ms, {stock / per_take:6.1f} × stock, a take"
                )
