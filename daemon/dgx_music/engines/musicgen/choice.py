"""Which device, which precision, which runtime: what `auto` means on this machine, and why."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.settings import MusicGenSettings, Precision

__all__ = ["Choice", "choose", "free_bytes", "has_nvidia_driver", "physical_cores"]


@dataclass(frozen=True)
class Choice:
    """Where and how the language model is decoded."""

    device: str
    """`cpu`, `cuda:0`, …"""
    precision: Precision
    """`int8`, `fp32`, `bf16`, `fp16`."""
    runtime: Literal["kernel", "onnx", "torch"]
    device_name: str
    """For the record of how a take was made: `cpu x86_64, kernel`, `cuda NVIDIA GB10`."""
    why: str
    """A phrase for logs and `doctor`."""


def choose(settings: MusicGenSettings) -> Choice:
    """Turn the settings' device and precision into what will be used. Imports torch where it may be needed.

    Raises:
        EngineError: a device that is not there, or a precision that the device does not offer.
    """
    if settings.device == "cpu" or (settings.device == "auto" and not _cuda_usable()):
        return _on_cpu(settings)
    return _on_cuda(settings)


def _on_cpu(settings: MusicGenSettings) -> Choice:
    name = f"cpu {platform.machine()}"
    match settings.precision:
        case "auto" | "int8":
            return _int8(settings, name)
        case "fp16":
            raise EngineError(
                "musicgen.precision: fp16 is for GPUs; on a processor choose int8 (fast), bf16 or fp32"
            )
        case precision:
            return Choice("cpu", precision, "torch", name, "as set")


def _int8(settings: MusicGenSettings, name: str) -> Choice:
    """Take the decoder in C where it can be had, else ONNX Runtime's: both are int8, and round differently."""
    from dgx_music.engines.musicgen.decoder.kernel.build import kernel_unavailable  # noqa: PLC0415

    if not settings.kernel:
        why_not: str | None = "musicgen.kernel is false"
    elif settings.cache_dir is None:
        why_not = "there is no folder to compile it into"
    else:
        why_not = kernel_unavailable(settings.cache_dir)
    if why_not is None:
        return Choice(
            "cpu", "int8", "kernel", f"{name}, kernel", "int8 in the compiled decoder is the fastest"
        )
    return Choice("cpu", "int8", "onnx", f"{name}, ONNX Runtime", f"int8 in ONNX Runtime, for {why_not}")


def _on_cuda(settings: MusicGenSettings) -> Choice:
    import torch  # noqa: PLC0415 - seconds, and only a machine with a GPU pays them

    if not torch.cuda.is_available():
        raise EngineError(
            f"musicgen.device: {settings.device} cannot be used, torch {torch.__version__} finds no CUDA device; "
            "'dgx-music doctor' says why, or set device = \"cpu\""
        )
    device = "cuda:0" if settings.device in ("auto", "cuda") else settings.device
    try:
        index = torch.device(device).index or 0
    except RuntimeError as err:
        raise EngineError(f"musicgen.device: {device!r} is no device; say auto, cpu, cuda or cuda:N") from err
    if index >= torch.cuda.device_count():
        raise EngineError(
            f"musicgen.device: there is no {device}; this machine has {torch.cuda.device_count()} CUDA devices"
        )
    name = f"cuda {torch.cuda.get_device_name(index)}"
    match settings.precision:
        case "auto":
            # The published language models are stored in fp16, so nothing is rounded on loading.
            return Choice(device, "fp16", "torch", name, "fp16 is what the weights are published in")
        case "int8":
            raise EngineError(
                "musicgen.precision: int8 is for processors; on a GPU choose fp16, bf16 or fp32"
            )
        # What torch.cuda.is_bf16_supported(including_emulation=False) looks at, but of this device, not of the current.
        case "bf16" if torch.cuda.get_device_properties(index).major < 8:
            raise EngineError(f"musicgen.precision: {name} has no bf16 of its own; choose fp16 or fp32")
        case precision:
            return Choice(device, precision, "torch", name, "as set")


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is loaded, found without importing anything."""
    return any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu"))


def _cuda_usable() -> bool:
    if not has_nvidia_driver():
        return False
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return False
    return torch.cuda.is_available()


def physical_cores() -> int:
    """Return how many physical cores this process may run on: hyper-threads share what decoding is short of."""
    allowed = os.sched_getaffinity(0)
    cores: set[str] = set()
    for cpu in allowed:
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(
                encoding="ascii"
            )
        except OSError:
            return len(allowed)
        cores.add(siblings.strip())
    return max(1, len(cores))


def free_bytes(device: str) -> int:
    """Return how much memory the device has free now, in bytes."""
    if device != "cpu":
        import torch  # noqa: PLC0415

        # torch.cuda.mem_get_info: free and total memory of the device as the driver sees them, other programs' included.
        free = int(torch.cuda.mem_get_info(torch.device(device))[0])
        if not torch.cuda.get_device_properties(torch.device(device)).is_integrated:
            return free
        # A GPU that shares the system's memory, such as DGX Spark's: the driver does not count what the system would
        # give up, and a model that was just read from disk fills memory with pages of its file (DGX Spark User Guide,
        # known issues, "Memory reporting differences with unified memory architecture"; NVIDIA's answer 5728).
        return max(free, _available_bytes())
    return _available_bytes()


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
