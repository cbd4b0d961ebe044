"""A SEANet in ONNX Runtime, on the CPU, without torch in the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.codec.seanet import Seanet

    _Floats = npt.NDArray[np.float32]

__all__ = ["EXPRESS", "REMEMBER", "OnnxNetwork"]

REMEMBER = "remember"
EXPRESS = "express"
"""The graphs' names; `.onnx` and `.bin` are in the folder."""


class OnnxNetwork:
    """The graphs that `onnx_graph.write_graphs` wrote. See `stream.Network`."""

    def __init__(self, folder: Path, seanet: Seanet, channels_out: int, threads: int) -> None:
        self.seanet = seanet
        self.channels_out = channels_out
        self._remember = _session(folder / f"{REMEMBER}.onnx", threads)
        self._express = _session(folder / f"{EXPRESS}.onnx", threads)
        layers = seanet.lstm.layers if seanet.lstm else 0
        self._states = [f"{part}{layer}" for layer in range(layers) for part in "hc"]

    def remember(self, inputs: _Floats, state: _Floats, keep: tuple[int, int]) -> tuple[_Floats, _Floats]:
        """Pass inputs through front and LSTM; see `stream.Network`."""
        by_layer = state.swapaxes(0, 1).reshape(-1, 1, *state.shape[2:])
        feeds = {"inputs": inputs, **dict(zip(self._states, by_layer, strict=True)), **_bounds(keep)}
        frames, *states = self._remember.run(["frames", *(f"{name}_out" for name in self._states)], feeds)
        after = np.array(states, np.float32).reshape(-1, 2, *state.shape[2:]).swapaxes(0, 1)
        return frames, after

    def express(self, frames: _Floats, keep: tuple[int, int]) -> _Floats:
        """Pass frames through the back; see `stream.Network`."""
        (outputs,) = self._express.run(["outputs"], {"frames": frames, **_bounds(keep)})
        made: _Floats = outputs
        return made


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait by spinning take the processor from the decoder that makes the next frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Pieces differ in length, so a plan made for one does not fit the next. The arena stays on: without it, each thread
    # that decodes keeps freed memory of its own, half a gigabyte with eight takes.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _bounds(keep: tuple[int, int]) -> dict[str, npt.NDArray[np.int64]]:
    return {name: np.array([bound], np.int64) for name, bound in zip(("start", "stop"), keep, strict=True)}
