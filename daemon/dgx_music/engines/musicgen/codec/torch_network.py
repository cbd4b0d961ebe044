"""A SEANet in PyTorch, on any device, in float32."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from dgx_music.engines.musicgen.codec.seanet import Conv, Elu, Residual, Upsample
from dgx_music.engines.musicgen.gpu_turns import working

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.codec.seanet import Layer, Lstm, Seanet

    _Floats = npt.NDArray[np.float32]

__all__ = ["TorchNetwork"]


class TorchNetwork:
    """The layers of `seanet`, one after the other. See `stream.Network`."""

    def __init__(
        self, seanet: Seanet, channels_out: int, weights: Mapping[str, npt.NDArray[Any]], device: str
    ) -> None:
        self.seanet = seanet
        self.channels_out = channels_out
        self._device = torch.device(device)
        self._weights: dict[str, torch.Tensor] = {}
        with working(self._device):
            self._lstm = self._load_lstm(seanet.lstm, weights) if seanet.lstm else None
            self._load(seanet.front, weights)
            self._load(seanet.back, weights)

    def remember(self, inputs: _Floats, state: _Floats, keep: tuple[int, int]) -> tuple[_Floats, _Floats]:
        """Pass inputs through front and LSTM; see `stream.Network`."""
        with _exact(self._device):
            frames = self._layers(self.seanet.front, torch.from_numpy(inputs).to(self._device))
            frames = frames[..., slice(*keep)]
            if self._lstm is None:
                return _to_numpy(frames), state
            steps = frames.permute(2, 0, 1).contiguous()
            before = torch.from_numpy(state).to(self._device)
            said, after = self._lstm(steps, (before[0], before[1]))
            return _to_numpy((said + steps).permute(1, 2, 0)), _to_numpy(torch.stack(after))

    def express(self, frames: _Floats, keep: tuple[int, int]) -> _Floats:
        """Pass frames through the back; see `stream.Network`."""
        with _exact(self._device):
            outputs = self._layers(self.seanet.back, torch.from_numpy(frames).to(self._device))
            return _to_numpy(outputs[..., slice(*keep)])

    def _load(self, layers: tuple[Layer, ...], weights: Mapping[str, npt.NDArray[Any]]) -> None:
        for layer in layers:
            match layer:
                case Residual():
                    self._load(
                        tuple(conv for conv in (layer.first, layer.second, layer.skip) if conv), weights
                    )
                case Conv() | Upsample():
                    for name in (f"{layer.name}.weight", f"{layer.name}.bias"):
                        self._weights[name] = _tensor(weights[name]).to(self._device)

    def _load_lstm(self, lstm: Lstm, weights: Mapping[str, npt.NDArray[Any]]) -> torch.nn.LSTM:
        module = torch.nn.LSTM(self.seanet.width, self.seanet.width, lstm.layers, device="meta")
        names = [name for name, _ in module.named_parameters()]
        module.load_state_dict({name: _tensor(weights[f"{lstm.name}.{name}"]) for name in names}, assign=True)
        return module.to(self._device).eval()

    def _layers(self, layers: tuple[Layer, ...], data: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            match layer:
                case Elu():
                    data = functional.elu(data)
                case Conv():
                    data = self._conv(layer, data)
                case Residual():
                    inner = self._conv(layer.first, functional.elu(data))
                    inner = self._conv(layer.second, functional.elu(inner))
                    data = (self._conv(layer.skip, data) if layer.skip else data) + inner
                case Upsample():
                    whole = functional.conv_transpose1d(
                        data,
                        self._weights[f"{layer.name}.weight"],
                        self._weights[f"{layer.name}.bias"],
                        stride=layer.stride,
                    )
                    data = whole[..., layer.trim_left : whole.shape[-1] - layer.trim_right]
        return data

    def _conv(self, conv: Conv, data: torch.Tensor) -> torch.Tensor:
        length = data.shape[-1]
        left, right = conv.pad_left, conv.pad_right + -length % conv.stride
        if self.seanet.pad_mode == "reflect":
            # Nothing can be reflected that is not longer than the padding: as much silence as is missing goes behind
            # it first, and as many samples go off the end afterwards.
            missing = max(0, max(left, right) - length + 1)
            data = functional.pad(functional.pad(data, (0, missing)), (left, right), mode="reflect")
            data = data[..., : data.shape[-1] - missing]
        else:
            data = functional.pad(data, (left, right))
        weight, bias = self._weights[f"{conv.name}.weight"], self._weights[f"{conv.name}.bias"]
        return functional.conv1d(data, weight, bias, conv.stride, dilation=conv.dilation)


_flags = threading.Lock()
"""Held while cuDNN's flags, which are the whole process's, are ours."""


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    if device.type != "cuda":
        with torch.inference_mode():
            yield
        return
    # cuDNN may round convolutions and LSTM to TF32 (10 bits of mantissa) and does so by default (PyTorch's notes, "CUDA
    # semantics", TensorFloat-32); the codec is little work and shall be exact. For transposed convolutions it may choose
    # an algorithm that adds in any order (notes, "Reproducibility", "Avoiding nondeterministic algorithms").
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with working(device), _flags, torch.inference_mode(), exact:
        yield


def _to_numpy(values: torch.Tensor) -> _Floats:
    array: _Floats = values.contiguous().cpu().numpy()
    return array


def _tensor(weight: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(weight, np.float32))
