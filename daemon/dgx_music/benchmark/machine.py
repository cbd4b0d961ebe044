"""The machine: what it is, and how fast it reads its memory, which bounds how fast a model can decode."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgx_music.engines.musicgen.choice import choose, physical_cores

if TYPE_CHECKING:
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["bandwidth", "describe", "peak_mb"]

_BUFFER_BYTES = 400_000_000
"""Well beyond any cache."""
_ROUNDS = 5
_PACKAGES = ("onnxruntime", "torch", "transformers", "audiocraft", "numpy")


def describe() -> dict[str, Any]:
    """Return what the machine is and which packages do the work."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": physical_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": versions,
    }


def bandwidth(settings: MusicGenSettings) -> dict[str, Any]:
    """Measure how fast the device reads its memory, in GB/s: the best of some passes over a buffer beyond its caches."""
    choice = choose(settings)
    speeds = _cpu_gb_s(settings) if choice.device == "cpu" else _cuda_gb_s(choice.device)
    return {"device": choice.device_name, "read_gb_s": max(speeds)}


def peak_mb() -> float:
    """Return the most memory that this process has held so far, in MB; with GPUs', where torch has used one."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 + _gpu_peak_mb()


def _gpu_peak_mb() -> float:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0.0
    # What torch's allocator has taken from the driver (torch.cuda.max_memory_reserved): graphs' pools included, the
    # driver's own context not.
    return (
        float(sum(torch.cuda.max_memory_reserved(index) for index in range(torch.cuda.device_count()))) / 1e6
    )


def _cpu_gb_s(settings: MusicGenSettings) -> list[float]:
    import numpy as np  # noqa: PLC0415

    threads = settings.threads or physical_cores()
    parts = [np.ones(_BUFFER_BYTES // 8 // threads, np.int64) for _ in range(threads)]
    speeds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_ROUNDS):
            began_s = time.perf_counter()
            # A reduction reads everything once, writes nothing, and lets other threads run meanwhile.
            list(pool.map(np.bitwise_or.reduce, parts))
            speeds.append(sum(part.nbytes for part in parts) / (time.perf_counter() - began_s) / 1e9)
    return speeds


def _cuda_gb_s(device: str) -> list[float]:
    import torch  # noqa: PLC0415

    buffer = torch.ones(_BUFFER_BYTES // 2, dtype=torch.float16, device=device)
    speeds = []
    for _ in range(_ROUNDS):
        # "CUDA semantics", asynchronous execution: times are taken by events, and read after synchronising.
        began = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        ended = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        began.record(torch.cuda.current_stream(device))
        buffer.sum()
        ended.record(torch.cuda.current_stream(device))
        torch.cuda.synchronize(device)
        speeds.append(_BUFFER_BYTES / (began.elapsed_time(ended) / 1000) / 1e9)
    return speeds


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
