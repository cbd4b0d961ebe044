"""Building a checkpoint in a folder."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from support.musicgen_checkpoints.configs import (
    as_yaml,
    codec_config,
    hub_codec_config,
    hub_config,
    lm_config,
    t5_config,
)
from support.musicgen_checkpoints.hub_names import PARAMETRIZED, hub_names
from support.musicgen_checkpoints.shapes import (
    ENCODEC_REPOSITORY,
    SAMPLE_RATE_HZ,
    SHAPES,
    STEREO_DELAYS,
    Shape,
)
from support.musicgen_checkpoints.tokenizer import write_tokenizer
from support.musicgen_checkpoints.weights import codec_weights, lm_weights, t5_weights
from support.musicgen_checkpoints.writing import drawn, write_json, write_safetensors, write_sharded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.musicgen_checkpoints.weights import Weights
    from support.musicgen_checkpoints.writing import Drawn

COMMIT = "0" * 40
_COMPLETE = "built.json"


def _hub_codec(shape: Shape, seed: int, prefix: str, *, parametrizations: bool) -> list[Drawn]:
    return [
        (prefix + hub_names(name, parametrizations=parametrizations)[0], dims, draw)
        for name, dims, draw in drawn("", codec_weights(shape), seed)
    ]


def _hub_lm(shape: Shape, seed: int) -> Iterable[Drawn]:
    for name, dims, draw in drawn("", lm_weights(shape), seed):
        names = hub_names(name)
        if len(names) == 1:
            yield names[0], dims, draw
            continue
        once = _Once(draw)
        for part, each in enumerate(names):
            yield each, (dims[0] // 3, *dims[1:]), partial(once.third, part)


class _Once:
    """A fused projection that is drawn once for its three parts, which are asked for in order."""

    def __init__(self, draw: Callable[[], np.ndarray]) -> None:
        self._draw = draw
        self._values: np.ndarray | None = None

    def third(self, part: int) -> np.ndarray:
        if self._values is None:
            self._values = self._draw()
        found = np.split(self._values, 3)[part]
        if part == 2:
            self._values = None
        return found


def _build_hub(
    folder: Path, shape: Shape, seed: int, *, dtype: str, shards: int, parametrizations: bool
) -> None:
    if shape.hears == "style" or shape.bias or shape.delays not in ((0, 1, 2), (0, 1, 2, 3), STEREO_DELAYS):
        raise ValueError("the hub's format cannot express this shape; build it with format='audiocraft'")
    tensors = drawn("text_encoder.", t5_weights(shape.text), seed)
    tensors += _hub_codec(shape, seed, "audio_encoder.", parametrizations=parametrizations)
    tensors += _hub_lm(shape, seed)
    write_sharded(folder, tensors, dtype, shards)
    write_json(folder / "config.json", hub_config(shape))
    generation = {
        "bos_token_id": shape.card,
        "decoder_start_token_id": shape.card,
        "pad_token_id": shape.card,
        "do_sample": True,
        "guidance_scale": 3.0,
        "max_length": int(shape.segment_s * SAMPLE_RATE_HZ / math.prod(shape.codec.ratios)),
    }
    write_json(folder / "generation_config.json", generation)
    extractor = "MusicgenMelodyFeatureExtractor" if shape.hears == "melody" else "EncodecFeatureExtractor"
    processor = "MusicgenMelodyProcessor" if shape.hears == "melody" else "MusicgenProcessor"
    described = {
        "feature_extractor_type": extractor,
        "processor_class": processor,
        "feature_size": 2 if shape.stereo else 1,
        "sampling_rate": SAMPLE_RATE_HZ,
        "padding_side": "left",
        "padding_value": 0.0,
        "return_attention_mask": True,
    }
    if shape.hears == "melody":
        described |= {"n_fft": 2**shape.radix2_exp, "num_chroma": 12, "chunk_length": int(shape.segment_s)}
    write_json(folder / "preprocessor_config.json", described)
    write_tokenizer(folder)


def _into_cache(cache: Path, repository: str, folder: Path) -> None:
    """Lay a folder's files out as the hub's cache does, by links."""
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    for file in folder.iterdir():
        (snapshot / file.name).symlink_to(Path("../../../..") / folder.name / file.name)


def _build_audiocraft(folder: Path, shape: Shape, seed: int, *, codec: str, parametrizations: bool) -> None:
    import torch

    def state(made: Weights) -> dict[str, torch.Tensor]:
        tensors = {name: torch.from_numpy(draw()) for name, _, draw in drawn("", made, seed)}
        for name, value in tensors.items():
            if name.endswith("num_batches_tracked"):
                tensors[name] = value.long()
        return tensors

    def save(name: str, package: dict[str, Any]) -> None:
        torch.save(package | {"version": "1.3.0", "exported": True}, folder / name)

    save("state_dict.bin", {"best_state": state(lm_weights(shape)), "xp.cfg": as_yaml(lm_config(shape))})
    if codec == "own":
        best = state(codec_weights(shape))
        if parametrizations:
            for old, new in PARAMETRIZED.items():
                best = {name.replace(old, new): value for name, value in best.items()}
        save("compression_state_dict.bin", {"best_state": best, "xp.cfg": as_yaml(codec_config(shape))})
    else:
        save("compression_state_dict.bin", {"pretrained": ENCODEC_REPOSITORY})
        elsewhere = folder / ENCODEC_REPOSITORY.split("/")[1]
        elsewhere.mkdir()
        tensors = _hub_codec(shape, seed, "", parametrizations=parametrizations)
        write_safetensors(elsewhere / "model.safetensors", tensors, "float32")
        write_json(elsewhere / "config.json", hub_codec_config(shape))
        _into_cache(folder / "hub", ENCODEC_REPOSITORY, elsewhere)
    text = folder / shape.text.name
    text.mkdir()
    write_safetensors(text / "model.safetensors", drawn("", t5_weights(shape.text), seed), "float32")
    write_json(text / "config.json", t5_config(shape.text))
    write_tokenizer(text)
    _into_cache(folder / "hub", shape.text.name, text)


def build(
    folder: Path,
    shape: str | Shape,
    *,
    format: Literal["hub", "audiocraft"] = "hub",  # noqa: A002
    seed: int = 0,
    dtype: Literal["float32", "float16", "bfloat16"] = "float32",
    shards: int = 1,
    parametrizations: bool = False,
    codec: Literal["own", "pretrained"] = "own",
) -> Path:
    """Build a checkpoint in `folder`, or leave it as it is where the same one stands there already.

    Args:
        folder: where the files go; made if it is not there.
        shape: a name of `SHAPES`, or a shape.
        format: the public format.
        seed: of all weights; the same seed gives the same weights in both formats.
        dtype: of the hub's file. Published ones are float32.
        shards: files that the hub's weights are split into.
        parametrizations: weight norm under torch's newer names (`parametrizations.weight.original0`), which
            transformers writes now, rather than `weight_g` and `weight_v`, which audiocraft has.
        codec: `pretrained` makes audiocraft's codec file name a repository, which then lies in `hub/`.

    Returns:
        `folder`.
    """
    resolved = SHAPES[shape] if isinstance(shape, str) else shape
    options = {"format": format, "seed": seed, "dtype": dtype, "shards": shards, "codec": codec}
    said = json.dumps(
        options | {"parametrizations": parametrizations, "shape": asdict(resolved)}, sort_keys=True
    )
    marker = folder / _COMPLETE
    if marker.is_file() and marker.read_text(encoding="utf-8") == said:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if format == "hub":
        _build_hub(folder, resolved, seed, dtype=dtype, shards=shards, parametrizations=parametrizations)
    else:
        _build_audiocraft(folder, resolved, seed, codec=codec, parametrizations=parametrizations)
    marker.write_text(said, encoding="utf-8")
    return folder
