"""The reference engine end to end, on a tiny checkpoint with random weights in audiocraft's own format."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if find_spec("audiocraft") is None:  # it cannot be imported outside of the stand-ins
    pytest.skip("audiocraft is not installed", allow_module_level=True)

from dgx_music.engines.audiocraft import AudiocraftEngine, engine, weights  # noqa: E402
from dgx_music.engines.audiocraft.stand_ins import STAND_INS  # noqa: E402
from dgx_music.engines.base import CancelledByUserError, EngineSettings, TakeSpec  # noqa: E402
from dgx_music.engines.musicgen.checkpoint.hashes import weights_sha256  # noqa: E402
from dgx_music.engines.musicgen.settings import MusicGenSettings  # noqa: E402
from dgx_music.errors import EngineError  # noqa: E402
from dgx_music.request import GenerationRequest  # noqa: E402
from support.musicgen_checkpoints import build  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 32_000


@dataclass
class Listener:
    """Notes what it is told, and cancels after so many steps."""

    cancel_after: int | None = None
    said: list[tuple[int, float, str]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def progress(self, take_index, fraction, step):
        self.said.append((take_index, fraction, step))
        if self.cancel_after is not None and len(self.steps) >= self.cancel_after:
            raise CancelledByUserError

    def preview(self, take_index, audio, sample_rate_hz):
        raise AssertionError("audiocraft gives nothing away before the end")

    def loaded(self, model, seconds):
        assert seconds > 0
        self.models.append(model)

    @property
    def steps(self):
        return [fraction for _, fraction, step in self.said if step == "generating"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Threads that wait for each other cost more than they bring with tensors this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("models") / "tiny", "tiny", format="audiocraft")


def settings(**musicgen):
    return EngineSettings(musicgen=MusicGenSettings(download=False, device="cpu", **musicgen))


@pytest.fixture(scope="module")
def shared():
    return AudiocraftEngine(settings())


def request(folder, **fields):
    return GenerationRequest.from_fields(
        {"prompt": "dusty drums", "duration": 0.5, "model": str(folder), **fields}
    )


def takes(wanted, *seeds):
    return [TakeSpec(index, seed, wanted) for index, seed in enumerate(seeds)]


def one(shared, wanted, seed=1, control=None):
    ((_, raw),) = shared.generate(takes(wanted, seed), control or Listener())
    return raw


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_take_says_what_made_it_and_how_far_it_is_without_a_network(shared, folder, no_network):
    control = Listener()

    raw = one(shared, request(folder, duration=0.73), control=control)

    assert raw.audio.shape == (1, 37 * 640)
    assert raw.audio.dtype == np.float32
    assert raw.sample_rate_hz == RATE_HZ
    assert raw.audio.std() > 0.01
    assert (raw.info.name, raw.info.neural, raw.info.model, raw.info.precision) == (
        "audiocraft",
        True,
        "tiny",
        "fp32",
    )
    assert raw.info.model_hash == weights_sha256(tuple(folder / name for name in weights.FILES), None)
    assert f"torch {torch.__version__}" in raw.info.version
    assert len(control.steps) >= 37
    assert control.steps == sorted(control.steps)
    assert control.steps[-1] <= 1


def test_a_take_depends_on_its_own_seed_alone(shared, folder):
    wanted = request(folder)
    together = dict(shared.generate(takes(wanted, 7, 8, 7), Listener()))
    alone = one(shared, wanted, 8)

    assert np.array_equal(together[1].audio, alone.audio)
    assert np.array_equal(together[0].audio, together[2].audio)
    assert not np.array_equal(together[0].audio, together[1].audio)


def test_prompt_and_sampling_reach_the_model(shared, folder):
    plain = one(shared, request(folder)).audio

    for other in (
        {"prompt": "bright piano"},
        {"temperature": 0.2},
        {"top_k": 2},
        {"top_p": 0.3},
        {"cfg_coef": 9},
    ):
        assert not np.array_equal(one(shared, request(folder, **other)).audio, plain), other


def test_a_model_stays_loaded_until_it_was_idle_for_long_enough(folder):
    own = AudiocraftEngine(settings(idle_unload_s=5, model=str(folder)))
    control = Listener()
    wanted = request("auto")
    list(own.generate(takes(wanted, 1, 2), control))
    list(own.generate(takes(wanted, 3), control))

    assert control.models == [str(folder)] == own.warm()
    own.rest(4.9)
    assert own.warm() == [str(folder)]
    own.rest(5)
    assert own.warm() == []


def test_a_cancelled_take_ends_at_once_and_leaves_no_trace_in_the_next(shared, folder):
    wanted = request(folder)
    expected = one(shared, wanted).audio
    control = Listener(cancel_after=5)

    with pytest.raises(CancelledByUserError):
        one(shared, wanted, seed=99, control=control)

    assert len(control.steps) == 5
    assert np.array_equal(one(shared, wanted).audio, expected)


@pytest.fixture
def narrow(shared, folder, monkeypatch, riff):
    """The engine with a window of 1 s, so that longer takes need several."""
    own = AudiocraftEngine(replace(settings(), reading_roots=(riff.parent,)))
    one(own, request(folder))
    monkeypatch.setattr(own._model.musicgen, "max_duration", 1)
    return own


@pytest.mark.parametrize("duration", [1.0, 2.5, 3.02])
def test_takes_longer_than_the_window_are_whole(narrow, folder, duration):
    raw = one(narrow, request(folder, duration=duration), control=(control := Listener()))

    assert raw.audio.shape[1] == round(duration * 50) * 640
    assert control.steps == sorted(control.steps)


def test_a_loop_is_as_long_as_asked_to_the_sample(shared, folder):
    wanted = request(folder, duration=None, bars=1, bpm=241, loop=True)

    assert one(shared, wanted).audio.shape[1] == round(4 * 60 / 241 * RATE_HZ)


@pytest.fixture
def riff(tmp_path):
    import soundfile

    path = tmp_path / "riff.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (48_000, 2))
    soundfile.write(path, noise, 48_000)
    return path


def test_a_continuation_gives_the_new_audio_only_and_depends_on_what_came_before(folder, riff):
    own = AudiocraftEngine(replace(settings(), reading_roots=(riff.parent,)))
    wanted = request(folder, duration=0.6, continue_from={"path": str(riff)})
    earlier = request(folder, duration=0.6, continue_from={"path": str(riff), "length": 24_000})

    raw = one(own, wanted)

    assert raw.audio.shape == (1, 30 * 640)
    assert not np.array_equal(raw.audio, one(own, earlier).audio)


def test_a_job_may_read_from_folders_of_its_own_besides_the_settings(folder, riff):
    wanted = request(folder, duration=0.6, continue_from={"path": str(riff)})
    spec = TakeSpec(0, 3, wanted, reading_roots=(riff.parent,))
    elsewhere = AudiocraftEngine(replace(settings(), reading_roots=(riff.parent / "elsewhere",)))
    usual = AudiocraftEngine(replace(settings(), reading_roots=(riff.parent,)))

    ((_, raw),) = elsewhere.generate([spec], Listener())

    assert np.array_equal(raw.audio, one(usual, wanted, seed=3).audio)


def test_a_long_excerpt_is_continued_from_its_end(narrow, folder, riff):
    # Of a window of 1 s, 0.4 s are what it knows of the one before: so much of the excerpt is heard.
    whole = one(narrow, request(folder, duration=2, continue_from={"path": str(riff)}))
    end = one(
        narrow, request(folder, duration=2, continue_from={"path": str(riff), "start": 48_000 - 24_000})
    )

    assert whole.audio.shape[1] == end.audio.shape[1] == 100 * 640
    # Resampling rounds the excerpt's beginning, which lies outside, and nothing at its end.
    assert np.array_equal(whole.audio, end.audio)


def test_what_audiocraft_cannot_do_is_said(shared, folder, riff):
    excerpt = {"path": str(riff)}

    with pytest.raises(EngineError, match="tiny cannot follow a melody; take musicgen-melody"):
        one(shared, request(folder, melody=excerpt))
    with pytest.raises(EngineError, match="leave one out"):
        one(shared, request(folder, melody=excerpt, continue_from=excerpt))


def test_a_melody_model_without_the_separator_names_the_package(shared, tmp_path):
    if engine.find_spec("demucs") is not None:
        pytest.skip("demucs is installed")
    melody = build(tmp_path / "melody", "tiny_melody", format="audiocraft")

    with pytest.raises(EngineError, match="demucs, which is not installed"):
        one(shared, request(melody))


class Villain:
    """Pickles to a call that makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_a_file_that_holds_code_is_refused_and_its_code_not_run(shared, folder, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with zipfile.ZipFile(foreign / "state_dict.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Villain(tmp_path / "run"), protocol=2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    (foreign / "compression_state_dict.bin").write_bytes((folder / "compression_state_dict.bin").read_bytes())

    with pytest.raises(EngineError, match="hold more than weights"):
        one(shared, request(foreign))

    assert not (tmp_path / "run").exists()


def test_a_switch_that_lets_files_run_code_is_refused(folder, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

    with pytest.raises(EngineError, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        one(AudiocraftEngine(settings()), request(folder))


def test_a_truncated_file_is_named(shared, folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in weights.FILES:
        data = (folder / name).read_bytes()
        (broken / name).write_bytes(data[: len(data) // 2])

    with pytest.raises(EngineError, match="broken"):
        one(shared, request(broken))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("musicgen-small", "musicgen.download is off"),
        ("musicgen-tuba", "those are musicgen-small"),
        ("/", "does not hold state_dict.bin"),
    ],
)
def test_a_model_that_is_not_there_is_said_with_what_would_help(shared, model, words):
    with pytest.raises(EngineError, match=words):
        one(shared, request(model))


def test_a_codec_that_is_only_named_is_found_in_the_hubs_cache(shared, tmp_path, no_network, monkeypatch):
    named = build(tmp_path / "named", "tiny", format="audiocraft", codec="pretrained")
    monkeypatch.setenv("HF_HUB_CACHE", str(named / "hub"))

    assert one(shared, request(named)).audio.std() > 0.01


def test_a_text_encoder_that_is_nowhere_is_named(shared, folder, tmp_path, no_network):
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in weights.FILES:
        (alone / name).write_bytes((folder / name).read_bytes())

    with pytest.raises(EngineError, match=r"t5-small, which is neither in .* nor in the hub's cache"):
        one(shared, request(alone))


def test_it_is_found_usable_without_importing_anything_heavy_and_never_chosen_by_auto():
    code = (
        "import sys; from dgx_music.engines.audiocraft import AudiocraftEngine\n"
        "from dgx_music.engines.base import EngineSettings\n"
        "found = AudiocraftEngine.availability(EngineSettings())\n"
        "print(found.usable, found.automatic, found.hears_audio)\n"
        "print(*sorted({'torch', 'numpy', 'audiocraft', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == ["True False True", ""]


def test_packages_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(
        engine, "find_spec", lambda name: None if name in ("julius", "omegaconf") else object()
    )

    found = AudiocraftEngine.availability(EngineSettings())

    assert not found.usable
    assert "julius, omegaconf are not installed (./install.sh --musicgen" in found.reason


def test_a_torch_that_trusts_files_is_refused(monkeypatch):
    monkeypatch.setattr(engine.metadata, "version", lambda _: "2.5.1+cu121")

    found = AudiocraftEngine.availability(EngineSettings())

    assert not found.usable
    assert "torch 2.5.1+cu121 would run" in found.reason


@pytest.mark.slow
def test_without_all_that_can_be_stood_in_for_the_music_is_the_same(shared, folder, tmp_path):
    expected = one(shared, request(folder))
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for package in STAND_INS:
        (hidden / f"{package.name}.py").write_text("raise ImportError('hidden')")
    code = (
        "import sys, numpy, torch; from dgx_music.engines.audiocraft import AudiocraftEngine\n"
        "from dgx_music.engines.base import EngineSettings, TakeSpec\n"
        "from dgx_music.engines.musicgen.settings import MusicGenSettings\n"
        "from dgx_music.request import GenerationRequest\n"
        "torch.set_num_threads(1)\n"
        "request = GenerationRequest.model_validate_json(sys.argv[1])\n"
        "class Quiet:\n"
        "    def progress(self, *_): pass\n"
        "    def loaded(self, *_): pass\n"
        "engine = AudiocraftEngine(EngineSettings(musicgen=MusicGenSettings(download=False, device='cpu')))\n"
        "((_, raw),) = engine.generate([TakeSpec(0, 1, request)], Quiet())\n"
        "numpy.save(sys.argv[2], raw.audio)"
    )

    subprocess.run(
        [sys.executable, "-c", code, request(folder).model_dump_json(), str(tmp_path / "audio.npy")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(hidden), *sys.path])},
        check=True,
    )

    assert np.array_equal(np.load(tmp_path / "audio.npy"), expected.audio)
