"""Fetching a published model from the hub: only the files that are needed, each whole and checked, or not there."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.files import Missing
from dgx_music.engines.musicgen.checkpoint.folders import (
    INDEX,
    SINGLE,
    cached_snapshot,
    hub_caches,
    safetensors_files,
)
from dgx_music.engines.musicgen.checkpoint.locate import CODEC_FILE, LM_FILE, T5_REPOSITORIES, locate
from dgx_music.engines.musicgen.checkpoint.repository import CachePlace, FolderPlace, list_repository
from dgx_music.engines.musicgen.checkpoint.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from dgx_music.engines.musicgen.catalogue import ModelCard
    from dgx_music.engines.musicgen.checkpoint.files import ModelFiles
    from dgx_music.engines.musicgen.checkpoint.repository import Entry, Listing, Place
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["MERT_REPOSITORY", "download"]

MERT_REPOSITORY = "m-a-p/MERT-v1-95M"
"""What hears a style; a model of its own."""
_BESIDE = (
    "README.md",
    "generation_config.json",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
)


def download(
    card: ModelCard,
    settings: MusicGenSettings,
    progress: Callable[[int, int], None],
    *,
    environ: Mapping[str, str] | None = None,
    transfer: Transfer | None = None,
) -> ModelFiles:
    """Fetch a model and whatever it needs besides, and find it.

    Files go to `settings.models_dir`, a folder for each model, or where that is left out to the hub's own cache, in its
    layout, so that other programs find them too. What was begun earlier is gone on with.

    Args:
        card: which model.
        settings: where to.
        progress: told the bytes that are here and the bytes that are needed as far as known; raises to stop.
        environ: for the hub's variables (`HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`); the process's own where
            left out.
        transfer: how files are fetched.

    Raises:
        ModelError: the machine is offline, the disk is full, or what came is not what the hub promised.
    """
    environ = os.environ if environ is None else environ
    _Download(settings, progress, environ, transfer or Transfer()).model(card)
    found = locate(card.name, settings, environ)
    if isinstance(found, Missing):
        raise ModelError(f"{card.repository} was fetched and still cannot be used: {found.reason}")
    return found


class _Download:
    def __init__(
        self,
        settings: MusicGenSettings,
        progress: Callable[[int, int], None],
        environ: Mapping[str, str],
        transfer: Transfer,
    ) -> None:
        self._models_dir = settings.models_dir
        self._progress = progress
        self._environ = environ
        self._transfer = transfer
        self._cache = next(iter(hub_caches(environ)))
        self._here = 0
        self._needed = 0

    def model(self, card: ModelCard) -> None:
        listing = list_repository(card.repository, self._environ)
        place = self._place(listing)
        if "config.json" in listing.entries and (SINGLE in listing.entries or INDEX in listing.entries):
            self._hub(listing, place)
        elif LM_FILE in listing.entries and CODEC_FILE in listing.entries:
            self._audiocraft(listing, place)
        else:
            raise ModelError(
                f"{card.repository} holds neither {SINGLE} nor {LM_FILE}, so nothing that could be played"
            )
        place.done()
        if card.hears == "style":
            self._whole(MERT_REPOSITORY, [SINGLE, "pytorch_model.bin"])

    def _hub(self, listing: Listing, place: Place) -> None:
        """Fetch a repository in the hub's format. `config.json` comes last: with it, a folder is a model."""
        if SINGLE in listing.entries:
            weights = [SINGLE]
        else:
            self._fetch(listing, place, [INDEX])
            weights = [path.name for path in safetensors_files(place.folder, check=False)]
            absent = [name for name in weights if name not in listing.entries]
            if absent:
                raise ModelError(f"{listing.repository}: {absent[0]} is named in {INDEX} and is not there")
        self._fetch(listing, place, [*weights, *(each for each in _BESIDE if each in listing.entries)])
        self._fetch(listing, place, ["config.json"])

    def _audiocraft(self, listing: Listing, place: Place) -> None:
        from dgx_music.engines.musicgen.checkpoint.audiocraft_config import parse, text_name  # noqa: PLC0415
        from dgx_music.engines.musicgen.checkpoint.torch_files import settings_text  # noqa: PLC0415

        self._fetch(listing, place, [LM_FILE, *(each for each in _BESIDE if each in listing.entries)])
        lm = place.folder / LM_FILE
        text = text_name(parse(settings_text(lm)[0], lm))
        self._whole(T5_REPOSITORIES.get(text, text), [SINGLE], also=text)
        self._fetch(listing, place, [CODEC_FILE])
        _, pretrained = settings_text(place.folder / CODEC_FILE)
        if pretrained:
            self._whole(pretrained, [SINGLE])

    def _whole(self, repository: str, weights: Iterable[str], also: str = "") -> None:
        """Fetch another model that the one asked for needs, unless it is here, under its present or its old name."""
        for name in {repository, also} - {""}:
            if self._is_here(name):
                return
        listing = list_repository(repository, self._environ)
        place = self._place(listing)
        chosen = next((name for name in weights if name in listing.entries), None)
        if chosen is None or "config.json" not in listing.entries:
            raise ModelError(f"{repository} holds no {' or '.join(weights)}")
        self._fetch(listing, place, [chosen, *(each for each in _BESIDE if each in listing.entries)])
        self._fetch(listing, place, ["config.json"])
        place.done()

    def _is_here(self, repository: str) -> bool:
        folders = [cached_snapshot(cache, repository) for cache in [self._cache, self._models_dir] if cache]
        if self._models_dir is not None:
            folders.append(self._models_dir / repository.rsplit("/", maxsplit=1)[-1])
        return any(folder is not None and (folder / "config.json").is_file() for folder in folders)

    def _place(self, listing: Listing) -> Place:
        if self._models_dir is None:
            return CachePlace(self._cache, listing)
        return FolderPlace(self._models_dir / listing.repository.rsplit("/", maxsplit=1)[-1])

    def _fetch(self, listing: Listing, place: Place, names: list[str]) -> None:
        entries = [listing.entries[name] for name in names]
        self._make_room(place, entries)
        self._needed += sum(entry.remote.size for entry in entries)
        for entry in entries:
            partial, target = place.target(entry)
            if not _whole(target, entry):
                self._transfer.fetch(entry.remote, partial, target, self._say)
            self._here += entry.remote.size
            self._say(0)
            place.placed(entry)

    def _say(self, more: int) -> None:
        self._progress(self._here + more, self._needed)

    @staticmethod
    def _make_room(place: Place, entries: list[Entry]) -> None:
        place.folder.mkdir(parents=True, exist_ok=True)
        needed = 0
        for entry in entries:
            partial, target = place.target(entry)
            if not _whole(target, entry):
                needed += entry.remote.size - (partial.stat().st_size if partial.exists() else 0)
        free = shutil.disk_usage(place.folder).free
        if needed > free:
            raise ModelError(
                f"{place.folder}: {needed / 1e9:.1f} GB are to be fetched and {free / 1e9:.1f} GB are free; "
                "make room, or set models_dir to another disk"
            )


def _whole(path: Path, entry: Entry) -> bool:
    return path.is_file() and path.stat().st_size == entry.remote.size
