"""Where each canonical weight lies in either public format.

Each function takes the tensors that a file holds and the shapes that the architecture asks for, and returns what to
read under each canonical name, after checking that every one is there, in its shape, and that nothing is left over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.checkpoint.arrays import Arrays, Folded, Stacked
from dgx_music.engines.musicgen.checkpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dgx_music.engines.musicgen.checkpoint.arrays import Stored

    Shapes = Mapping[str, tuple[int, ...]]
    Tensors = Mapping[str, Stored]

__all__ = ["audiocraft_codec", "audiocraft_lm", "hub_codec", "hub_lm", "hub_text"]

_WEIGHT_NORM = [
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
]
"""Length and direction, as torch named them first and as it names them since 2.0."""
_MAY_STAND_THERE = re.compile(
    r"(^|\.)(embed_positions\.weights|embed_tokens\.weight|num_batches_tracked|rotary_emb\.inv_freq)$"
    r"|codebook\.(inited|cluster_size|embed_avg)$"
)
"""What older files keep besides and nobody needs: tables that are computed, copies, and training's statistics."""


def audiocraft_lm(tensors: Tensors, shapes: Shapes, source: Path, conditioners: Mapping[str, str]) -> Arrays:
    """Match audiocraft's language model; `conditioners` gives the names of `text`, `chroma` and `style`."""

    def conditioner(kind: str) -> str:
        return f"condition_provider.conditioners.{conditioners[kind]}."

    def find(name: str) -> Stored | str:
        if name.startswith("layers."):
            there = f"transformer.{name}".replace("cross_attn.", "cross_attention.").replace(
                "in_proj.", "in_proj_"
            )
        elif name.startswith("text_proj."):
            there = conditioner("text") + name.replace("text_proj", "output_proj")
        elif name.startswith("chroma_proj."):
            there = conditioner("chroma") + name.replace("chroma_proj", "output_proj")
        elif name.startswith("style."):
            there = conditioner("style") + name.removeprefix("style.")
        else:
            there = name
        return tensors.get(there, there)

    return _match(tensors, shapes, find, source)


def audiocraft_codec(tensors: Tensors, shapes: Shapes, source: Path) -> Arrays:
    """Match audiocraft's EnCodec."""

    def find(name: str) -> Stored | str:
        if name.startswith("codebooks."):
            there = f"quantizer.vq.layers.{name.split('.')[1]}._codebook.embed"
            return tensors.get(there, there)
        return _perhaps_folded(
            tensors, name.replace(".conv.", ".conv.conv.").replace(".convtr.", ".convtr.convtr.")
        )

    return _match(tensors, shapes, find, source, ignore=_unused_codebooks(shapes, "quantizer.vq.layers"))


_HUB_LAYER = {
    "cross_attn.": "encoder_attn.",
    "norm_cross.": "encoder_attn_layer_norm.",
    "norm1.": "self_attn_layer_norm.",
    "norm2.": "final_layer_norm.",
    "linear1.": "fc1.",
    "linear2.": "fc2.",
}
_HUB_ELSEWHERE = {
    "emb.": "decoder.model.decoder.embed_tokens.",
    "linears.": "decoder.lm_heads.",
    "out_norm.": "decoder.model.decoder.layer_norm.",
    "text_proj.": "enc_to_dec_proj.",
    "chroma_proj.": "audio_enc_to_dec_proj.",
}


def hub_lm(tensors: Tensors, shapes: Shapes, source: Path) -> Arrays:
    """Match the hub's language model, whose query, key and value lie apart."""

    def find(name: str) -> Stored | str:
        there = name
        if name.startswith("layers."):
            there = f"decoder.model.decoder.{name}"
            for ours, theirs in _HUB_LAYER.items():
                there = there.replace(f".{ours}", f".{theirs}")
            if "in_proj." in there:
                names = [there.replace("in_proj.", f"{part}_proj.") for part in "qkv"]
                absent = [each for each in names if each not in tensors]
                return absent[0] if absent else Stacked([tensors[each] for each in names])
        else:
            for ours, theirs in _HUB_ELSEWHERE.items():
                if name.startswith(ours):
                    there = theirs + name.removeprefix(ours)
        return tensors.get(there, there)

    return _match(tensors, shapes, find, source, ignore=re.compile(r"^(text_encoder|audio_encoder)\."))


def hub_codec(tensors: Tensors, shapes: Shapes, source: Path, prefix: str = "audio_encoder.") -> Arrays:
    """Match the hub's EnCodec."""

    def find(name: str) -> Stored | str:
        if name.startswith("codebooks."):
            there = f"{prefix}quantizer.layers.{name.split('.')[1]}.codebook.embed"
            return tensors.get(there, there)
        there = name.replace("coder.model.", "coder.layers.", 1).replace(".convtr.", ".conv.")
        return _perhaps_folded(tensors, prefix + there)

    own = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return _match(own, shapes, find, source, ignore=_unused_codebooks(shapes, f"{prefix}quantizer.layers"))


def hub_text(tensors: Tensors, shapes: Shapes, source: Path, prefix: str = "text_encoder.") -> Arrays:
    """Match a T5 encoder. T5's own files hold a decoder too, which is left alone."""

    def find(name: str) -> Stored | str:
        if name == "shared.weight" and prefix + name not in tensors:
            name = "encoder.embed_tokens.weight"
        return tensors.get(prefix + name, prefix + name)

    own = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return _match(own, shapes, find, source, ignore=re.compile(rf"^{re.escape(prefix)}(decoder|lm_head)\."))


def _perhaps_folded(tensors: Tensors, name: str) -> Stored | str:
    """Return the tensor of a convolution's weight, folded where it is kept as length and direction."""
    stem, _, last = name.rpartition(".")
    if last == "weight":
        for gain, direction in _WEIGHT_NORM:
            if f"{stem}.{gain}" in tensors and f"{stem}.{direction}" in tensors:
                return Folded(tensors[f"{stem}.{gain}"], tensors[f"{stem}.{direction}"])
    return tensors.get(name, name)


def _unused_codebooks(shapes: Shapes, at: str) -> re.Pattern[str]:
    """Match the codebooks beyond those that a model uses."""
    used = sum(name.startswith("codebooks.") for name in shapes)
    numbers = "|".join(str(book) for book in range(used))
    return re.compile(rf"^{re.escape(at)}\.(?!({numbers})\.)\d+\.")


def _match(
    tensors: Tensors,
    shapes: Shapes,
    find: Callable[[str], Stored | str],
    source: Path,
    ignore: re.Pattern[str] | None = None,
) -> Arrays:
    """Look every weight up.

    Raises:
        ModelError: one is missing, has another shape, or is left over.
    """
    found: dict[str, Stored] = {}
    used: set[int] = set()
    for name, shape in shapes.items():
        stored = find(name)
        if isinstance(stored, str):
            raise ModelError(
                f"{source}: the weight {stored} is missing, which the model's own configuration asks for; "
                "the file is incomplete or belongs to another configuration"
            )
        if stored.shape != shape:
            raise ModelError(
                f"{source}: the weight {name} has the shape {_said(stored.shape)}, and the model's own "
                f"configuration asks for {_said(shape)}; file and configuration do not belong together"
            )
        if not stored.floating:
            raise ModelError(f"{source}: the weight {name} is not stored as floating point numbers")
        found[name] = stored
        used.update(id(part) for part in _parts(stored))
    left = [
        name
        for name, tensor in tensors.items()
        if id(tensor) not in used
        and not _MAY_STAND_THERE.search(name)
        and not (ignore and ignore.search(name))
    ]
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise ModelError(
            f"{source}: {', '.join(left[:3])}{more} belong to no part of the model that its configuration "
            "describes; this is another kind of model, and cannot be played here"
        )
    return Arrays(found)


def _parts(stored: Stored) -> list[Stored]:
    if isinstance(stored, Stacked):
        return list(stored.parts)
    if isinstance(stored, Folded):
        return [stored.gain, stored.direction]
    return [stored]


def _said(shape: tuple[int, ...]) -> str:
    return " × ".join("?" if size < 0 else str(size) for size in shape) or "a single number"
