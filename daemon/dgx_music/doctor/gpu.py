"""The graphics processor, and whether torch fits it. torch itself is only imported in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from dgx_music.doctor.check import Check, info, ok, problem, warning
from dgx_music.engines.musicgen.choice import choose, has_nvidia_driver
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dgx_music.doctor.check import Surroundings
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["ADD_MUSICGEN", "choice_in_words", "covers", "gpu", "installed_version"]

ADD_MUSICGEN = "./install.sh --musicgen"
_PATIENCE_S = 20
_PROBE_PATIENCE_S = 120
_GIB = 2**30


def gpu(surroundings: Surroundings) -> Iterator[Check]:
    """Torch and the graphics processor fit together, and what MusicGen will therefore compute with."""
    settings = surroundings.config.for_engines(surroundings.paths).musicgen
    torch = installed_version("torch")
    driver = _driver()
    cards = ", ".join(driver.cards) if driver is not None else "an NVIDIA driver is loaded"
    said = None
    if driver is None and not has_nvidia_driver():
        with_torch = "" if torch is None else f"; torch {torch} works on the processor"
        yield info("GPU", f"no NVIDIA GPU was found{with_torch}")
    elif torch is None:
        yield info("GPU", f"{cards}: idle, for torch is not installed", ADD_MUSICGEN)
    elif "+cpu" in torch:
        yield warning(
            "GPU", f"{cards}: idle, for torch {torch} is the build without CUDA", _other_torch(driver)
        )
    else:
        said = _probe(settings)
        yield from _judge(cards, driver, said)
    onnxruntime = installed_version("onnxruntime")
    if onnxruntime is not None:
        yield _precision(settings, said, onnxruntime)


def installed_version(package: str) -> str | None:
    """Return an installed package's version without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def covers(architectures: Sequence[str], major: int, minor: int) -> bool:
    """Whether a build of torch has code for a device.

    Machine code (`sm_80`) runs on devices of the same major capability from its minor one on, architecture-specific code
    (`sm_90a`) on that very one, family-specific code (`sm_100f`) on its family; PTX (`compute_90`) is compiled for any
    device from its capability on (CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility").

    Args:
        architectures: as `torch.cuda.get_arch_list()` gives them.
        major: the device's compute capability.
        minor: the same, after the dot.
    """
    for name in architectures:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
        if found is None:
            continue
        kind, built, special = found[1], (int(found[2]), int(found[3])), found[4]
        if special == "a":
            fits = built == (major, minor)
        elif kind == "sm" or special == "f":
            fits = built[0] == major and built[1] <= minor
        else:
            fits = built <= (major, minor)
        if fits:
            return True
    return False


@dataclass(frozen=True)
class _Driver:
    """What `nvidia-smi` says."""

    cards: tuple[str, ...]
    version: str
    cuda: str
    """The newest CUDA that it serves, such as `13.0`; empty where it does not say."""


def _driver() -> _Driver | None:
    listed = _nvidia_smi("--query-gpu=name,driver_version", "--format=csv,noheader")
    if not listed:
        return None
    rows = [[part.strip() for part in line.rsplit(",", 1)] for line in listed]
    # The table that it prints without arguments is the only place where it tells the CUDA version.
    table = "\n".join(_nvidia_smi())
    cuda = re.search(r"CUDA(?: UMD)? Version\s*:\s*(\d+\.\d+)", table)
    return _Driver(tuple(row[0] for row in rows), rows[0][-1], cuda[1] if cuda else "")


def _nvidia_smi(*arguments: str) -> list[str]:
    """Return the lines that it prints; none where it is missing or finds no driver."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _probe(settings: MusicGenSettings) -> dict[str, Any]:
    """Ask torch in a process of its own; `error` says why there is no answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dgx_music.doctor.torch_probe", settings.device, settings.precision],
            capture_output=True,
            text=True,
            timeout=_PROBE_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it did not answer within {_PROBE_PATIENCE_S} s"}
    except OSError as err:
        return {"error": str(err)}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:]
        return {"error": last[0] if last else f"it ended with {done.returncode}"}
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _judge(cards: str, driver: _Driver | None, said: dict[str, Any]) -> Iterator[Check]:
    if "error" in said:
        yield problem("GPU", f"{cards}: torch cannot be used: {said['error']}", f"{ADD_MUSICGEN} again")
        return
    torch, built_for = f"torch {said['torch']}", said["cuda"]
    if built_for is None:
        yield warning("GPU", f"{cards}: idle, for {torch} is a build without CUDA", _other_torch(driver))
        return
    if not said["devices"]:
        serves = (
            f"; driver {driver.version} serves CUDA up to {driver.cuda}" if driver and driver.cuda else ""
        )
        words = f" ({'; '.join(said['warnings'])})" if said["warnings"] else ""
        remedy = f"update the NVIDIA driver to one that serves CUDA {built_for}, or {_other_torch(driver)}"
        if driver and driver.cuda and _major(driver.cuda) >= _major(built_for):
            remedy = "check that this user may open /dev/nvidia*, and that CUDA_VISIBLE_DEVICES does not hide the GPU"
        yield warning(
            "GPU",
            f"{cards}: idle, {torch} for CUDA {built_for} finds no device{serves}{words}",
            remedy,
        )
        return
    for device in said["devices"]:
        major, minor = device["capability"]
        what = (
            f"{device['name']}, {device['memory_bytes'] / _GIB:.0f} GiB, compute capability {major}.{minor}"
        )
        built = f"{torch} for CUDA {built_for} ({' '.join(said['architectures'])})"
        if device["error"]:
            yield problem(
                "GPU", f"{what}: {built} cannot compute on it: {device['error']}", _other_torch(driver)
            )
        elif not covers(said["architectures"], major, minor):
            yield warning("GPU", f"{what}: {built} has no code for it", _other_torch(driver))
        else:
            yield ok("GPU", f"{what}; {built}")


def _precision(settings: MusicGenSettings, said: dict[str, Any] | None, onnxruntime: str) -> Check:
    name = "MusicGen precision"
    if said is not None and "error" not in said:
        chosen, problem_with_it = said["choice"], said["choice_problem"]
    elif settings.device.startswith("cuda"):
        return problem(
            name,
            f"musicgen.device is {settings.device}, and no GPU can be used here",
            'set musicgen.device = "auto" or "cpu"; the line on the GPU says what is missing',
        )
    else:
        chosen, problem_with_it = choice_in_words(replace(settings, device="cpu"))
    if problem_with_it:
        return problem(name, problem_with_it, "correct musicgen.device and musicgen.precision")
    return ok(name, f"{chosen}; onnxruntime {onnxruntime}")


def choice_in_words(settings: MusicGenSettings) -> tuple[str, str]:
    """Return what will be computed with and why, or else what is wrong with the settings. Imports torch for a GPU."""
    try:
        choice = choose(settings)
    except EngineError as err:
        return "", str(err)
    wanted = "" if settings.precision != "auto" else "auto is "
    return f"{wanted}{choice.precision} on {choice.device_name}: {choice.why}", ""


def _other_torch(driver: _Driver | None) -> str:
    served = f" for CUDA {driver.cuda} or older" if driver and driver.cuda else " that fits your driver"
    return (
        f"install a torch with CUDA{served} into DGX Music's venv: pytorch.org lists the command for each CUDA version, "
        f"run it with {sys.executable} -m pip"
    )


def _major(version: str) -> int:
    return int(version.partition(".")[0])
