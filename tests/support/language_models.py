"""Small language models with random weights, takes for them, and the same model in audiocraft and transformers.

Imports torch and the two libraries inside functions alone.
"""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from dgx_music.engines.musicgen.architecture import ChromaArchitecture, LmArchitecture, StyleArchitecture
from dgx_music.engines.musicgen.decoder.base import Condition, Sampling, TakeInput
from dgx_music.engines.musicgen.delay import first_step, interleave, steps
from dgx_music.engines.musicgen.sampling import uniforms

GREEDY = Sampling(temperature=0.0)

_MONO = LmArchitecture(
    dim=30,
    heads=3,
    layers=3,
    ffn_dim=45,
    codebooks=4,
    card=37,
    delays=(0, 1, 2, 3),
    text_dim=16,
    text_fuse="cross",
    has_bias=False,
    cfg_coef=3.0,
    two_step_cfg=False,
)
# Heads of odd width, and no dimension a multiple of another.
MONO = _MONO
STEREO = replace(_MONO, dim=44, heads=4, ffn_dim=66, codebooks=8, card=53, delays=(0, 0, 1, 1, 2, 2, 3, 3))
MELODY = replace(
    _MONO,
    dim=26,
    heads=2,
    ffn_dim=39,
    text_fuse="prepend",
    chroma=ChromaArchitecture(bins=12, radix2_exp=14, winhop=4096, argmax=True, frames=19),
)
STYLE = replace(_MONO, dim=34, heads=2, ffn_dim=51, text_fuse="prepend", style=StyleArchitecture(options=()))
BIASED = replace(_MONO, has_bias=True)
SHAPES = {"mono": MONO, "stereo": STEREO, "melody": MELODY, "style": STYLE, "biased": BIASED}


def full_size(size: str, layers: int | None = None) -> LmArchitecture:
    """The numbers of a published model; with fewer layers where time is short."""
    dim, heads, all_layers = {"small": (1024, 16, 24), "medium": (1536, 24, 48), "large": (2048, 32, 48)}[
        size
    ]
    return replace(
        _MONO, dim=dim, heads=heads, layers=layers or all_layers, ffn_dim=4 * dim, card=2048, text_dim=768
    )


def random_lm(arch: LmArchitecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by their canonical names, scaled so that logits are about 1 and tokens keep changing."""
    generator = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}

    def linear(name: str, out: int, into: int, gain: float = 1.0, *, bias: bool = arch.has_bias) -> None:
        weight = generator.standard_normal((out, into), np.float32)
        made[f"{name}.weight"] = weight * np.float32(gain / math.sqrt(into))
        if bias:
            made[f"{name}.bias"] = generator.standard_normal(out, np.float32) * np.float32(0.2)

    def norm(name: str) -> None:
        made[f"{name}.weight"] = 1 + generator.standard_normal(arch.dim, np.float32) * np.float32(0.1)
        made[f"{name}.bias"] = generator.standard_normal(arch.dim, np.float32) * np.float32(0.1)

    for book in range(arch.codebooks):
        made[f"emb.{book}.weight"] = generator.standard_normal((arch.card + 1, arch.dim), np.float32)
        linear(f"linears.{book}", arch.card, arch.dim)
    norm("out_norm")
    for number in range(arch.layers):
        at = f"layers.{number}"
        for attention in ("self_attn", "cross_attn")[: 2 if arch.text_fuse == "cross" else 1]:
            linear(f"{at}.{attention}.in_proj", 3 * arch.dim, arch.dim, 1.5)
            linear(f"{at}.{attention}.out_proj", arch.dim, arch.dim, 0.7)
        linear(f"{at}.linear1", arch.ffn_dim, arch.dim)
        linear(f"{at}.linear2", arch.dim, arch.ffn_dim, 0.7)
        for name in ("norm1", "norm2", *(["norm_cross"] if arch.text_fuse == "cross" else [])):
            norm(f"{at}.{name}")
    return made


def random_take(
    arch: LmArchitecture,
    seed: int,
    *,
    frames: int = 40,
    prompt: int = 0,
    guided: bool = True,
    text: int = 5,
    prefix: int = 7,
    sampling: Sampling = GREEDY,
    guidance: float = 3.0,
    doubly: bool = False,
) -> TakeInput:
    """A take with random text (or prefix, where that is how the model takes it)."""
    generator = np.random.default_rng(seed)

    def some(length: int) -> np.ndarray:
        return generator.standard_normal((length, arch.dim), np.float32)

    count = 3 if doubly else 2 if guided else 1
    if arch.text_fuse == "cross":
        conditions = [Condition(cross=some(text)), Condition(cross=some(text + 2))][: count - 1 or 1]
        conditions += [Condition()] * (count - len(conditions))
    else:
        conditions = [Condition(prefix=some(prefix)) for _ in range(count)]
    weights = (guidance, 1 - guidance)
    if doubly:
        weights = (guidance * 1.5, guidance * -0.5, 1 - guidance)
    return TakeInput(
        conditions=tuple(conditions),
        weights=weights if count > 1 else (1.0,),
        sampling=sampling,
        frames=frames,
        prompt=generator.integers(0, arch.card, (arch.codebooks, prompt)),
        uniforms=uniforms(seed, steps(frames, arch.delays), arch.codebooks),
    )


@dataclass
class Run:
    """What came of a take."""

    laid: np.ndarray
    """(steps, K)"""
    logits: np.ndarray
    """(steps drawn, K, C) after guidance"""


def run_alone(decoder, take: TakeInput) -> Run:
    """Decode a take with nobody beside it, from admission to release."""
    return run_together(decoder, [(0, take)])[0]


def run_together(decoder, joining: list[tuple[int, TakeInput]]) -> list[Run]:
    """Decode takes that join before the given rounds, each to its end."""
    delays, card = decoder.architecture.delays, decoder.architecture.card
    laid = [interleave(take.prompt, take.frames, delays, card) for _, take in joining]
    at = [first_step(take.prompt.shape[1], delays) for _, take in joining]
    logits: list[list[np.ndarray]] = [[] for _ in joining]
    inside: dict[int, int] = {}
    waiting = sorted(range(len(joining)), key=lambda number: joining[number][0])
    turn = 0
    while waiting or inside:
        while waiting and joining[waiting[0]][0] <= turn:
            number = waiting.pop(0)
            inside[decoder.admit(joining[number][1])] = number
        for handle, tokens in decoder.step().items():
            number = inside[handle]
            known = laid[number][at[number]]
            assert (tokens[known >= 0] == known[known >= 0]).all()
            laid[number][at[number]] = tokens
            logits[number].append(decoder.logits(handle))
            at[number] += 1
        for handle in [handle for handle in inside if decoder.finished(handle)]:
            decoder.release(handle)
            del inside[handle]
        turn += 1
    return [Run(rows, np.stack(one)) for rows, one in zip(laid, logits, strict=True)]


@contextmanager
def _audiocraft(*, only: str = ""):
    """audiocraft among stand-ins for what it imports; `only` for what it imports anew at every step."""
    from dgx_music.engines.audiocraft.stand_ins import STAND_INS, stand_ins

    packages = [package for package in STAND_INS if only in ("", package.name)]
    # Made where several positions are read at once, and then only looked at for being there.
    mask = {"ops.LowerTriangularMask": object}
    packages = [
        replace(package, equivalents={**package.equivalents, **mask})
        if package.name == "xformers"
        else package
        for package in packages
    ]
    with stand_ins(packages), warnings.catch_warnings(action="ignore"):
        yield


def audiocraft_lm(arch: LmArchitecture, weights: dict[str, np.ndarray]):
    """audiocraft's own `LMModel` with these weights, as its configuration of MusicGen makes it."""
    import torch

    with _audiocraft():
        from audiocraft.models.lm import LMModel
        from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
        from audiocraft.modules.conditioners import ConditionFuser, ConditioningProvider

        fuse: dict[str, list[str]] = {"sum": [], "input_interpolate": [], "cross": [], "prepend": []}
        fuse["cross" if arch.text_fuse == "cross" else "prepend"] = ["description"]
        model = LMModel(
            DelayedPatternProvider(arch.codebooks, list(arch.delays)),
            ConditioningProvider({}),
            ConditionFuser(fuse),
            n_q=arch.codebooks,
            card=arch.card,
            dim=arch.dim,
            num_heads=arch.heads,
            hidden_scale=arch.ffn_dim / arch.dim,
            norm_first=True,
            bias_proj=arch.has_bias,
            bias_ff=arch.has_bias,
            bias_attn=arch.has_bias,
            num_layers=arch.layers,
            causal=True,
            memory_efficient=True,
            cross_attention=arch.text_fuse == "cross",
            activation="gelu",
            dropout=0.0,
        ).eval()
    state = {}
    for name, array in weights.items():
        theirs = name.replace("layers.", "transformer.layers.").replace("cross_attn", "cross_attention")
        state[theirs.replace("in_proj.weight", "in_proj_weight").replace("in_proj.bias", "in_proj_bias")] = (
            torch.from_numpy(array)
        )
    model.load_state_dict(state)
    return model


def audiocraft_run(arch: LmArchitecture, model, take: TakeInput) -> Run:
    """Decode a take greedily with audiocraft's model, each condition in a stream of its own."""
    import torch

    laid = interleave(take.prompt, take.frames, arch.delays, arch.card)
    sequence = np.concatenate([np.full((1, arch.codebooks), arch.card), laid])
    first = first_step(take.prompt.shape[1], arch.delays)
    states: list[dict] = [{} for _ in take.conditions]
    found = []
    with _audiocraft(only="xformers"), torch.inference_mode(), model.streaming():
        for step in range(first, len(laid)):
            given = torch.from_numpy(sequence[step if found else 0 : step + 1].T[None].copy())
            guided = 0.0
            for number, (condition, weight) in enumerate(zip(take.conditions, take.weights, strict=True)):
                text = condition.cross if arch.text_fuse == "cross" else condition.prefix
                text = np.zeros((1, arch.dim), np.float32) if text is None else text
                model.set_streaming_state(states[number])
                tensors = {"description": (torch.from_numpy(text[None]), torch.ones(1, len(text)))}
                all_logits = model(given, conditions=[], condition_tensors=tensors)  # (1, K, S, C)
                states[number] = model.get_streaming_state()
                guided = guided + weight * all_logits[0, :, -1].numpy()
            found.append(guided)
            drawn = guided.argmax(axis=1)
            sequence[step + 1] = np.where(sequence[step + 1] < 0, drawn, sequence[step + 1])
    return Run(sequence[1:], np.stack(found))


def transformers_lm(arch: LmArchitecture, weights: dict[str, np.ndarray]):
    """transformers' `MusicgenForCausalLM`, or `MusicgenMelodyForCausalLM` where text stands before the tokens."""
    import torch
    import transformers

    kind = "Musicgen" if arch.text_fuse == "cross" else "MusicgenMelody"
    config = getattr(transformers, f"{kind}DecoderConfig")(
        vocab_size=arch.card,
        hidden_size=arch.dim,
        ffn_dim=arch.ffn_dim,
        num_hidden_layers=arch.layers,
        num_attention_heads=arch.heads,
        num_codebooks=arch.codebooks,
        pad_token_id=arch.card,
        bos_token_id=arch.card,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    names = {
        "self_attn.out_proj": "self_attn.out_proj",
        "cross_attn.out_proj": "encoder_attn.out_proj",
        "linear1": "fc1",
        "linear2": "fc2",
        "norm1": "self_attn_layer_norm",
        "norm_cross": "encoder_attn_layer_norm",
        "norm2": "final_layer_norm",
    }
    state = {}
    for name, array in weights.items():
        top, _, rest = name.partition(".")
        if top == "emb":
            state[f"model.decoder.embed_tokens.{rest}"] = array
        elif top == "linears":
            state[f"lm_heads.{rest}"] = array
        elif top == "out_norm":
            state[f"model.decoder.layer_norm.{rest}"] = array
        else:
            number, _, inner = rest.partition(".")
            part, _, end = inner.rpartition(".")
            at = f"model.decoder.layers.{number}."
            if part.endswith("in_proj"):
                theirs = "self_attn" if part.startswith("self") else "encoder_attn"
                for one, third in zip("qkv", np.split(array, 3), strict=True):
                    state[f"{at}{theirs}.{one}_proj.{end}"] = third
            else:
                state[f"{at}{names[part]}.{end}"] = array
    found = model.load_state_dict(
        {name: torch.from_numpy(np.array(array)) for name, array in state.items()}, strict=False
    )
    assert not found.unexpected_keys
    assert all("embed_positions" in name for name in found.missing_keys)
    return model


def transformers_logits(arch: LmArchitecture, model, take: TakeInput, run: Run) -> np.ndarray:
    """Return what transformers thinks of a run's tokens, all steps in one pass: (steps drawn, K, C) after guidance."""
    import torch

    sequence = np.concatenate([np.full((1, arch.codebooks), arch.card), run.laid[:-1]])
    count = len(run.logits)
    guided = np.zeros_like(run.logits)
    for condition, weight in zip(take.conditions, take.weights, strict=True):
        text = condition.cross if arch.text_fuse == "cross" else condition.prefix
        text = np.zeros((1, arch.dim), np.float32) if text is None else text
        with torch.inference_mode():
            out = model(
                input_ids=torch.from_numpy(sequence.T.copy()),
                encoder_hidden_states=torch.from_numpy(text[None]),
                use_cache=False,
            )
        logits = out.logits.view(arch.codebooks, -1, arch.card).numpy()[:, -len(sequence) :]
        guided += weight * logits.transpose(1, 0, 2)[-count:]
    return guided


def audiocraft_generate(model, take: TakeInput) -> np.ndarray:
    """Return (K, frames) as audiocraft's own `generate` decodes them greedily with guidance 3, from a take's text."""
    import torch

    text = torch.from_numpy(take.conditions[0].cross)

    class Provider(torch.nn.Module):
        """Gives the take's text to the first half of the batch, and what audiocraft makes of no text to the second."""

        def tokenize(self, samples):
            return samples

        def forward(self, samples):
            both = torch.stack([text, torch.zeros_like(text)])
            assert len(samples) == 2
            return {"description": (both, torch.ones(both.shape[:2]))}

    with _audiocraft():
        from audiocraft.modules.conditioners import ConditioningAttributes

        model.condition_provider = Provider()
        codes = model.generate(
            torch.from_numpy(take.prompt)[None],
            [ConditioningAttributes(text={"description": "-"})],
            max_gen_len=take.frames,
            use_sampling=False,
            cfg_coef=take.weights[0],
        )
    return codes[0].numpy()
