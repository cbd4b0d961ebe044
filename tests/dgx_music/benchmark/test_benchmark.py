"""The benchmark measures what it says, on a tiny model, and shows it as a table, as JSON and as a picture."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from lxml import etree

from dgx_music.benchmark import task
from dgx_music.benchmark.picture import picture
from dgx_music.benchmark.report import table
from dgx_music.benchmark.run import plan, run
from dgx_music.benchmark.task import Task, measure
from dgx_music.engines.musicgen.decoder.base import OutOfRoomError
from dgx_music.engines.musicgen.settings import MusicGenSettings
from support.musicgen_checkpoints import build


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmark")
    return MusicGenSettings(
        model=str(build(root / "tiny", "tiny")), cache_dir=root / "cache", download=False, device="cpu"
    )


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_step_is_timed_and_what_it_has_to_read_is_said(settings, precision):
    from dataclasses import replace

    own = replace(settings, precision=precision)
    early = measure(Task("steps", own, batch=2, steps=10))
    late = measure(Task("steps", own, batch=2, steps=10, at_frame=200))
    for each in (early, late):
        assert each["steps_s"] == pytest.approx(1000 / each["ms"])
        assert each["audio_s_s"] == pytest.approx(2 * each["steps_s"] / 50)
        assert each["peak_mb"] > 30
    assert late["read_gb"] > early["read_gb"] > 0


def test_a_take_is_timed_with_its_first_second_before_its_end(settings):
    figures = measure(Task("take", settings, duration_s=4.0))
    assert 0 < figures["first_second_s"] < figures["s"]
    assert figures["real_time"] == pytest.approx(4 / figures["s"])


def test_a_precision_is_compared_with_fp32(settings):
    figures = measure(Task("precision", settings))
    assert 0 < figures["kl"] < 0.05
    assert figures["cosine"] > 0.99


def test_what_cannot_be_measured_is_skipped_with_the_reason(settings):
    figures = measure(Task("steps", settings, engine="audiocraft", steps=5))
    assert "state_dict.bin" in figures["skipped"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OutOfRoomError("16 rows do not fit beside 0 of 2"),
            "too little memory: 16 rows do not fit beside 0 of 2",
        ),
        (MemoryError(), "too little memory"),
        (RuntimeError("no kernel image\nfor this device"), "no kernel image"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_what_fails_for_want_of_something_is_skipped_with_the_reason(
    settings, monkeypatch, capsys, error, said
):
    def fail(_task):
        raise error

    monkeypatch.setattr(task, "_run", fail)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(Task("steps", settings)), default=str)))
    task.main()
    assert json.loads(capsys.readouterr().out) == {"skipped": said}


def test_a_run_goes_round_and_shows_medians_in_all_three_forms(settings, monkeypatch):
    monkeypatch.setattr("dgx_music.benchmark.run._BATCHES", (1,))
    results = [
        each
        for each in plan(settings, durations_s=(8.0,), peers=True)
        if each.task.kind in ("bandwidth", "take")
        or "int8, batch 1, after 0" in each.name
        or "audiocraft" in each.name
    ]
    said = []
    data = run(results, 2, lambda share, name: said.append((share, name)))
    assert [share for share, _ in said] == sorted(share for share, _ in said)
    by_name = {each["name"]: each for each in data["results"]}
    assert len(by_name["int8, batch 1, after 0 frames"]["rounds"]) == 2
    assert by_name["take of 8 s"]["target_s"] == 10
    text = table(data)
    assert "take of 8 s" in text
    assert "10 s met" in text or "10 s missed" in text
    assert "state_dict.bin" in text
    json.dumps(data)
    drawn = etree.fromstring(picture(data))
    labels = [each.text for each in drawn.iter("{*}text")]
    assert "int8, batch 1, after 0 frames" in labels
    assert not any("audiocraft" in label for label in labels)
