"""The language model as an ONNX graph, written straight from the architecture; weights lie beside it, by offset.

Shapes: R rows, T new positions a row (1 while decoding), N rows that attend to text, d width, H heads, e their
width (`head_width`), P and S capacities of the caches in positions. One graph serves prefill and decoding.

inputs
    `x` (R, T, d)                 embeddings with positions added
    `past` (R,) int32             positions after this call, minus one, of each row
    `total` () int32              the largest of `past`, plus one
    `k.{L}`, `v.{L}` (R, H, P, e) caches, bound to the same memory as the outputs `new_k.{L}`, `new_v.{L}`
  where text goes in by cross-attention
    `rows` (N,) int64             which rows attend to text
    `back` (R,) int64             each row's place in `rows`, N where it has none
    `cross_past` (N,) int32, `cross_total` () int32, `cross_bias` (1, 1, T, …)
    `ck.{L}`, `cv.{L}` (N, H, S, e), `ck_last.{L}`, `cv_last.{L}` (N, T, H · e)
output
    `logits` (R, T, K · C)

Self-attention is `GroupQueryAttention`, which appends to a cache and reads as much of it as a row has: a row's result
cannot hang on how long its neighbours are. Cross-attention is the same operator on a cache of text, for the same
reason; it is given the last position of the text anew at every step, and writes it where it already stands.
`cross_bias` hides what a prefill of several positions appends behind the text.

Where e is no multiple of 8, which the operator asks for, heads are padded with zeros, which change nothing.

In eight bits each row of activations is scaled by its own largest value: x ≈ s · (q − 128), with q unsigned. Sums of
products are exact whole numbers, so a row's result is the same to the bit whatever stands in the others. GELU's output
never falls below −0.17, so it is quantised from there up, in 255 steps above 0; the constant that this leaves goes into
the bias of the sum that follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dgx_music.engines.musicgen.decoder.onnx.quantise import quantise_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import LmArchitecture

__all__ = ["build_graph", "head_width", "pad_heads", "weight_reads"]

_MICROSOFT = "com.microsoft"
_GELU_LOW = 0.17
"""GELU's minimum is −0.16997."""


class _Writer:
    """Collects nodes; hands each weight on to `store` as soon as it is made, so that only one is in memory."""

    def __init__(self, store: Callable[[str, npt.NDArray[Any]], None], *, int8: bool) -> None:
        from onnx import helper  # noqa: PLC0415

        self._helper = helper
        self._store = store
        self._int8 = int8
        self._constants: set[str] = set()
        self.nodes: list[Any] = []

    def node(
        self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any
    ) -> None:
        self.nodes.append(self._helper.make_node(kind, inputs, outputs, domain=domain, **attributes))

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        if name not in self._constants:
            self._constants.add(name)
            self._store(name, value)
        return name

    def linear(
        self,
        source: str,
        name: str,
        weight: npt.NDArray[Any],
        bias: npt.NDArray[Any] | None = None,
        *,
        after_gelu: bool = False,
    ) -> tuple[str, npt.NDArray[np.float32] | None]:
        """Multiply `source` by a weight (out, in); return the product's name and what is still to be added."""
        if not self._int8:
            full = np.ascontiguousarray(np.asarray(weight, np.float32).T)
            self.node("MatMul", [source, self.constant(f"{name}.w", full)], [f"{name}.y"])
            return f"{name}.y", None if bias is None else np.asarray(bias, np.float32)
        whole, scales = quantise_rows(weight)
        rest = None if bias is None else np.asarray(bias, np.float32)
        axis = self.constant("last_axis", np.array([-1], np.int64))
        if after_gelu:
            low = self.constant("gelu_low", np.array(_GELU_LOW, np.float32))
            self.node("Add", [source, low], [f"{name}.up"])
            self.node("ReduceMax", [f"{name}.up", axis], [f"{name}.s"], keepdims=1)
            self.node("Div", [f"{name}.up", f"{name}.s"], [f"{name}.n"])
            unit = self.constant("unit_255", np.array(1 / 255, np.float32))
            zero = self.constant("zero_0", np.array(0, np.uint8))
            sums = whole.sum(axis=1, dtype=np.int64) * scales * np.float32(-_GELU_LOW)
            rest = sums.astype(np.float32) if rest is None else rest + sums.astype(np.float32)
        else:
            self.node("Abs", [source], [f"{name}.a"])
            self.node("ReduceMax", [f"{name}.a", axis], [f"{name}.s"], keepdims=1)
            self.node("Div", [source, f"{name}.s"], [f"{name}.n"])
            unit = self.constant("unit_127", np.array(1 / 127, np.float32))
            zero = self.constant("zero_128", np.array(128, np.uint8))
        self.node("QuantizeLinear", [f"{name}.n", unit, zero], [f"{name}.q"])
        inputs = [
            f"{name}.q",
            self.constant(f"{name}.w", np.ascontiguousarray(whole.T)),
            unit,
            self.constant(f"{name}.ws", scales),
            zero,
        ]
        self.node("MatMulIntegerToFloat", inputs, [f"{name}.i"], _MICROSOFT)
        self.node("Mul", [f"{name}.i", f"{name}.s"], [f"{name}.y"])
        return f"{name}.y", rest

    def added(self, source: str, rest: npt.NDArray[np.float32] | None) -> str:
        """Add what a product still lacks."""
        if rest is None:
            return source
        self.node("Add", [source, self.constant(f"{source}.b", rest)], [f"{source}.added"])
        return f"{source}.added"

    def add_norm(
        self,
        source: str,
        more: str,
        rest: npt.NDArray[np.float32] | None,
        name: str,
        lm: Mapping[str, npt.NDArray[Any]],
        eps: float,
    ) -> tuple[str, str]:
        """Add to the residual stream and normalise; return both names."""
        weight = self.constant(f"{name}.weight", np.asarray(lm[f"{name}.weight"], np.float32))
        bias = self.constant(f"{name}.bias", np.asarray(lm[f"{name}.bias"], np.float32))
        inputs = [source, more, weight, bias]
        if rest is not None:
            inputs.append(self.constant(f"{name}.rest", rest))
        outputs = [f"{name}.y", "", "", f"{name}.x"]
        self.node("SkipLayerNormalization", inputs, outputs, _MICROSOFT, epsilon=eps)
        return f"{name}.y", f"{name}.x"


def head_width(architecture: LmArchitecture) -> int:
    """Return the width of a head in the caches: padded to a multiple of 8."""
    return -(-architecture.head_dim // 8) * 8


def pad_heads(array: npt.NDArray[Any], architecture: LmArchitecture) -> npt.NDArray[Any]:
    """Widen the heads that stand one behind the other along the first axis, (…H · d / H…) to (…H · e…)."""
    width, wanted = architecture.head_dim, head_width(architecture)
    if width == wanted:
        return array
    rest = array.shape[1:]
    heads = np.asarray(array).reshape(-1, width, *rest)
    padding = [(0, 0), (0, wanted - width), *((0, 0) for _ in rest)]
    return np.pad(heads, padding).reshape(-1, *rest)


def weight_reads(architecture: LmArchitecture) -> int:
    """Return how many weights one step reads."""
    d, f = architecture.dim, architecture.ffn_dim
    attention = 4 * d * d + (2 * d * d if architecture.text_fuse == "cross" else 0)
    return architecture.layers * (attention + 2 * d * f) + architecture.codebooks * architecture.card * d


def build_graph(
    lm: Mapping[str, npt.NDArray[Any]],
    architecture: LmArchitecture,
    store: Callable[[str, npt.NDArray[Any]], None],
    *,
    int8: bool,
    progress: Callable[[float], None] = lambda _share: None,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Write the graph.

    Args:
        lm: the weights by canonical name.
        architecture: their numbers.
        store: takes each tensor of the graph once, by name, in the order in which the graph reads them.
        int8: whether products are taken in eight bits, else in fp32.
        progress: told the share done, 0 to 1.

    Returns:
        The nodes, and the value infos of the inputs and outputs.
    """
    from onnx import TensorProto, helper  # noqa: PLC0415

    make = helper.make_tensor_value_info
    d, heads, width, eps = (
        architecture.dim,
        architecture.heads,
        head_width(architecture),
        architecture.norm_eps,
    )
    cross = architecture.text_fuse == "cross"
    w = _Writer(store, int8=int8)

    def attend(query: str, name: str, inputs: list[str], outputs: list[str]) -> str:
        w.node(
            "GroupQueryAttention",
            [query, *inputs],
            [f"{name}.y", *outputs],
            _MICROSOFT,
            num_heads=heads,
            kv_num_heads=heads,
            scale=architecture.head_dim**-0.5,
        )
        return f"{name}.y"

    inputs = [
        make("x", TensorProto.FLOAT, ["R", "T", d]),
        make("past", TensorProto.INT32, ["R"]),
        make("total", TensorProto.INT32, []),
    ]
    outputs = [make("logits", TensorProto.FLOAT, ["R", "T", architecture.codebooks * architecture.card])]
    if cross:
        inputs += [
            make("rows", TensorProto.INT64, ["N"]),
            make("back", TensorProto.INT64, ["R"]),
            make("cross_past", TensorProto.INT32, ["N"]),
            make("cross_total", TensorProto.INT32, []),
            make("cross_bias", TensorProto.FLOAT, [1, 1, "T", "B"]),
            make("nothing", TensorProto.FLOAT, [1, "T", d]),
        ]
    residual, more, rest = "x", "", None
    for layer in range(architecture.layers):
        at = f"layers.{layer}"

        def heads_out(name: str, at: str = at) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
            """Weight and bias of a layer that makes queries, keys or values."""
            made = lm.get(f"{at}.{name}.bias")
            weight = pad_heads(lm[f"{at}.{name}.weight"], architecture)
            return weight, None if made is None else pad_heads(made, architecture)

        def heads_in(name: str, at: str = at) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
            """Weight and bias of a layer that reads what the heads found."""
            weight = pad_heads(lm[f"{at}.{name}.weight"].T, architecture).T
            return weight, lm.get(f"{at}.{name}.bias")

        for kind in ("k", "v"):
            inputs.append(make(f"{kind}.{layer}", TensorProto.FLOAT, ["R", heads, "P", width]))
            outputs.append(make(f"new_{kind}.{layer}", TensorProto.FLOAT, ["R", heads, "P", width]))
        if more:
            y, residual = w.add_norm(residual, more, rest, f"{at}.norm1", lm, eps)
        else:
            weights = [
                w.constant(f"{at}.norm1.{part}", np.asarray(lm[f"{at}.norm1.{part}"], np.float32))
                for part in ("weight", "bias")
            ]
            w.node("LayerNormalization", ["x", *weights], [f"{at}.norm1.y"], axis=-1, epsilon=eps)
            y = f"{at}.norm1.y"
        own = f"{at}.self_attn"
        qkv = w.added(*w.linear(y, f"{own}.in", *heads_out("self_attn.in_proj")))
        caches = [f"k.{layer}", f"v.{layer}", "past", "total"]
        y = attend(qkv, own, ["", "", *caches], [f"new_k.{layer}", f"new_v.{layer}"])
        more, rest = w.linear(y, f"{own}.out", *heads_in("self_attn.out_proj"))
        if cross:
            for kind in ("ck", "cv"):
                inputs.append(make(f"{kind}.{layer}", TensorProto.FLOAT, ["N", heads, "S", width]))
                inputs.append(make(f"{kind}_last.{layer}", TensorProto.FLOAT, ["N", "T", heads * width]))
                outputs.append(make(f"new_{kind}.{layer}", TensorProto.FLOAT, ["N", heads, "S", width]))
            y, residual = w.add_norm(residual, more, rest, f"{at}.norm_cross", lm, eps)
            text = f"{at}.cross_attn"
            w.node("Gather", [y, "rows"], [f"{text}.x"], axis=0)
            weight, bias = heads_out("cross_attn.in_proj")
            inner = heads * width
            query = w.added(
                *w.linear(f"{text}.x", f"{text}.q", weight[:inner], None if bias is None else bias[:inner])
            )
            given = [f"ck_last.{layer}", f"cv_last.{layer}", f"ck.{layer}", f"cv.{layer}"]
            given += ["cross_past", "cross_total", "", "", "", "cross_bias"]
            y = attend(query, text, given, [f"new_ck.{layer}", f"new_cv.{layer}"])
            y = w.added(*w.linear(y, f"{text}.out", *heads_in("cross_attn.out_proj")))
            w.node("Concat", [y, "nothing"], [f"{text}.all"], axis=0)
            w.node("Gather", [f"{text}.all", "back"], [f"{text}.back"], axis=0)
            more, rest = f"{text}.back", None
        y, residual = w.add_norm(residual, more, rest, f"{at}.norm2", lm, eps)
        y = w.added(*w.linear(y, f"{at}.up", lm[f"{at}.linear1.weight"], lm.get(f"{at}.linear1.bias")))
        w.node("Gelu", [y], [f"{at}.gelu"], _MICROSOFT)
        weight, bias = lm[f"{at}.linear2.weight"], lm.get(f"{at}.linear2.bias")
        more, rest = w.linear(f"{at}.gelu", f"{at}.down", weight, bias, after_gelu=True)
        progress((layer + 1) / (architecture.layers + 1))
    y, _ = w.add_norm(residual, more, rest, "out_norm", lm, eps)
    books = range(architecture.codebooks)
    heads_weight = np.concatenate([np.asarray(lm[f"linears.{book}.weight"]) for book in books])
    heads_bias = None
    if "linears.0.bias" in lm:
        heads_bias = np.concatenate([np.asarray(lm[f"linears.{book}.bias"], np.float32) for book in books])
    w.added(*w.linear(y, "linears", heads_weight, heads_bias))
    w.nodes[-1].output[0] = "logits"
    progress(1.0)
    return w.nodes, inputs, outputs
