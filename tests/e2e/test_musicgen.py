"""MusicGen as its users run it: by command, by OSC, several jobs at once, cancelled, and killed in the middle.

The weights are random and tiny, the code is the real one; `-m fullsize` runs the same on a full-size musicgen-small.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from dgx_music.library.provenance import read_provenance
from support.ardour import ArdourTools, needs_ardour
from support.daemon import OscSender, installation
from support.musicgen_checkpoints import build

PROMPT = "dusty lo-fi drums and rhodes"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return lambda shape, kind: build(root / f"{shape}-{kind}", shape, format=kind)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, environ, folder):
    """A daemon whose MusicGen uses a tiny model; the queue is empty when a test ends."""
    own = {
        **environ,
        "DGX_MUSIC__MUSICGEN__MODEL": str(folder("tiny", "hub")),
        "DGX_MUSIC__MUSICGEN__DOWNLOAD": "false",
    }
    with installation(tmp_path_factory.mktemp("musicgen") / "home", own) as made:
        made.start()
        yield made


@pytest.fixture
def sender(daemon):
    with OscSender(daemon.osc) as made:
        yield made


@pytest.mark.parametrize("kind", ["hub", "audiocraft"])
def test_a_prompt_becomes_takes_a_session_and_their_record(here, folder, kind):
    job = here.json(
        "generate", PROMPT, "--engine", "musicgen", "--model", folder("tiny", kind), "--bars", "2", "--bpm", "93.5",
        "--takes", "2", "--seed", "5", "--session", timeout=300,
    )  # fmt: skip
    assert job["status"] == "completed"
    frames = round(2 * 4 * 60 / 93.5 * 48_000)
    for number, take in enumerate(job["takes"]):
        info = soundfile.info(take["path"])
        assert (info.frames, info.samplerate, info.subtype) == (frames, 48_000, "PCM_24")
        assert take["loudness_lufs"] == pytest.approx(-16, abs=0.1)
        assert (take["engine"], take["precision"], take["neural"]) == ("musicgen", "int8", True)
        record = read_provenance(Path(take["path"]))
        assert record["made"] == "AI-generated"
        assert record["seed"] == 5 + number
        assert record["model"] == f"tiny-{kind}"
        assert record["precision"] == "int8"
        assert len(record["model_hash"]) == 64
        assert "bpm: 93.5" in record["notes"]
    assert here.json("inspect", job["session"])["findings"] == []


@pytest.mark.ardour
@needs_ardour
def test_ardour_opens_the_session_with_every_take(here, folder, tmp_path):
    job = here.json(
        "generate", PROMPT, "--engine", "musicgen", "--model", folder("tiny_stereo", "hub"), "--duration", "2",
        "--takes", "2", "--session", timeout=300,
    )  # fmt: skip
    found = ArdourTools(tmp_path / "ardour").inventory(Path(job["session"]))
    assert found.missing_sources == []


def test_auto_is_musicgen_where_its_weights_are_here(daemon, sender):
    sender.send("/dgx/generate", PROMPT, "duration", 2.0, "seed", 3)
    accepted = sender.until("/dgx/accepted")
    assert accepted[-1] == "musicgen"
    done = sender.until("/dgx/done", 120)
    assert done[1] == accepted[2]
    assert soundfile.info(done[3]).frames == 96_000
    assert "_musicgen_" in Path(done[3]).name


def test_the_first_of_a_take_can_be_heard_before_the_rest_is_made(daemon, sender):
    sender.send("/dgx/generate", PROMPT, "duration", 120.0, "engine", "musicgen")
    job_id = sender.until("/dgx/accepted")[2]
    while (preview := sender.until("/dgx/preview", 120))[4] < 1:
        pass
    assert preview[1] == job_id
    heard, rate_hz = soundfile.read(preview[3])
    assert len(heard) >= rate_hz
    assert np.abs(heard).max() > 0
    assert daemon.state(job_id) == "processing"
    sender.send("/dgx/cancel", job_id)
    sender.until("/dgx/cancelled", 60)
    daemon.await_(lambda: not Path(preview[3]).exists())


def test_a_cancelled_job_stops_and_the_others_in_its_batch_go_on(daemon, sender):
    sender.send(
        "/dgx/generate", PROMPT, "duration", 600.0, "engine", "musicgen", "takes", 2, "request_id", "long"
    )
    long = sender.until("/dgx/accepted")[2]
    sender.send("/dgx/generate", PROMPT, "duration", 20.0, "engine", "musicgen", "request_id", "short")
    short = sender.until("/dgx/accepted")[2]
    daemon.await_(lambda: daemon.state(long) == daemon.state(short) == "processing")
    sender.send("/dgx/cancel", long)
    assert sender.until("/dgx/cancelled", 60)[1] == long
    assert sender.until("/dgx/done", 120)[1] == short
    assert daemon.state(long) == "cancelled"
    assert not [name for name in daemon.library_files() if long in name]


def test_a_job_whose_worker_is_killed_in_the_middle_is_finished_after_the_restart(daemon, sender):
    sender.send("/dgx/generate", PROMPT, "duration", 60.0, "engine", "musicgen", "seed", 9)
    job_id = sender.until("/dgx/accepted")[2]
    sender.until("/dgx/preview", 120)
    [worker] = daemon.workers()
    os.kill(worker.pid, signal.SIGKILL)
    done = sender.until("/dgx/done", 180)
    assert done[1] == job_id
    job = daemon.json("status", job_id)
    assert job["attempts"] == 2
    assert len(job["takes"]) == 1


def test_a_job_is_finished_by_the_next_daemon_where_this_one_is_killed(tmp_path, environ, folder):
    own = {**environ, "DGX_MUSIC__MUSICGEN__MODEL": str(folder("tiny", "hub"))}
    with installation(tmp_path / "home", own) as here:
        here.start()
        with OscSender(here.osc) as sender:
            sender.send("/dgx/generate", PROMPT, "duration", 60.0, "engine", "musicgen", "seed", 9)
            job_id = sender.until("/dgx/accepted")[2]
            sender.until("/dgx/preview", 120)
        here.stop(signal.SIGKILL)
        here.start()
        here.await_state(job_id, "completed", 180)
        assert len([name for name in here.library_files() if job_id in name]) == 1


def test_the_worker_decodes_without_torch(daemon, sender):
    sender.send("/dgx/generate", PROMPT, "duration", 1.0, "engine", "musicgen")
    sender.until("/dgx/done", 120)
    [worker] = daemon.workers()
    mapped = {
        Path(line.split()[-1]).name for line in Path(f"/proc/{worker.pid}/maps").read_text().splitlines()
    }
    assert any(name.startswith("onnxruntime_pybind11_state") for name in mapped)
    assert not any(name.startswith("libtorch") for name in mapped)


@pytest.mark.fullsize
@pytest.mark.parametrize("kind", ["hub", "audiocraft"])
def test_full_size_weights_make_a_take(here, tmp_path_factory, kind):
    cache = Path(os.environ.get("TEST_MODELS_DIR") or tmp_path_factory.mktemp("full"))
    model = build(cache / f"small-{kind}", "small", format=kind)
    job = here.json(
        "generate",
        PROMPT,
        "--engine",
        "musicgen",
        "--model",
        model,
        "--duration",
        "8",
        "--session",
        timeout=1800,
    )
    [take] = job["takes"]
    assert soundfile.info(take["path"]).frames == 8 * 48_000
    assert take["loudness_lufs"] == pytest.approx(-16, abs=0.1)
    print(json.dumps({key: take[key] for key in ("model", "precision", "generation_s")}), file=sys.stderr)
