"""The language model in the form that ONNX Runtime maps into memory, made once for each checkpoint.

A prepared folder holds `graph.onnx`, `weights.bin` (its tensors, each at a page's start), `embeddings.npy`
(K, C + 1, d) and, where text is attended to, `cross.npy` (L, 2d, d), which makes keys and values of it, with
`cross_bias.npy` where the checkpoint has biases.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dgx_music.engines.musicgen.decoder.onnx.graph import build_graph, weight_reads
from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["PREPARATION_VERSION", "Precision", "prepare"]

Precision = Literal["int8", "fp32"]

PREPARATION_VERSION = 1
"""Counts up with every change to what a prepared folder holds."""

_PAGE_BYTES = 4096
_INSIDE_BYTES = 512
"""Tensors up to this size stand in the graph itself."""


def prepare(
    lm: Mapping[str, npt.NDArray[Any]],
    architecture: LmArchitecture,
    *,
    weights_sha256: str,
    cache_dir: Path,
    precision: Precision = "int8",
    progress: Callable[[float], None] = lambda _share: None,
) -> Path:
    """Make a checkpoint's prepared folder, or find it. Holds one weight in memory at a time.

    Args:
        lm: the language model's weights by canonical name (see `architecture`).
        architecture: their numbers.
        weights_sha256: of the checkpoint; names the folder.
        cache_dir: where prepared folders lie.
        precision: `int8`; or `fp32`, to tell faults of the graph from rounding.
        progress: told the share done, 0 to 1, while the folder is made.

    Returns:
        The folder.

    Raises:
        EngineError: the disk is full or may not be written to.
    """
    key = PreparedKey(f"lm-onnx-{precision}", weights_sha256, PREPARATION_VERSION)

    def build(folder: Path) -> None:
        _write_graph(folder, lm, architecture, precision, progress)
        _write_tables(folder, lm, architecture, np.dtype(np.float16 if precision == "int8" else np.float32))

    return prepared_folder(cache_dir, key, build, _bytes_written(architecture, precision))


def _bytes_written(a: LmArchitecture, precision: Precision) -> int:
    tables = a.codebooks * (a.card + 1) * a.dim
    if a.text_fuse == "cross":
        tables += 2 * a.layers * a.dim * a.dim
    return weight_reads(a) + 2 * tables if precision == "int8" else 4 * (weight_reads(a) + tables)


def _write_graph(
    folder: Path,
    lm: Mapping[str, npt.NDArray[Any]],
    architecture: LmArchitecture,
    precision: Precision,
    progress: Callable[[float], None],
) -> None:
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    tensors: list[Any] = []
    with (folder / "weights.bin").open("wb") as weights:

        def store(name: str, value: npt.NDArray[Any]) -> None:
            if value.nbytes <= _INSIDE_BYTES:
                tensors.append(numpy_helper.from_array(value, name))
                return
            weights.seek(-weights.tell() % _PAGE_BYTES, os.SEEK_CUR)
            tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype))
            tensor.dims.extend(value.shape)
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": "weights.bin", "offset": weights.tell(), "length": value.nbytes}
            for key, setting in place.items():
                tensor.external_data.add(key=key, value=str(setting))
            weights.write(np.ascontiguousarray(value).data)
            tensors.append(tensor)

        nodes, inputs, outputs = build_graph(
            lm, architecture, store, int8=precision == "int8", progress=progress
        )
    graph = helper.make_graph(nodes, "musicgen", inputs, outputs, initializer=tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="dgx-music")
    (folder / "graph.onnx").write_bytes(model.SerializeToString())


def _write_tables(
    folder: Path, lm: Mapping[str, npt.NDArray[Any]], a: LmArchitecture, dtype: np.dtype[Any]
) -> None:
    shape = (a.codebooks, a.card + 1, a.dim)
    _write_stack(folder / "embeddings.npy", shape, dtype, (lm[f"emb.{q}.weight"] for q in range(a.codebooks)))
    if a.text_fuse != "cross":
        return
    names = [f"layers.{layer}.cross_attn.in_proj" for layer in range(a.layers)]
    shape = (a.layers, 2 * a.dim, a.dim)
    _write_stack(folder / "cross.npy", shape, dtype, (lm[f"{name}.weight"][a.dim :] for name in names))
    if a.has_bias:
        biases = (lm[f"{name}.bias"][a.dim :] for name in names)
        _write_stack(folder / "cross_bias.npy", shape[:2], np.dtype(np.float32), biases)


def _write_stack(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Any) -> None:
    """Write arrays one below the other as one file of numpy's, without holding more than one of them."""
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)
