"""Finding a model's files: by path, or by name in `models_dir` and in the hub's cache. Nothing heavy is imported."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.catalogue import CATALOGUE, find_card
from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.files import Missing, ModelFiles
from dgx_music.engines.musicgen.checkpoint.folders import (
    INDEX,
    SINGLE,
    cached_snapshot,
    has_tokenizer,
    hub_caches,
    safetensors_files,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dgx_music.engines.musicgen.catalogue import ModelCard
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["T5_REPOSITORIES", "locate"]

LM_FILE = "state_dict.bin"
CODEC_FILE = "compression_state_dict.bin"
T5_REPOSITORIES = {
    "t5-small": "google-t5/t5-small",
    "t5-base": "google-t5/t5-base",
    "t5-large": "google-t5/t5-large",
}
"""The hub's present names of T5's repositories; audiocraft's checkpoints use the old ones."""
_FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---", re.DOTALL)
_LICENCE = re.compile(r"^license:[ \t]*['\"]?([\w.+-]+)", re.MULTILINE)


def locate(
    model: str, settings: MusicGenSettings, environ: Mapping[str, str] | None = None
) -> ModelFiles | Missing:
    """Find the files of a model.

    Args:
        model: a name of the catalogue, a repository of the hub that is in its cache, or a folder.
        settings: `models_dir` is looked into before the hub's cache.
        environ: for the hub's variables; the process's own where left out.

    Returns:
        The files; or `Missing`, saying what was looked for and what would help.
    """
    finder = _Finder(settings.models_dir, os.environ if environ is None else environ)
    card = find_card(model)
    try:
        if card is not None:
            return finder.by_name(card.name, card.repository, card)
        folder = Path(model).expanduser()
        if not folder.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", model):
            return finder.by_name(model.split("/")[1], model, None)
        return finder.by_path(model, folder)
    except ModelError as err:
        return Missing(model, str(err), card)


class _Finder:
    def __init__(self, models_dir: Path | None, environ: Mapping[str, str]) -> None:
        self._models_dir = models_dir
        self._caches = [*([models_dir] if models_dir else []), *hub_caches(environ)]

    def by_path(self, model: str, folder: Path) -> ModelFiles | Missing:
        if not folder.exists():
            return Missing(
                model,
                f"{model} is no folder that exists, and no published model; those are {', '.join(CATALOGUE)}",
            )
        if not folder.is_dir():
            return Missing(model, f"{folder} is a file; give the folder that it lies in")
        name = folder.resolve().name
        found = self._in_folder(folder, name, None)
        if found is None:
            return Missing(model, f"{folder} holds no model: looked for {_WANTED}")
        return found

    def by_name(self, name: str, repository: str, card: ModelCard | None) -> ModelFiles | Missing:
        looked = []
        for folder in self._folders(repository):
            looked.append(str(folder))
            if folder.is_dir():
                found = self._in_folder(folder, name, card)
                if found is not None:
                    return found
        where = ", ".join(looked + [f"{cache} (the hub's cache)" for cache in self._caches])
        return Missing(name, f"{name} is not on this machine: looked in {where}", card)

    def _folders(self, repository: str) -> Iterator[Path]:
        """Yield where a repository may lie: in a folder of its own in `models_dir`, then in the caches."""
        if self._models_dir is not None:
            yield self._models_dir / repository.rsplit("/", maxsplit=1)[-1]
        for cache in self._caches:
            snapshot = cached_snapshot(cache, repository)
            if snapshot is not None:
                yield snapshot

    def _in_folder(self, folder: Path, name: str, card: ModelCard | None) -> ModelFiles | None:
        licence = card.licence if card else _licence(folder, name)
        weights = safetensors_files(folder)
        if (folder / "config.json").is_file() and weights:
            tokenizer = folder if has_tokenizer(folder) else self._text(_hub_text_name(folder), folder)
            return ModelFiles(name, "hub", folder, weights, weights, None, None, tokenizer, licence)
        if (folder / LM_FILE).is_file() and (folder / CODEC_FILE).is_file():
            return self._audiocraft(folder, name, licence)
        there = [each for each in ["config.json", LM_FILE, CODEC_FILE] if (folder / each).is_file()]
        if there:
            converted = ""
            if any(folder.glob("pytorch_model*.bin")):
                converted = "; its pytorch_model.bin is not read, save it as safetensors"
            raise ModelError(
                f"{folder} holds {', '.join(there)} and is incomplete: looked for {_WANTED}{converted}"
            )
        return None

    def _audiocraft(self, folder: Path, name: str, licence: str) -> ModelFiles:
        from dgx_music.engines.musicgen.checkpoint.audiocraft_config import parse, text_name  # noqa: PLC0415
        from dgx_music.engines.musicgen.checkpoint.torch_files import settings_text  # noqa: PLC0415

        lm, codec = folder / LM_FILE, folder / CODEC_FILE
        said, _ = settings_text(lm)
        if not said:
            raise ModelError(f"{lm}: has no xp.cfg; this is no checkpoint as audiocraft exports it")
        text = self._text(text_name(parse(said, lm)), folder)
        _, pretrained = settings_text(codec)
        codec_files: tuple[Path, ...] = (codec,)
        if pretrained:
            codec = self._elsewhere(pretrained, folder, "EnCodec", pretrained)
            codec_files = safetensors_files(codec)
        weights = (lm, *codec_files, *safetensors_files(text))
        return ModelFiles(name, "audiocraft", folder, weights, (lm,), codec, text, text, licence)

    def _text(self, name: str, beside: Path) -> Path:
        """Return the folder of a T5.

        Raises:
            ModelError: it is nowhere.
        """
        found = self._elsewhere(name, beside, "the text encoder", T5_REPOSITORIES.get(name, name))
        if not has_tokenizer(found):
            raise ModelError(f"{found}: the tokenizer is missing: looked for tokenizer.json and spiece.model")
        return found

    def _elsewhere(self, name: str, beside: Path, what: str, repository: str) -> Path:
        plain = name.rsplit("/", maxsplit=1)[-1]
        candidates = [beside / plain, beside.parent / plain]
        if what == "the text encoder":
            candidates.insert(1, beside / "t5")
        candidates += [*self._folders(name), *(self._folders(repository) if repository != name else [])]
        for folder in candidates:
            if (folder / "config.json").is_file() and safetensors_files(folder):
                return folder
        where = ", ".join(str(each) for each in [*candidates, *self._caches])
        raise ModelError(
            f"{beside}: {what} {name} is missing, which this checkpoint needs besides: looked for config.json and "
            f"{SINGLE} in {where}. It can be fetched from {repository} on the hub"
        )


_WANTED = (
    f"config.json with {SINGLE} or {INDEX} (the hub's format), and {LM_FILE} with {CODEC_FILE} (audiocraft's)"
)


def _hub_text_name(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str(config["text_encoder"]["_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(
            f"{folder}: the tokenizer is missing: looked for tokenizer.json and spiece.model"
        ) from None


def _licence(folder: Path, name: str) -> str:
    """Return the licence of weights that lie in a folder: as its README says, else as the catalogue by its name."""
    try:
        readme = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        readme = ""
    front = _FRONT_MATTER.match(readme)
    said = _LICENCE.search(front[1]) if front else None
    if said:
        return said[1].upper()
    card = find_card(name)
    return card.licence if card else ""
