"""The configurations of both formats."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from support.musicgen_checkpoints.shapes import ENCODEC_REPOSITORY, SAMPLE_RATE_HZ
from support.musicgen_checkpoints.weights import STYLE

if TYPE_CHECKING:
    from support.musicgen_checkpoints.shapes import Shape, T5Shape


def as_yaml(data: dict[str, Any], indent: str = "") -> str:
    lines = []
    for key, value in data.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:\n{as_yaml(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {json.dumps(value)}\n")
    return "".join(lines)


def lm_config(shape: Shape) -> dict[str, Any]:
    """The settings that audiocraft's trainer writes, as far as they matter for the model; some refer to others."""
    t5 = {"name": shape.text.name, "finetune": False, "word_dropout": 0.3, "normalize_text": False}
    conditioners: dict[str, Any] = {}
    if shape.hears == "melody":
        chroma = {
            "sample_rate": "${sample_rate}",
            "n_chroma": 12,
            "radix2_exp": shape.radix2_exp,
            "argmax": True,
            "match_len_on_eval": True,
            "eval_wavs": None,
            "n_eval_wavs": 100,
            "cache_path": None,
        }
        conditioners["self_wav"] = {"model": "chroma_stem", "chroma_stem": chroma}
    if shape.hears == "style":
        conditioners["self_wav"] = {"model": "style", "style": STYLE}
    conditioners["description"] = {"model": "t5", "t5": t5}
    if shape.prepends:
        conditioners["args"] = {"merge_text_conditions_p": 0.25, "drop_desc_p": 0.5}
    books = len(shape.delays)
    return {
        "device": "cuda",
        "dtype": "float32",
        "solver": "musicgen",
        "sample_rate": SAMPLE_RATE_HZ,
        "channels": 2 if shape.stereo else 1,
        "autocast": True,
        "autocast_dtype": "float16",
        "compression_model_checkpoint": f"//pretrained/{ENCODEC_REPOSITORY}",
        "compression_model_n_q": None,
        "interleave_stereo_codebooks": {"use": shape.stereo, "per_timestep": False},
        "dataset": {"segment_duration": shape.segment_s},
        "lm_model": "transformer_lm",
        "codebooks_pattern": {
            "modeling": "delay",
            "delay": {"delays": list(shape.delays), "flatten_first": 0, "empty_initial": 0},
            "unroll": {"flattening": list(range(books)), "delays": [0] * books},
            "music_lm": {"group_by": 2},
            "coarse_first": {"delays": [0] * (books - 1)},
        },
        "transformer_lm": {
            "dim": shape.dim,
            "num_heads": shape.heads,
            "num_layers": shape.layers,
            "hidden_scale": shape.hidden_scale,
            "n_q": books,
            "card": shape.card,
            "dropout": 0.0,
            "emb_lr": None,
            "activation": "gelu",
            "norm_first": True,
            "bias_ff": shape.bias,
            "bias_attn": shape.bias,
            "bias_proj": shape.bias,
            "past_context": None,
            "causal": True,
            "custom": False,
            "memory_efficient": True,
            "attention_as_float32": False,
            "layer_scale": None,
            "positional_embedding": "sin",
            "xpos": False,
            "checkpointing": "none",
            "weight_init": "gaussian",
            "depthwise_init": "current",
            "zero_bias_init": True,
            "norm": "layer_norm",
            "cross_attention": False,
            "qk_layer_norm": False,
            "qk_layer_norm_cross": False,
            "attention_dropout": None,
            "kv_repeat": 1,
            "two_step_cfg": False,
        },
        "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
        "attribute_dropout": {},
        "fuser": {
            "cross_attention_pos_emb": False,
            "cross_attention_pos_emb_scale": 1,
            "sum": [],
            "prepend": ["self_wav", "description"] if shape.prepends else [],
            "cross": [] if shape.prepends else ["description"],
            "input_interpolate": [],
        },
        "conditioners": conditioners,
    }


def codec_config(shape: Shape) -> dict[str, Any]:
    codec = shape.codec
    return {
        "device": "cuda",
        "sample_rate": SAMPLE_RATE_HZ,
        "channels": 1,
        "compression_model": "encodec",
        "encodec": {
            "autoencoder": "seanet",
            "quantizer": "rvq",
            "sample_rate": "${sample_rate}",
            "channels": "${channels}",
            "causal": False,
            "renormalize": False,
        },
        "seanet": {
            "dimension": codec.dimension,
            "channels": "${channels}",
            "causal": "${encodec.causal}",
            "n_filters": codec.n_filters,
            "n_residual_layers": codec.n_residual_layers,
            "ratios": list(codec.ratios),
            "activation": "ELU",
            "activation_params": {"alpha": 1.0},
            "norm": "weight_norm",
            "norm_params": {},
            "kernel_size": codec.kernel_size,
            "residual_kernel_size": codec.residual_kernel_size,
            "last_kernel_size": codec.last_kernel_size,
            "dilation_base": codec.dilation_base,
            "pad_mode": "constant",
            "true_skip": codec.true_skip,
            "compress": codec.compress,
            "lstm": codec.lstm,
            "disable_norm_outer_blocks": 0,
            "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
            "encoder": {},
        },
        "rvq": {
            "n_q": codec.codebooks,
            "q_dropout": False,
            "bins": shape.card,
            "decay": 0.99,
            "kmeans_init": True,
            "kmeans_iters": 50,
            "threshold_ema_dead_code": 2,
            "orthogonal_reg_weight": 0.0,
            "orthogonal_reg_active_codes_only": False,
        },
    }


def hub_codec_config(shape: Shape) -> dict[str, Any]:
    codec = shape.codec
    rate_hz = SAMPLE_RATE_HZ / math.prod(codec.ratios)
    bits = math.ceil(math.log2(shape.card))
    return {
        "model_type": "encodec",
        "architectures": ["EncodecModel"],
        "sampling_rate": SAMPLE_RATE_HZ,
        "audio_channels": 1,
        "normalize": False,
        "chunk_length_s": None,
        "overlap": None,
        # transformers finds the number of codebooks by this alone.
        "target_bandwidths": [codec.codebooks * rate_hz * bits / 1000],
        "hidden_size": codec.dimension,
        "num_filters": codec.n_filters,
        "num_residual_layers": codec.n_residual_layers,
        "upsampling_ratios": list(codec.ratios),
        "norm_type": "weight_norm",
        "kernel_size": codec.kernel_size,
        "last_kernel_size": codec.last_kernel_size,
        "residual_kernel_size": codec.residual_kernel_size,
        "dilation_growth_rate": codec.dilation_base,
        "use_causal_conv": False,
        "pad_mode": "constant",
        "compress": codec.compress,
        "num_lstm_layers": codec.lstm,
        "trim_right_ratio": 1.0,
        "codebook_size": shape.card,
        "codebook_dim": codec.dimension,
        "use_conv_shortcut": not codec.true_skip,
    }


def t5_config(text: T5Shape) -> dict[str, Any]:
    return {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "d_model": text.d_model,
        "d_kv": text.d_kv,
        "d_ff": text.d_ff,
        "num_layers": text.layers,
        "num_decoder_layers": text.layers,
        "num_heads": text.heads,
        "vocab_size": text.vocab,
        "feed_forward_proj": "relu",
        "dense_act_fn": "relu",
        "is_gated_act": False,
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.1,
        "is_encoder_decoder": True,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def hub_config(shape: Shape) -> dict[str, Any]:
    melody = "_melody" if shape.hears == "melody" else ""
    decoder = {
        "model_type": f"musicgen{melody}_decoder",
        "vocab_size": shape.card,
        "max_position_embeddings": 2048,
        "num_hidden_layers": shape.layers,
        "ffn_dim": shape.ffn_dim,
        "num_attention_heads": shape.heads,
        "activation_function": "gelu",
        "hidden_size": shape.dim,
        "scale_embedding": False,
        "num_codebooks": len(shape.delays),
        "audio_channels": 2 if shape.stereo else 1,
        "pad_token_id": shape.card,
        "bos_token_id": shape.card,
        "eos_token_id": None,
        "tie_word_embeddings": False,
    }
    config = {
        "model_type": f"musicgen{melody}",
        "architectures": [f"Musicgen{melody.title().replace('_', '')}ForConditionalGeneration"],
        "is_encoder_decoder": True,
        "audio_encoder": hub_codec_config(shape),
        "decoder": decoder,
        "text_encoder": t5_config(shape.text)
        | {"is_encoder_decoder": False, "_name_or_path": shape.text.name},
    }
    if melody:
        config |= {"num_chroma": 12, "chroma_length": shape.chroma_frames}
    return config
