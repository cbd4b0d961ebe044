"""Asks torch about the machine, in a process of its own.

`python -m dgx_music.doctor.torch_probe DEVICE PRECISION` prints JSON; the arguments are MusicGen's settings.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any, cast

from dgx_music.doctor.gpu import choice_in_words
from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["look"]


def look(settings: MusicGenSettings) -> dict[str, Any]:
    """Return torch's version, the CUDA and the architectures it was built for, and each device with a trial of it.

    Args:
        settings: device and precision that are wished for.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        import torch  # noqa: PLC0415 - its import warns as well

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        devices = [_device(torch, index) for index in range(count)]
        # An empty list where it was built without CUDA or finds no device (torch.cuda.get_arch_list).
        architectures = torch.cuda.get_arch_list()
        choice, choice_problem = choice_in_words(settings)
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "architectures": architectures,
        "devices": devices,
        "choice": choice,
        "choice_problem": choice_problem,
        "warnings": [str(one.message).strip().splitlines()[0] for one in said],
    }


def _device(torch: Any, index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    error = ""
    try:
        if torch.ones(2, device=f"cuda:{index}").sum().item() != 2.0:
            error = "1 + 1 is not 2 on it"
        elif not _graphs_work(torch, torch.device("cuda", index)):
            error = "what a CUDA graph computes on it is wrong"
    except RuntimeError as err:
        error = str(err).strip().splitlines()[0]
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": [properties.major, properties.minor],
        "error": error,
    }


def _graphs_work(torch: Any, device: Any) -> bool:
    """Whether a product in fp16 comes out right when replayed, twice, as the decoder has its steps."""
    from dgx_music.engines.musicgen.decoder.torch.stepper import Stepper  # noqa: PLC0415 - imports torch

    ones = torch.ones(64, 64, device=device, dtype=torch.float16)
    counter = torch.zeros(64, 64, device=device, dtype=torch.float16)
    stepper: Stepper[str] = Stepper(lambda _: counter.add_(ones @ ones), [counter], device)
    for _ in range(2):
        stepper.run("trial")
    return bool((counter == 2 * 64).all().item())


if __name__ == "__main__":
    _device_wanted, _precision_wanted = sys.argv[1:]
    print(json.dumps(look(MusicGenSettings(device=_device_wanted, precision=cast("Any", _precision_wanted)))))
