"""Reading audiocraft's `.bin` files: torch's format, mapped into memory, and never running code from the file.

`settings_text` looks into the pickle without unpickling and without torch, for the daemon.
"""

from __future__ import annotations

import itertools
import pickle
import pickletools
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgx_music.engines.musicgen.checkpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from dgx_music.engines.musicgen.checkpoint.arrays import Array

__all__ = ["TorchTensor", "load_package", "settings_text", "state"]

_AGAIN = "it is incomplete or damaged: delete it and fetch it again"


@dataclass(frozen=True)
class TorchTensor:
    """One tensor of a mapped file."""

    tensor: torch.Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return tuple(self.tensor.shape)

    @property
    def floating(self) -> bool:
        """Whether it holds floating point numbers."""
        return self.tensor.is_floating_point()

    def read(self) -> Array:
        """Return the values, float16 and float32 as they lie in the file, other floats as float32."""
        import torch  # noqa: PLC0415

        values = self.tensor
        if values.dtype not in (torch.float16, torch.float32):
            values = values.float()
        array: Array = values.detach().contiguous().numpy()
        return array


def load_package(path: Path) -> Mapping[str, Any]:
    """Return what a file holds, its tensors mapped into memory.

    Raises:
        ModelError: the file cannot be read, is damaged, or holds code that would have to be run.
    """
    import torch  # noqa: PLC0415

    try:
        # Files from before torch 1.6 are no zip archives and cannot be mapped.
        package = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as err:
        raise ModelError(
            f"{path}: refused: {_first_line(err)}. Only tensors and plain values are read, nothing that would run code"
        ) from err
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err
    except Exception as err:  # torch raises whatever its reader or the pickle happens to meet
        raise ModelError(f"{path}: {_first_line(err)}; {_AGAIN}") from err
    if not isinstance(package, dict):
        raise ModelError(f"{path}: holds a {type(package).__name__}; this is no checkpoint of audiocraft")
    return package


def state(package: Mapping[str, Any], path: Path) -> tuple[dict[str, TorchTensor], str]:
    """Return the tensors and the settings' text of what `load_package` gave.

    Raises:
        ModelError: it is not what audiocraft exports.
    """
    tensors, text = package.get("best_state"), package.get("xp.cfg")
    if not isinstance(tensors, dict) or not isinstance(text, str):
        raise ModelError(
            f"{path}: has no best_state and xp.cfg; this is no checkpoint as audiocraft exports it "
            "(audiocraft.utils.export)"
        )
    import torch  # noqa: PLC0415

    strange = [name for name, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ModelError(f"{path}: {strange[0]} is no tensor; this is no checkpoint as audiocraft exports it")
    return {str(name): TorchTensor(value) for name, value in tensors.items()}, text


def settings_text(path: Path) -> tuple[str, str]:
    """Return `xp.cfg` and `pretrained` of a file, each empty where it has none, without running the pickle.

    Raises:
        ModelError: the file cannot be read, or is not in torch's format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((each for each in archive.namelist() if each.endswith("/data.pkl")), None)
            if name is None:
                raise ModelError(f"{path}: an archive, but not one that torch has written")
            said = [arg for _, arg, _ in pickletools.genops(archive.read(name)) if isinstance(arg, str)]
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as err:
        raise ModelError(f"{path}: {_first_line(err)}; {_AGAIN}") from err
    following = dict(itertools.pairwise(said))
    return following.get("xp.cfg", ""), following.get("pretrained", "")


def _first_line(err: BaseException) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0].rstrip(".")
