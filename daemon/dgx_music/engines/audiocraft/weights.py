"""Where a model's two files are, in audiocraft's own format, and what belongs to them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.catalogue import CATALOGUE, find_card
from dgx_music.engines.musicgen.checkpoint import ModelFiles, locate
from dgx_music.engines.musicgen.checkpoint.folders import cached_snapshot, hub_caches
from dgx_music.engines.musicgen.checkpoint.hashes import weights_sha256
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dgx_music.engines.musicgen.catalogue import ModelCard
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["FILES", "Weights", "find_weights"]

FILES = ("state_dict.bin", "compression_state_dict.bin")
"""The language model and the codec."""
_TURN_S = 1.0


@dataclass(frozen=True)
class Weights:
    """A model's files, as they are now: equal as long as none was changed."""

    name: str
    """The catalogue's name, or the folder's."""
    folder: Path
    text: Path | None
    """The folder of T5; `None` where audiocraft has to ask the hub for it by name."""
    codec: Path | None
    """The folder of EnCodec, where the codec's file only names one that is elsewhere."""
    licence: str
    stamps: tuple[tuple[int, int], ...]
    """When each of `FILES` was changed (ns), and how many bytes it has."""

    def sha256(self, cache_dir: Path | None) -> str:
        """Return one SHA-256 over `FILES` (`weights_sha256`), remembered in `cache_dir`."""
        return weights_sha256(tuple(self.folder / name for name in FILES), cache_dir)


def find_weights(model: str, settings: MusicGenSettings, still_wanted: Callable[[], None]) -> Weights:
    """Find a model; download it where it is a published one and that is allowed.

    Args:
        model: `musicgen-small` and the like, or a folder.
        settings: where to look, and whether to download.
        still_wanted: called every second while the download goes on; may raise to give up waiting for it.

    Raises:
        EngineError: it is not there, and what would help.
    """
    card = find_card(model)
    if card is None:
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise EngineError(
                f"model {model!r} is neither a folder nor a published model; those are {', '.join(CATALOGUE)}"
            )
        if not _complete(folder):
            raise EngineError(
                f"{folder} does not hold {' and '.join(FILES)}: the engine audiocraft reads nothing else; the engine "
                "musicgen also reads config.json with model.safetensors"
            )
        return _weights(folder.resolve().name, folder.absolute(), settings)
    here = next(filter(_complete, _places(card, settings)), None)
    return _weights(card.name, here or _download(card, settings, still_wanted), settings, card.licence)


def _weights(name: str, folder: Path, settings: MusicGenSettings, licence: str = "") -> Weights:
    found = locate(str(folder), settings)
    own = found if isinstance(found, ModelFiles) and found.format == "audiocraft" else None
    status = [(folder / file).stat() for file in FILES]
    return Weights(
        name,
        folder,
        own.text if own else None,
        own.codec if own and own.codec and own.codec.is_dir() else None,
        licence or (own.licence if own else ""),
        tuple((one.st_mtime_ns, one.st_size) for one in status),
    )


def _complete(folder: Path) -> bool:
    return all((folder / file).is_file() for file in FILES)


def _places(card: ModelCard, settings: MusicGenSettings) -> Iterator[Path]:
    if settings.models_dir is not None:
        yield settings.models_dir / card.name
    for cache in [*([settings.models_dir] if settings.models_dir else []), *hub_caches(os.environ)]:
        snapshot = cached_snapshot(cache, card.repository)
        if snapshot is not None:
            yield snapshot


def _download(card: ModelCard, settings: MusicGenSettings, still_wanted: Callable[[], None]) -> Path:
    if not settings.download:
        raise EngineError(
            f"{card.name} is not on this machine in audiocraft's format, and musicgen.download is off; name a folder "
            f"that holds {' and '.join(FILES)}, or allow the download"
        )
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy

    thread = ThreadPoolExecutor(1, "download")
    try:
        coming = thread.submit(
            snapshot_download, card.repository, allow_patterns=list(FILES), cache_dir=settings.models_dir
        )
        while not coming.done():
            still_wanted()
            wait([coming], _TURN_S)
        return Path(coming.result())
    except (OSError, ValueError) as err:  # huggingface_hub's and the network's own errors are among these
        raise EngineError(
            f"{card.name} could not be downloaded: {err}; check the network, or name a folder that holds "
            f"{' and '.join(FILES)}"
        ) from err
    finally:
        # A download whose job was cancelled goes on, and the next job finds what it brought.
        thread.shutdown(wait=False)
