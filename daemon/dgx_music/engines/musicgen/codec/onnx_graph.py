"""Writes a SEANet as two ONNX graphs with their weights beside them: what `stream` calls to remember and to express.

`remember` takes `inputs` (batch, channels, time), the LSTM's state as `h0`, `c0`, `h1`, … (1, batch, width) and the
bounds `start`, `stop` (1,) int64, and gives `frames` (batch, width, n) and `h0_out`, …. `express` takes `frames`, `start`
and `stop`, and gives `outputs` (batch, channels, samples). Writing needs the `onnx` package; running does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from dgx_music.engines.musicgen.codec.onnx_network import EXPRESS, REMEMBER
from dgx_music.engines.musicgen.codec.seanet import Conv, Elu, Residual, Upsample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy.typing as npt

    from dgx_music.engines.musicgen.codec.seanet import Layer, Lstm, Seanet

__all__ = ["write_graphs"]

_OPSET = 17
_ALIGNMENT_BYTES = 4096


def write_graphs(
    folder: Path, seanet: Seanet, channels_in: int, weights: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Write both graphs and their weights into a folder."""
    bounds = [helper.make_tensor_value_info(name, TensorProto.INT64, [1]) for name in ("start", "stop")]
    states = [f"{part}{layer}" for layer in range(seanet.lstm.layers if seanet.lstm else 0) for part in "hc"]
    frames = _value("frames", "batch", seanet.width, "n")
    with (folder / f"{REMEMBER}.bin").open("wb") as file:
        graph = _Graph(weights, file, seanet.pad_mode)
        # The decoder's inputs are frames, one at least; the encoder's may be a single sample.
        kept = graph.slice(graph.layers(seanet.front, "inputs", 1), "start", "stop")
        last = graph.lstm(seanet.lstm, kept) if seanet.lstm else kept
        graph.node("Identity", [last], "frames")
    graph.save(
        folder / f"{REMEMBER}.onnx",
        [
            _value("inputs", "batch", channels_in, "time"),
            *(_value(state, 1, "batch", seanet.width) for state in states),
            *bounds,
        ],
        [frames, *(_value(f"{state}_out", 1, "batch", seanet.width) for state in states)],
    )
    with (folder / f"{EXPRESS}.bin").open("wb") as file:
        graph = _Graph(weights, file, seanet.pad_mode)
        graph.slice(graph.layers(seanet.back, "frames", 1), "start", "stop", output="outputs")
    graph.save(
        folder / f"{EXPRESS}.onnx", [frames, *bounds], [_value("outputs", "batch", "channels", "samples")]
    )


def _value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


class _Graph:
    """A graph under construction; methods add nodes and return the name of what comes out."""

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]], file: Any, pad_mode: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._weights = weights
        self._file = file
        self._pad_mode = pad_mode

    def save(self, path: Path, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> None:
        made = helper.make_graph(self.nodes, path.stem, inputs, outputs, self.tensors)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
        path.write_bytes(model.SerializeToString())

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: list[int]) -> str:
        name = f"constant_{len(self.tensors)}"
        self.tensors.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def slice(self, data: str, start: str, stop: str, output: str = "") -> str:
        """Cut (batch, channels, time) in time."""
        return self.node("Slice", [data, start, stop, self.constant([2])], output)

    def layers(self, layers: tuple[Layer, ...], data: str, scale: int) -> str:
        """Add layers; `scale` is the shortest input there may be, 0 if that is unknown."""
        for layer in layers:
            match layer:
                case Elu():
                    data = self.node("Elu", [data])
                case Conv():
                    data = self._conv(layer, data, scale)
                case Residual():
                    inner = self._conv(layer.first, self.node("Elu", [data]), scale)
                    inner = self._conv(layer.second, self.node("Elu", [inner]), scale)
                    skip = self._conv(layer.skip, data, scale) if layer.skip else data
                    data = self.node("Add", [skip, inner])
                case Upsample():
                    data = self.node(
                        "ConvTranspose",
                        [data, *self._weight_and_bias(layer.name)],
                        kernel_shape=[layer.kernel],
                        strides=[layer.stride],
                        pads=[layer.trim_left, layer.trim_right],
                    )
                    scale *= layer.stride
        return data

    def _conv(self, conv: Conv, data: str, shortest: int) -> str:
        pads = [conv.pad_left, conv.pad_right]
        if self._pad_mode == "reflect" or conv.stride > 1:
            data = self._pad(conv, data, shortest)
            pads = [0, 0]
        return self.node(
            "Conv",
            [data, *self._weight_and_bias(conv.name)],
            kernel_shape=[conv.kernel],
            strides=[conv.stride],
            dilations=[conv.dilation],
            pads=pads,
        )

    def _pad(self, conv: Conv, data: str, shortest: int) -> str:
        """Pad as SEANet does where the convolution cannot do it by itself."""
        if conv.pad_left == conv.pad_right == 0 and conv.stride == 1:
            return data
        right = self.constant([conv.pad_right])
        length = ""
        if conv.stride > 1:  # on top, what the stride leaves over: −n mod stride
            length = self._length(data)
            over = self.node("Mod", [self.node("Neg", [length]), self.constant([conv.stride])])
            right = self.node("Add", [right, over])
        pads = self.node("Concat", [self.constant([0, 0, conv.pad_left, 0, 0]), right], axis=0)
        if self._pad_mode != "reflect":
            return self.node("Pad", [data, pads])
        largest = max(conv.pad_left, conv.pad_right + conv.stride - 1)
        if shortest > largest:
            return self.node("Pad", [data, pads], mode="reflect")
        # Nothing can be reflected that is not longer than the padding: as much silence as is missing goes behind it
        # first, and as many samples go off the end afterwards.
        length = length or self._length(data)
        most = self.node("Max", [self.constant([conv.pad_left]), right])
        missing = self.node(
            "Max",
            [self.constant([0]), self.node("Add", [self.node("Sub", [most, length]), self.constant([1])])],
        )
        longer = self.node("Pad", [data, self.node("Concat", [self.constant([0] * 5), missing], axis=0)])
        padded = self.node("Pad", [longer, pads], mode="reflect")
        stop = self.node("Sub", [self._length(padded), missing])
        return self.slice(padded, self.constant([0]), stop)

    def _length(self, data: str) -> str:
        return self.node("Shape", [data], start=2, end=3)

    def lstm(self, lstm: Lstm, data: str) -> str:
        steps = self.node("Transpose", [data], perm=[2, 0, 1])
        hidden = steps
        for layer in range(lstm.layers):
            # PyTorch has the gates in the order i, f, g, o, ONNX in the order i, o, f, c (which is g).
            inputs, recurrent = (
                _gates_for_onnx(self._weights[f"{lstm.name}.weight_{kind}_l{layer}"]) for kind in ("ih", "hh")
            )
            bias = np.concatenate(
                [_gates_for_onnx(self._weights[f"{lstm.name}.bias_{kind}_l{layer}"]) for kind in ("ih", "hh")]
            )
            name = f"lstm_{layer}"
            self.nodes.append(
                helper.make_node(
                    "LSTM",
                    [
                        hidden,
                        self._tensor(f"{name}.W", inputs[None]),
                        self._tensor(f"{name}.R", recurrent[None]),
                        self._tensor(f"{name}.B", bias[None]),
                        "",
                        f"h{layer}",
                        f"c{layer}",
                    ],
                    [f"{name}.all", f"h{layer}_out", f"c{layer}_out"],
                    hidden_size=recurrent.shape[1],
                )
            )
            hidden = self.node("Squeeze", [f"{name}.all", self.constant([1])])  # one direction
        return self.node("Transpose", [self.node("Add", [hidden, steps])], perm=[1, 2, 0])

    def _weight_and_bias(self, name: str) -> list[str]:
        return [
            self._tensor(f"{name}.{part}", self._weights[f"{name}.{part}"]) for part in ("weight", "bias")
        ]

    def _tensor(self, name: str, values: npt.NDArray[Any]) -> str:
        """Write a weight into the file, where a page of memory begins, and refer to it."""
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT_BYTES))
        data = np.ascontiguousarray(values, np.float32)
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=data.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {
            "location": Path(self._file.name).name,
            "offset": self._file.tell(),
            "length": data.nbytes,
        }.items():
            tensor.external_data.add(key=key, value=str(value))
        self._file.write(data.data)
        self.tensors.append(tensor)
        return name


def _gates_for_onnx(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    i, f, g, o = np.split(np.asarray(weight), 4)
    return np.concatenate([i, o, f, g])
