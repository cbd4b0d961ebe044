"""Which of transformers' names belongs to which of audiocraft's."""

from __future__ import annotations

_HUB_LAYER = [
    ("cross_attention.", "encoder_attn."),
    ("norm_cross.", "encoder_attn_layer_norm."),
    ("norm1.", "self_attn_layer_norm."),
    ("norm2.", "final_layer_norm."),
    ("linear1.", "fc1."),
    ("linear2.", "fc2."),
]
PARAMETRIZED = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}


def hub_names(name: str, *, parametrizations: bool = False) -> list[str]:
    """Return the names under which transformers keeps one of audiocraft's tensors: three for a fused projection."""
    if name.startswith(("encoder.", "decoder.", "quantizer.")):
        name = name.replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        name = (
            name.replace("coder.model.", "coder.layers.", 1)
            .replace("vq.layers", "layers")
            .replace("_codebook", "codebook")
        )
        if parametrizations:
            for old, new in PARAMETRIZED.items():
                name = name.replace(old, new)
        return [name]
    if name.startswith("condition_provider."):
        audio = ".self_wav." in name
        return [f"{'audio_' if audio else ''}enc_to_dec_proj.{name.rsplit('.', 1)[1]}"]
    if name.startswith("linears."):
        return [name.replace("linears", "decoder.lm_heads")]
    if name.startswith("emb."):
        return [name.replace("emb", "decoder.model.decoder.embed_tokens")]
    if name.startswith("out_norm."):
        return [name.replace("out_norm", "decoder.model.decoder.layer_norm")]
    name = name.replace("transformer.", "decoder.model.decoder.")
    for old, new in _HUB_LAYER:
        name = name.replace(old, new)
    if "in_proj_" in name:
        return [name.replace("in_proj_", f"{part}_proj.") for part in "qkv"]
    return [name]
