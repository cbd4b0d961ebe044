"""Looking into folders: which weights and tokenizers lie there, and where the hub's cache keeps a repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.checkpoint.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["INDEX", "SINGLE", "cached_snapshot", "has_tokenizer", "hub_caches", "safetensors_files"]

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def safetensors_files(folder: Path, *, check: bool = True) -> tuple[Path, ...]:
    """Return the files that hold a folder's weights, in the hub's format; empty where there are none.

    Raises:
        ModelError: the index cannot be read; or, where that is to be checked, names files that are not there.
    """
    single, index = folder / SINGLE, folder / INDEX
    if single.is_file():
        return (single,)
    if not index.is_file():
        return ()
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except OSError as err:
        raise ModelError(f"{index}: cannot be read: {err.strerror or err}") from err
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise ModelError(f"{index}: no list of weights in it; delete it and fetch it again") from err
    if any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise ModelError(f"{index}: names files outside of its folder")
    absent = [name for name in names if not (folder / name).is_file()]
    if absent and check:
        raise ModelError(
            f"{folder}: incomplete: {', '.join(absent)} of {len(names)} files are missing; fetch again"
        )
    return tuple(folder / name for name in names)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds T5's tokenizer."""
    return (folder / "tokenizer.json").is_file() or (folder / "spiece.model").is_file()


def hub_caches(environ: Mapping[str, str]) -> Iterator[Path]:
    """Return where the hub's cache may lie, by the same variables that huggingface_hub reads."""
    for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]:
        if environ.get(name):
            yield Path(environ[name]).expanduser()
            return
    if environ.get("HF_HOME"):
        yield Path(environ["HF_HOME"]).expanduser() / "hub"
        return
    cache = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    yield Path(cache).expanduser() / "huggingface" / "hub"


def cached_snapshot(cache: Path, repository: str) -> Path | None:
    """Return the folder of a repository's main version in a cache of the hub's layout, `None` where it is not there."""
    home = cache / f"models--{repository.replace('/', '--')}"
    try:
        commit = (home / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    snapshot = home / "snapshots" / commit
    return snapshot if commit and snapshot.is_dir() else None
