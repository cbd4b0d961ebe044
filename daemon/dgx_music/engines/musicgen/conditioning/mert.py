"""MERT (Li et al. 2023), the model of music whose features describe a style; a model and a download of its own.

MERT-v1-95M is published with Python code of its own, which is never run here: with its settings (no constant-Q
features, ordinary attention and normalisation) it computes what HuBERT (Hsu et al. 2021) computes, and transformers
knows HuBERT. Any other setting is refused. Its weights are for non-commercial use (CC BY-NC 4.0).
"""

from __future__ import annotations

import importlib
import json
from pickle import UnpicklingError  # names torch.load's error; nothing is unpickled with it
from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.gpu_turns import working
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["REPOSITORY", "SAMPLE_RATE_HZ", "Mert", "load"]

REPOSITORY = "m-a-p/MERT-v1-95M"
SAMPLE_RATE_HZ = 24_000
_PLAIN = {"feature_extractor_cqt": False, "deepnorm": False, "attention_relax": -1.0}
"""Settings in which MERT may differ from HuBERT, and the values with which it does not."""


class Mert:
    """MERT, ready to listen."""

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device

    def features(self, wave: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the last hidden states (T, width), about 75 a second, of (samples,) at `SAMPLE_RATE_HZ`.

        The wave goes in as it is, without the normalisation that MERT's own pre-processing offers: so the style
        encoder was trained.
        """
        torch: Any = importlib.import_module("torch")
        with working(self._device), torch.inference_mode():
            heard = torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None].to(self._device)
            features: npt.NDArray[np.float32] = self._model(heard).last_hidden_state[0].cpu().numpy()
        return features


def load(folder: Path, *, device: str = "cpu") -> Mert:
    """Load MERT from a folder with `config.json` and `model.safetensors` or `pytorch_model.bin`.

    Raises:
        EngineError: something is missing, or it is another model.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as err:
        raise EngineError(f"no MERT in {folder}: {err}; download {REPOSITORY} into it") from err
    for name, plain in _PLAIN.items():
        if config.get(name, plain) != plain:
            raise EngineError(
                f"{folder}: {name} is {config[name]!r}; only MERT with {plain!r} can be used ({REPOSITORY})"
            )
    try:
        transformers: Any = importlib.import_module("transformers")
        torch: Any = importlib.import_module("torch")
    except ImportError as err:
        raise EngineError(
            f"a style is heard through transformers and torch: {err}; see install.sh --musicgen"
        ) from err
    model = transformers.HubertModel(transformers.HubertConfig.from_dict(config))
    try:
        if (folder / "model.safetensors").exists():
            weights = importlib.import_module("safetensors.torch").load_file(folder / "model.safetensors")
        else:
            weights = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        model.load_state_dict(weights)
    except (OSError, RuntimeError, ValueError, UnpicklingError) as err:
        raise EngineError(f"the weights in {folder} are not those of {REPOSITORY}: {err}") from err
    with working(device):
        return Mert(model.eval().to(device), device)
