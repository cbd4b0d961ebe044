"""Decode steps of others on the same weights: stock audiocraft and transformers, each as its own `generate` runs them."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dgx_music.benchmark.steps import files_of
from dgx_music.engines.musicgen.checkpoint import ModelError
from dgx_music.engines.musicgen.choice import choose

if TYPE_CHECKING:
    from dgx_music.benchmark.task import Task

__all__ = ["measure"]

_WARM_UP = 3
_PROMPT = "dusty lo-fi drums and rhodes, 84 bpm"


def measure(task: Task) -> dict[str, Any]:
    """Return `load_s`, `ms` (the median step), `steps_s` and `audio_s_s`."""
    load_s, times_s = (_audiocraft if task.engine == "audiocraft" else _transformers)(task)
    median_s = statistics.median(times_s[_WARM_UP:])
    return {
        "load_s": load_s,
        "ms": median_s * 1000,
        "steps_s": 1 / median_s,
        "audio_s_s": task.batch / median_s / 50,
    }


def _audiocraft(task: Task) -> tuple[float, list[float]]:
    import torch  # noqa: PLC0415

    from dgx_music.engines.audiocraft.model import at_work, load  # noqa: PLC0415
    from dgx_music.engines.audiocraft.weights import find_weights  # noqa: PLC0415

    began_s = time.perf_counter()
    model, _ = load(
        task.settings.model, find_weights(task.settings.model, task.settings, lambda: None), task.settings
    )
    load_s = time.perf_counter() - began_s
    musicgen = model.musicgen
    stamps: list[float] = []
    prompt = torch.randint(0, musicgen.lm.card, (task.batch, musicgen.lm.n_q, task.at_frame))
    prompt = prompt.to(musicgen.device)
    with at_work(), torch.no_grad(), musicgen.autocast:
        attributes, _ = musicgen._prepare_tokens_and_attributes([_PROMPT] * task.batch, None)  # noqa: SLF001 - no public way
        musicgen.lm.generate(
            prompt if task.at_frame else None,
            attributes,
            max_gen_len=task.at_frame + _WARM_UP + task.steps,
            callback=lambda _made, _all: stamps.append(time.perf_counter()),
        )
    return load_s, [after - before for before, after in pairwise(stamps)]


def _transformers(task: Task) -> tuple[float, list[float]]:
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    files = files_of(task.settings)
    if files.format != "hub":
        raise ModelError(f"{files.folder}: transformers reads the hub's format only")
    device = choose(task.settings).device
    began_s = time.perf_counter()
    model: Any = transformers.MusicgenForConditionalGeneration.from_pretrained(
        str(files.folder), local_files_only=True, dtype=torch.float32 if device == "cpu" else torch.float16
    ).to(device)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(str(files.folder), local_files_only=True)
    load_s = time.perf_counter() - began_s
    stamps: list[float] = []

    def stamp(_ids: Any, scores: Any) -> Any:
        stamps.append(time.perf_counter())
        return scores

    inputs = tokenizer([_PROMPT] * task.batch, return_tensors="pt").to(device)
    books = model.decoder.num_codebooks
    known = torch.randint(0, 64, (task.batch * books, task.at_frame), device=device)
    more = {"decoder_input_ids": known} if task.at_frame else {}
    with torch.no_grad():
        model.generate(
            **inputs,
            **more,
            do_sample=True,
            guidance_scale=3.0,
            max_new_tokens=_WARM_UP + task.steps + books,
            logits_processor=transformers.LogitsProcessorList([stamp]),
        )
    return load_s, [after - before for before, after in pairwise(stamps)]
