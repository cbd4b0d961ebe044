"""The architecture of a checkpoint in the hub's format, from its `config.json` and the small files beside it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.architecture import (
    ChromaArchitecture,
    CodecArchitecture,
    LmArchitecture,
    ModelArchitecture,
    TextArchitecture,
)
from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.settings_tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["codec_architecture", "model_architecture", "read_json", "text_architecture"]

_PLAYED = ("musicgen", "musicgen_melody")
_GUIDANCE = 3.0
"""The published models' guidance, where `generation_config.json` is missing."""


def read_json(path: Path) -> Tree:
    """Read a JSON file of settings.

    Raises:
        ModelError: it cannot be read, or is not a JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err
    except (ValueError, RecursionError) as err:
        raise ModelError(f"{path}: not valid JSON ({err}); delete it and fetch it again") from err
    if not isinstance(data, dict):
        raise ModelError(f"{path}: not a JSON object; this is no model's configuration")
    return Tree(data, path)


def model_architecture(folder: Path) -> ModelArchitecture:
    """Read the numbers of a whole model.

    Raises:
        ModelError: it is another kind of model, or asks for what this engine does not have.
    """
    path = folder / "config.json"
    tree = read_json(path)
    kind = str(tree.get("model_type", ""))
    if kind not in _PLAYED:
        raise ModelError(
            f"{path}: this is a checkpoint of {kind or 'an unnamed model'}, not of MusicGen "
            f"({' or '.join(_PLAYED)}), and cannot be played here"
        )
    generation = _optional(folder / "generation_config.json")
    text = text_architecture(tree, "text_encoder.")
    tree.expect("decoder.activation_function", "gelu")
    tree.expect("decoder.scale_embedding", False)
    tree.expect("decoder.audio_channels", 1, 2)
    books = tree.whole("decoder.num_codebooks")
    channels = int(tree.get("decoder.audio_channels", 1))
    if books % channels:
        raise tree.wrong("decoder.num_codebooks", books, f"a multiple of {channels} channels")
    codec = codec_architecture(tree, "audio_encoder.", channels=channels, codebooks=books // channels)
    if tree.whole("decoder.vocab_size") != codec.bins:
        raise tree.wrong("decoder.vocab_size", tree.get("decoder.vocab_size"), f"the codec's {codec.bins}")
    dim, heads = tree.whole("decoder.hidden_size"), tree.whole("decoder.num_attention_heads")
    if dim <= 0 or heads <= 0 or dim % heads:
        raise tree.wrong("decoder.num_attention_heads", heads, f"a divisor of {dim}")
    melody = kind == "musicgen_melody"
    lm = LmArchitecture(
        dim=dim,
        heads=heads,
        layers=tree.whole("decoder.num_hidden_layers"),
        ffn_dim=tree.whole("decoder.ffn_dim"),
        codebooks=books,
        card=codec.bins,
        # The format has no delays: transformers takes 0, 1, 2, … and both channels of a codebook alike.
        delays=tuple(book // channels for book in range(books)),
        text_dim=text.dim,
        text_fuse="prepend" if melody else "cross",
        has_bias=False,
        cfg_coef=float(generation.get("guidance_scale", _GUIDANCE)),
        two_step_cfg=False,
        chroma=_chroma(folder, tree) if melody else None,
    )
    default_window = ModelArchitecture.window_s * codec.frame_rate_hz
    window_frames = float(generation.get("max_length", default_window))
    return ModelArchitecture(lm, codec, text, window_s=window_frames / codec.frame_rate_hz)


def codec_architecture(
    tree: Tree, at: str = "", *, channels: int = 1, codebooks: int = 0
) -> CodecArchitecture:
    """Read an EnCodec's numbers.

    Args:
        tree: its configuration, or one that has it inside.
        at: where inside, with a dot at the end.
        channels: how often a model uses it side by side.
        codebooks: how many codebooks a model uses of each; 0 for all.
    """
    tree.expect(f"{at}model_type", "encodec", absent=False)
    tree.expect(f"{at}audio_channels", 1)
    tree.expect(f"{at}normalize", False)
    tree.expect(f"{at}norm_type", "weight_norm")
    tree.expect(f"{at}trim_right_ratio", 1.0)
    tree.expect(f"{at}chunk_length_s", None)
    bins = tree.whole(f"{at}codebook_size")
    ratios = tree.wholes(f"{at}upsampling_ratios")
    rate_hz = tree.whole(f"{at}sampling_rate")
    # transformers' EncodecConfig.num_quantizers: the codebooks that the largest bandwidth pays for.
    bandwidths = tree.get(f"{at}target_bandwidths")
    if not isinstance(bandwidths, list) or not bandwidths or bins < 2 or not ratios or min(ratios) < 1:
        raise tree.wrong(
            f"{at}target_bandwidths", bandwidths, "a list of numbers, for codebooks of two entries or more"
        )
    there = int(
        1000 * bandwidths[-1] // (math.ceil(rate_hz / math.prod(ratios)) * math.ceil(math.log2(bins)))
    )
    if codebooks > there:
        raise tree.wrong(
            f"{at}target_bandwidths", bandwidths, f"enough for the model's {codebooks} codebooks"
        )
    return CodecArchitecture(
        sample_rate_hz=rate_hz,
        channels=channels,
        dimension=tree.whole(f"{at}hidden_size"),
        n_filters=tree.whole(f"{at}num_filters"),
        ratios=ratios,
        kernel_size=tree.whole(f"{at}kernel_size"),
        last_kernel_size=tree.whole(f"{at}last_kernel_size"),
        residual_kernel_size=tree.whole(f"{at}residual_kernel_size"),
        n_residual_layers=tree.whole(f"{at}num_residual_layers"),
        dilation_base=tree.whole(f"{at}dilation_growth_rate"),
        compress=tree.whole(f"{at}compress"),
        lstm_layers=tree.whole(f"{at}num_lstm_layers"),
        causal=tree.truth(f"{at}use_causal_conv"),
        pad_mode=tree.text(f"{at}pad_mode"),
        # transformers' EncodecConfig has true where a file is silent.
        true_skip=not tree.truth(f"{at}use_conv_shortcut", default=True),
        codebooks=codebooks or there,
        bins=bins,
    )


def text_architecture(tree: Tree, at: str = "", name: str = "") -> TextArchitecture:
    """Read a T5 encoder's numbers; what T5's oldest files do not say has the value that the paper's models have."""
    tree.expect(f"{at}model_type", "t5", absent=False)
    feed_forward = tree.get(f"{at}feed_forward_proj", "relu")
    if feed_forward not in ("relu", "gated-gelu"):
        raise tree.wrong(f"{at}feed_forward_proj", feed_forward, "'relu' or 'gated-gelu'")
    return TextArchitecture(
        name=name or str(tree.get(f"{at}_name_or_path", "")),
        dim=tree.whole(f"{at}d_model"),
        layers=tree.whole(f"{at}num_layers"),
        heads=tree.whole(f"{at}num_heads"),
        head_dim=tree.whole(f"{at}d_kv"),
        ffn_dim=tree.whole(f"{at}d_ff"),
        vocab=tree.whole(f"{at}vocab_size"),
        relative_buckets=int(tree.get(f"{at}relative_attention_num_buckets", 32)),
        relative_max_distance=int(tree.get(f"{at}relative_attention_max_distance", 128)),
        norm_eps=float(tree.get(f"{at}layer_norm_epsilon", 1e-6)),
        gated_gelu=feed_forward == "gated-gelu",
    )


def _chroma(folder: Path, tree: Tree) -> ChromaArchitecture:
    """The STFT is transformers' `MusicgenMelodyFeatureExtractor`'s, which always keeps the strongest class alone."""
    extractor = _optional(folder / "preprocessor_config.json")
    window = int(extractor.get("n_fft", 16_384))
    if window < 2 or window & (window - 1):
        raise extractor.wrong("n_fft", window, "a power of 2")
    return ChromaArchitecture(
        bins=tree.whole("num_chroma"),
        radix2_exp=window.bit_length() - 1,
        winhop=int(extractor.get("hop_length", 4096)),
        argmax=True,
        frames=tree.whole("chroma_length"),
    )


def _optional(path: Path) -> Tree:
    return read_json(path) if path.is_file() else Tree({}, path)
