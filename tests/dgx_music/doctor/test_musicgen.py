"""What the doctor finds out about MusicGen: its packages, its weights, and what it will compute with."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dgx_music.config import Config
from dgx_music.doctor import Check, Status, Surroundings, gpu, musicgen, system
from dgx_music.paths import Paths

REQUIRES = [
    "numpy>=1",
    "dgx-music[inference]; extra == 'musicgen'",
    "torchaudio>=2.9; extra == 'musicgen'",
    "onnxruntime>=1.23; extra == 'inference'",
    "torch>=2.9; extra == 'inference'",
    "julius>=0.2; extra == 'inference'",
    "pytest>=8; extra == 'dev'",
]
ALL = {
    "onnxruntime": "1.32.0",
    "torch": "2.15.0",
    "torchaudio": "2.11.0",
    "julius": "0.2.8",
    "audiocraft": "1.3.0",
}
SMI = """
case "$*" in
*query*) echo 'NVIDIA GB10, 580.95.05' ;;
*) echo '| NVIDIA-SMI 580.95.05    Driver Version: 580.95.05    CUDA Version: 13.0 |' ;;
esac
"""
GB10 = {"name": "NVIDIA GB10", "memory_bytes": 120 * 2**30, "capability": [12, 1], "error": ""}


@pytest.fixture
def installed(monkeypatch):
    """Let exactly these packages be installed, as far as the checks can see; return what to change."""
    versions = dict(ALL)

    def version(name):
        if name not in versions:
            raise system.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(system.metadata, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(system.metadata, "version", version)
    return versions


@pytest.fixture
def nvidia(tmp_path, monkeypatch):
    """Put an `nvidia-smi` in front of PATH."""

    def put(text=SMI):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return put


def surroundings(**settings) -> Surroundings:
    config = Config.model_validate({"musicgen": settings})
    return Surroundings(Paths.find(os.environ), config, "", os.environ)


def only(checks) -> Check:
    (check,) = checks
    return check


def answer(monkeypatch, **said):
    """Let torch say this, whatever is installed."""
    full = {
        "torch": "2.15.0",
        "cuda": "13.0",
        "architectures": ["sm_80", "sm_90", "sm_120"],
        "devices": [GB10],
        "warnings": [],
        "choice": "auto is fp16 on cuda NVIDIA GB10: because",
        "choice_problem": "",
    }
    monkeypatch.setattr(gpu, "_probe", lambda _: {**full, **said})


def test_all_packages_are_listed_with_their_versions(installed):
    check = only(musicgen.packages(surroundings()))

    assert check.status is Status.OK
    for name, version in ALL.items():
        assert f"{name} {version}" in check.message


def test_nothing_of_musicgen_is_no_fault(installed):
    installed.clear()

    check = only(musicgen.packages(surroundings()))

    assert (check.status, check.remedy) == (Status.INFO, "./install.sh --musicgen")
    assert list(musicgen.weights(surroundings())) == []


def test_what_is_missing_or_too_old_is_named(installed):
    del installed["onnxruntime"]
    installed["torch"] = "2.4.1"

    check = only(musicgen.packages(surroundings()))

    assert check.status is Status.WARNING
    assert check.message == "onnxruntime is missing; torch is 2.4.1, wanted is >=2.9"
    assert "./install.sh --musicgen" in check.remedy


@pytest.mark.parametrize("name", ["audiocraft", "julius", "torchaudio"])
def test_what_only_the_reference_engine_wants_is_no_fault(installed, name):
    del installed[name]

    fine, check = musicgen.packages(surroundings())

    assert fine.status is Status.OK
    assert check.status is Status.INFO
    assert check.message.startswith(f"{name} is missing: it is for")


def test_absent_weights_are_named_with_their_licence_and_when_they_come(installed):
    check = only(musicgen.weights(surroundings()))

    assert check.status is Status.INFO
    assert "musicgen-small is not on this machine" in check.message
    assert "CC-BY-NC" in check.message
    assert "downloaded" in check.remedy


def test_absent_weights_that_may_not_be_downloaded_are_a_warning(installed):
    check = only(musicgen.weights(surroundings(download=False)))

    assert check.status is Status.WARNING
    assert "musicgen.download" in check.remedy


def test_weights_that_are_here_are_named_with_their_folder(installed, tmp_path):
    pytest.importorskip("numpy")
    from support.musicgen_checkpoints import build

    folder = build(tmp_path / "mine", "tiny", format="audiocraft")

    check = only(musicgen.weights(surroundings(model=str(folder))))

    assert check.status is Status.OK
    assert f"mine in {folder}, audiocraft's format" in check.message


def test_without_a_gpu_the_processor_computes_in_int8(installed, monkeypatch):
    monkeypatch.setattr(gpu, "has_nvidia_driver", lambda: False)
    monkeypatch.setenv("PATH", "")

    card, precision = gpu.gpu(surroundings())

    assert card.status is Status.INFO
    assert "no NVIDIA GPU was found; torch 2.15.0 works on the processor" in card.message
    assert precision.status is Status.OK
    assert precision.message.startswith("auto is int8 on cpu")
    assert "onnxruntime 1.32.0" in precision.message


def test_a_gpu_that_is_set_and_not_there_is_a_problem(installed, monkeypatch):
    monkeypatch.setattr(gpu, "has_nvidia_driver", lambda: False)
    monkeypatch.setenv("PATH", "")

    *_, precision = gpu.gpu(surroundings(device="cuda"))

    assert precision.status is Status.PROBLEM
    assert "musicgen.device" in precision.remedy


def test_a_precision_that_the_device_lacks_is_a_problem(installed, monkeypatch):
    monkeypatch.setattr(gpu, "has_nvidia_driver", lambda: False)
    monkeypatch.setenv("PATH", "")

    *_, precision = gpu.gpu(surroundings(precision="fp16"))

    assert precision.status is Status.PROBLEM
    assert "fp16 is for GPUs" in precision.message


def test_a_gpu_without_torch_proposes_musicgen(installed, nvidia):
    nvidia()
    del installed["torch"], installed["onnxruntime"]

    check = only(gpu.gpu(surroundings()))

    assert check.status is Status.INFO
    assert "NVIDIA GB10: idle" in check.message
    assert check.remedy == "./install.sh --musicgen"


def test_a_gpu_with_a_torch_without_cuda_is_a_warning(installed, nvidia):
    nvidia()
    installed["torch"] = "2.13.0+cpu"

    check, precision = gpu.gpu(surroundings())

    assert check.status is Status.WARNING
    assert "for CUDA 13.0 or older" in check.remedy
    assert "int8 on cpu" in precision.message


def test_a_driver_that_is_broken_counts_as_no_gpu(installed, nvidia, monkeypatch):
    nvidia("echo NVIDIA-SMI has failed; exit 9")
    monkeypatch.setattr(gpu, "has_nvidia_driver", lambda: False)

    assert "no NVIDIA GPU" in next(gpu.gpu(surroundings())).message


def test_a_gpu_that_fits_is_described(installed, nvidia, monkeypatch):
    nvidia()
    answer(monkeypatch)

    card, precision = gpu.gpu(surroundings())

    assert card.status is Status.OK
    assert card.message == (
        "NVIDIA GB10, 120 GiB, compute capability 12.1; torch 2.15.0 for CUDA 13.0 (sm_80 sm_90 sm_120)"
    )
    assert precision.message == "auto is fp16 on cuda NVIDIA GB10: because; onnxruntime 1.32.0"


def test_a_torch_for_a_newer_cuda_than_the_driver_serves_says_both(installed, nvidia, monkeypatch):
    nvidia(SMI.replace("13.0", "12.4"))
    answer(monkeypatch, devices=[], warnings=["the driver is too old"], choice="auto is int8 on cpu: because")

    card, precision = gpu.gpu(surroundings())

    assert card.status is Status.WARNING
    assert "torch 2.15.0 for CUDA 13.0 finds no device" in card.message
    assert "serves CUDA up to 12.4 (the driver is too old)" in card.message
    assert "update the NVIDIA driver" in card.remedy
    assert "int8" in precision.message


def test_a_gpu_that_is_hidden_from_this_user_gets_another_remedy(installed, nvidia, monkeypatch):
    nvidia()
    answer(monkeypatch, devices=[])

    assert "CUDA_VISIBLE_DEVICES" in next(gpu.gpu(surroundings())).remedy


def test_a_torch_without_code_for_the_gpu_is_a_warning(installed, nvidia, monkeypatch):
    nvidia()
    answer(monkeypatch, architectures=["sm_80", "sm_90"])

    card = next(gpu.gpu(surroundings()))

    assert card.status is Status.WARNING
    assert "(sm_80 sm_90) has no code for it" in card.message


def test_a_gpu_that_computes_nothing_is_a_problem_with_its_words(installed, nvidia, monkeypatch):
    nvidia()
    answer(monkeypatch, devices=[{**GB10, "error": "CUDA error: no kernel image"}])

    card = next(gpu.gpu(surroundings()))

    assert card.status is Status.PROBLEM
    assert "no kernel image" in card.message


def test_a_torch_that_cannot_be_imported_is_a_problem_with_its_last_words(
    installed, nvidia, monkeypatch, tmp_path
):
    nvidia()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho 'OSError: libcudart.so.13: cannot open' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    card, precision = gpu.gpu(surroundings())

    assert card.status is Status.PROBLEM
    assert "libcudart.so.13" in card.message
    assert "int8 on cpu" in precision.message


@pytest.mark.parametrize(
    ("architectures", "capability", "covered"),
    [
        (["sm_80", "sm_120"], (12, 1), True),  # the same major capability, a later minor one
        (["sm_86"], (8, 0), False),
        (["sm_80"], (9, 0), False),
        (["compute_90"], (12, 1), True),  # compiled for it when it is first used
        (["compute_120"], (9, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_120a"], (12, 1), False),
        (["compute_100a"], (12, 1), False),
        (["sm_120f"], (12, 1), True),
        (["something else"], (12, 1), False),
        ([], (8, 0), False),
    ],
)
def test_which_gpus_a_build_has_code_for(architectures, capability, covered):
    assert gpu.covers(architectures, *capability) is covered


def test_torch_is_asked_in_a_process_of_its_own():
    pytest.importorskip("torch")
    settings = surroundings().config.for_engines(surroundings().paths).musicgen

    said = gpu._probe(settings)

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import torch, json; print(json.dumps([torch.__version__, torch.version.cuda]))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [said["torch"], said["cuda"]] == json.loads(done.stdout)
    assert said["choice"]
    assert len(said["devices"]) == len([device for device in said["devices"] if device["error"] == ""])


def test_the_checks_import_nothing_heavy():
    code = (
        "import os, sys; from dgx_music.doctor import Surroundings, gpu, musicgen\n"
        "from dgx_music.config import Config; from dgx_music.paths import Paths\n"
        "here = Surroundings(Paths.find(os.environ), Config(), '', os.environ)\n"
        "[list(check(here)) for check in (musicgen.packages, musicgen.weights, gpu.gpu)]\n"
        "print(*sorted({'torch', 'numpy', 'onnxruntime', 'transformers', 'audiocraft'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == ""
