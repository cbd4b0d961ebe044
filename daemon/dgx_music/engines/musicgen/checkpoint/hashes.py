"""Hashes of weights, remembered: reading gigabytes for nothing takes seconds."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from dgx_music.engines.musicgen.checkpoint.errors import ModelError

__all__ = ["file_sha256", "weights_sha256"]

_MEMORY = "weights-sha256.json"


def weights_sha256(paths: tuple[Path, ...], cache_dir: Path | None) -> str:
    """Return one hash over several files: the SHA-256 of their own hashes in order, each in hexadecimal on a line.

    A single file's is its own hash, as `sha256sum` and the hub show it.

    Args:
        paths: the files.
        cache_dir: where hashes are remembered; nowhere where left out. May be deleted at any time.

    Raises:
        ModelError: a file cannot be read.
    """
    memory = _remembered(cache_dir)
    known = dict(memory)
    hashes = []
    for path in paths:
        key = _key(path)
        if key not in known:
            known[key] = file_sha256(path)
        hashes.append(known[key])
    if known != memory and cache_dir is not None:
        _remember(cache_dir, known)
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(f"{each}\n" for each in hashes).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err


def _key(path: Path) -> str:
    """Name a file's content without reading it: whoever replaces it changes size, time or inode."""
    try:
        status = path.stat()
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"


def _remembered(cache_dir: Path | None) -> dict[str, str]:
    if cache_dir is None:
        return {}
    try:
        found = json.loads((cache_dir / _MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): str(value) for key, value in found.items()}


def _remember(cache_dir: Path, known: dict[str, str]) -> None:
    """Write the memory as a whole, so that two processes never mix theirs; what cannot be kept is not missed."""
    kept = {key: value for key, value in known.items() if Path(key.rsplit("|", 3)[0]).exists()}
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache_dir, encoding="utf-8", delete=False) as file:
            json.dump(kept, file, indent=1)
        os.replace(file.name, cache_dir / _MEMORY)  # noqa: PTH105
    except OSError:
        return
