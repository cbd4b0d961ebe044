"""Builds MusicGen checkpoints with random weights, in both public formats, from nothing: no network, no audiocraft.

The same seed gives the same weights in either format.

    folder = build(tmp_path / "tiny", "tiny", format="hub")

`hub`: `config.json`, `model.safetensors` (in shards where asked for), `generation_config.json`,
`preprocessor_config.json` and the tokenizer's files; T5, EnCodec and the language model in one, in float32.
`audiocraft`: `state_dict.bin` (float16) and `compression_state_dict.bin`; T5 in a folder of its own name beside them,
and in `hub/` once more as the hub's cache would hold it (`HF_HUB_CACHE=<folder>/hub`).
"""

from support.musicgen_checkpoints.building import build
from support.musicgen_checkpoints.hub_names import hub_names
from support.musicgen_checkpoints.shapes import SHAPES, Shape
from support.musicgen_checkpoints.weights import weights

__all__ = ["SHAPES", "Shape", "build", "hub_names", "weights"]
