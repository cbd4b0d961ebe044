"""The architecture of a checkpoint in audiocraft's format, from the trainer's settings that it carries (`xp.cfg`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dgx_music.engines.musicgen.architecture import (
    ChromaArchitecture,
    CodecArchitecture,
    LmArchitecture,
    StyleArchitecture,
)
from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.expected import STYLE_SCALES
from dgx_music.engines.musicgen.checkpoint.settings_tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["codec_architecture", "conditioner", "lm_architecture", "parse", "text_name"]

_OTHERS = {
    "transformer_lm_magnet": "MAGNeT",
    "audiogen": "AudioGen",
    "magnet": "MAGNeT",
    "audio_magnet": "MAGNeT",
    "jasco": "JASCO",
}


def parse(text: str, source: Path) -> Tree:
    """Read `xp.cfg`.

    Raises:
        ModelError: it is not YAML, or not a mapping.
    """
    import yaml  # noqa: PLC0415

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as err:
        raise ModelError(f"{source}: its settings (xp.cfg) are not valid YAML: {err}") from err
    if not isinstance(data, dict):
        raise ModelError(
            f"{source}: its settings (xp.cfg) are not a mapping; this is no audiocraft checkpoint"
        )
    return Tree(data, source)


def conditioner(tree: Tree, model: str) -> str | None:
    """Return the name of the conditioner that a model serves (`t5`: `description`), `None` where there is none."""
    for name, entry in tree.get("conditioners", {}).items():
        if isinstance(entry, dict) and entry.get("model") == model:
            return str(name)
    return None


def text_name(tree: Tree) -> str:
    """Return the T5's name, such as `t5-base`.

    Raises:
        ModelError: the checkpoint is not conditioned on text by T5.
    """
    at = conditioner(tree, "t5")
    if at is None:
        raise tree.wrong("conditioners", sorted(tree.get("conditioners", {})), "one of the model t5")
    return tree.text(f"conditioners.{at}.t5.name")


def lm_architecture(
    tree: Tree, source: Path, text_dim: int, codec: CodecArchitecture
) -> tuple[LmArchitecture, CodecArchitecture, float]:
    """Read the language model's numbers.

    Args:
        tree: what `parse` gave.
        source: the file, for errors.
        text_dim: width of the text encoder.
        codec: a channel's codec, as `codec_architecture` gave it.

    Returns:
        The architecture; the codec with the number of channels and codebooks that the model uses of it; the window
        in seconds.

    Raises:
        ModelError: the settings are those of another kind of model, or ask for what this engine does not have.
    """
    for name in ["solver", "lm_model"]:
        other = _OTHERS.get(str(tree.get(name)))
        if other or "jasco" in str(tree.get(name)):
            raise ModelError(
                f"{source}: this is a checkpoint of {other or 'JASCO'}, not of MusicGen, and cannot be played here"
            )
    tree.expect("lm_model", "transformer_lm", absent=False)
    _check_transformer(tree)
    books = tree.whole("transformer_lm.n_q")
    delays = _delays(tree, books)
    if len(delays) != books or min(delays) < 0:
        raise tree.wrong("codebooks_pattern.delay.delays", list(delays), f"{books} delays, one a codebook")
    if tree.whole("transformer_lm.card") != codec.bins:
        raise tree.wrong("transformer_lm.card", tree.get("transformer_lm.card"), f"the codec's {codec.bins}")
    stereo = tree.truth("interleave_stereo_codebooks.use", default=False)
    if stereo:
        tree.expect("interleave_stereo_codebooks.per_timestep", False)
    channels = 2 if stereo else 1
    if books % channels or books // channels > codec.codebooks:
        raise tree.wrong("transformer_lm.n_q", books, f"at most {codec.codebooks} codebooks a channel")
    dim = tree.whole("transformer_lm.dim")
    heads = tree.whole("transformer_lm.num_heads")
    if dim <= 0 or heads <= 0 or dim % heads:
        raise tree.wrong("transformer_lm.num_heads", heads, f"a divisor of {dim}")
    window_s = tree.number("dataset.segment_duration")
    chroma = _chroma(tree, window_s)
    style = _style(tree, codec)
    lm = LmArchitecture(
        dim=dim,
        heads=heads,
        layers=tree.whole("transformer_lm.num_layers"),
        ffn_dim=int(tree.number("transformer_lm.hidden_scale") * dim),
        codebooks=books,
        card=codec.bins,
        delays=delays,
        text_dim=text_dim,
        text_fuse=_text_fuse(tree),
        has_bias=_bias(tree),
        cfg_coef=tree.number("classifier_free_guidance.inference_coef"),
        two_step_cfg=tree.truth("transformer_lm.two_step_cfg", default=False),
        chroma=chroma,
        style=style,
    )
    used = {name: getattr(codec, name) for name in codec.__dataclass_fields__}
    return lm, CodecArchitecture(**used | {"channels": channels, "codebooks": books // channels}), window_s


def _check_transformer(tree: Tree) -> None:
    at = "transformer_lm"
    for name, value in {
        "norm_first": True,
        "causal": True,
        "activation": "gelu",
        "norm": "layer_norm",
        "positional_embedding": "sin",
        "qk_layer_norm": False,
        "qk_layer_norm_cross": False,
        "kv_repeat": 1,
    }.items():
        tree.expect(f"{at}.{name}", value)
    tree.expect(f"{at}.layer_scale", None)
    tree.expect(f"{at}.past_context", None)
    tree.expect("fuser.cross_attention_pos_emb", False)
    for name in ["sum", "input_interpolate"]:
        tree.expect(f"fuser.{name}", [])


def _delays(tree: Tree, books: int) -> tuple[int, ...]:
    """Read the delay pattern; older settings name it `transformer_lm.q_modeling` and mean 0, 1, 2, …."""
    if tree.get("codebooks_pattern.modeling") is None:
        tree.expect("transformer_lm.q_modeling", "delay", absent=False)
        return tuple(range(books))
    tree.expect("codebooks_pattern.modeling", "delay")
    tree.expect("codebooks_pattern.delay.flatten_first", 0)
    tree.expect("codebooks_pattern.delay.empty_initial", 0)
    if tree.get("codebooks_pattern.delay.delays") is None:
        return tuple(range(books))
    return tree.wholes("codebooks_pattern.delay.delays")


def _bias(tree: Tree) -> bool:
    # audiocraft's own defaults, where the settings are silent, are true.
    said = {
        name: tree.truth(f"transformer_lm.{name}", default=True)
        for name in ["bias_ff", "bias_attn", "bias_proj"]
    }
    if len(set(said.values())) != 1:
        raise tree.wrong("transformer_lm", said, "all three alike")
    return said["bias_ff"]


def _text_fuse(tree: Tree) -> Literal["cross", "prepend"]:
    text = conditioner(tree, "t5")
    audio = conditioner(tree, "chroma_stem") or conditioner(tree, "style")
    cross, prepend = tree.get("fuser.cross", []), tree.get("fuser.prepend", [])
    others = sorted(set(tree.get("conditioners", {})) - {text, audio, "args"})
    if others:
        raise tree.wrong("conditioners", others, "t5 with chroma_stem or style at most")
    if cross == [text] and not prepend and audio is None:
        return "cross"
    if not cross and prepend == ([audio, text] if audio else [text]):
        return "prepend"
    raise tree.wrong(
        "fuser", {"cross": cross, "prepend": prepend}, "text by cross-attention, or audio and text before"
    )


def _chroma(tree: Tree, window_s: float) -> ChromaArchitecture | None:
    name = conditioner(tree, "chroma_stem")
    if name is None:
        return None
    at = f"conditioners.{name}.chroma_stem"
    exponent = tree.whole(f"{at}.radix2_exp")
    window = int(tree.get(f"{at}.winlen", 2**exponent))
    winhop = int(tree.get(f"{at}.winhop", window // 4))
    if window != 2**exponent or tree.get(f"{at}.nfft", window) != window:
        raise tree.wrong(f"{at}.winlen", window, f"2 to the power of radix2_exp, {2**exponent}")
    samples = max(int(tree.whole("sample_rate") * window_s), window)
    return ChromaArchitecture(
        bins=tree.whole(f"{at}.n_chroma"),
        radix2_exp=exponent,
        winhop=winhop,
        argmax=tree.truth(f"{at}.argmax", default=False),
        frames=samples // winhop + 1,
    )


def _style(tree: Tree, codec: CodecArchitecture) -> StyleArchitecture | None:
    name = conditioner(tree, "style")
    if name is None:
        return None
    at = f"conditioners.{name}.style"
    tree.expect(f"{at}.transformer_scale", *STYLE_SCALES, absent=False)
    tree.expect(f"{at}.model_name", "mert", "encodec", absent=False)
    for each in ["n_q_out", "bins", "encodec_n_q"]:
        tree.whole(f"{at}.{each}")
    options: dict[str, Any] = {each: tree.get(f"{at}.{each}") for each in tree.get(at, {})}
    options.setdefault("batch_norm", True)
    options["encodec_bins"] = codec.bins
    return StyleArchitecture(tuple((each, _said(value)) for each, value in options.items()))


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(_said(each) for each in value)
    return "" if value is None else str(value)


def codec_architecture(tree: Tree) -> CodecArchitecture:
    """Read the codec's numbers, of one channel.

    Raises:
        ModelError: it is not an EnCodec as MusicGen has it.
    """
    tree.expect("compression_model", "encodec", absent=False)
    tree.expect("encodec.autoencoder", "seanet", absent=False)
    tree.expect("encodec.quantizer", "rvq", absent=False)
    tree.expect("encodec.renormalize", False)
    tree.expect("encodec.channels", 1, absent=False)
    tree.expect("seanet.activation", "ELU", absent=False)
    tree.expect("seanet.activation_params.alpha", 1.0)
    tree.expect("seanet.norm", "weight_norm", absent=False)
    tree.expect("seanet.disable_norm_outer_blocks", 0)
    tree.expect("seanet.encoder", {})
    tree.expect("seanet.decoder.final_activation", None)
    tree.expect("seanet.decoder.trim_right_ratio", 1.0)
    return CodecArchitecture(
        sample_rate_hz=tree.whole("encodec.sample_rate"),
        channels=1,
        dimension=tree.whole("seanet.dimension"),
        n_filters=tree.whole("seanet.n_filters"),
        ratios=tree.wholes("seanet.ratios"),
        kernel_size=tree.whole("seanet.kernel_size"),
        last_kernel_size=tree.whole("seanet.last_kernel_size"),
        residual_kernel_size=tree.whole("seanet.residual_kernel_size"),
        n_residual_layers=tree.whole("seanet.n_residual_layers"),
        dilation_base=tree.whole("seanet.dilation_base"),
        compress=tree.whole("seanet.compress"),
        lstm_layers=tree.whole("seanet.lstm"),
        causal=tree.truth("seanet.causal"),
        pad_mode=tree.text("seanet.pad_mode"),
        true_skip=tree.truth("seanet.true_skip"),
        codebooks=tree.whole("rvq.n_q"),
        bins=tree.whole("rvq.bins"),
    )
