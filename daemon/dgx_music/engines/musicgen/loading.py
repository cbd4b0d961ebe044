"""Loads a model for a device: what it will take of the memory first, then the parts, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from dgx_music.engines.musicgen.batcher import Batcher
from dgx_music.engines.musicgen.checkpoint.hashes import weights_sha256
from dgx_music.engines.musicgen.following import Follower
from dgx_music.engines.musicgen.footprint import room_for
from dgx_music.engines.musicgen.model import Model, ModelIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import ModelArchitecture
    from dgx_music.engines.musicgen.checkpoint import ModelFiles
    from dgx_music.engines.musicgen.choice import Choice
    from dgx_music.engines.musicgen.codec import Codec
    from dgx_music.engines.musicgen.decoder.base import Decoder
    from dgx_music.engines.musicgen.footprint import Room
    from dgx_music.engines.musicgen.settings import MusicGenSettings
    from dgx_music.engines.musicgen.text import TextEncoder

__all__ = ["Parts", "open_parts", "opened"]


class Parts(Protocol):
    """What a model is made of, in one runtime. The large weights are loaded by `decoder` only."""

    @property
    def architecture(self) -> ModelArchitecture:
        """The checkpoint's numbers."""

    @property
    def small_weights(self) -> Mapping[str, npt.NDArray[Any]]:
        """`chroma_proj.…` and `style.…`."""

    @property
    def codec(self) -> Codec:
        """The codec."""

    @property
    def text(self) -> TextEncoder:
        """The text encoder."""

    def decoder(self, room: Room) -> Decoder:
        """Return the decoder."""


def opened(
    files: ModelFiles,
    choice: Choice,
    settings: MusicGenSettings,
    budget_bytes: int,
    loading: Callable[[float], None],
) -> tuple[int, Callable[[], Model]]:
    """Open a model's files: return how much of the device's memory it will hold, in bytes, and what loads it.

    Args:
        files: of the checkpoint.
        choice: device, precision and runtime.
        settings: the user's.
        budget_bytes: how much memory there is.
        loading: told the share done, 0 to 1, of what takes long; may raise to give up.

    Raises:
        ModelError: the files are damaged or of another kind.
        EngineError: the cache cannot be written.
    """
    sha256 = weights_sha256(files.weights, settings.cache_dir)
    parts = open_parts(files, sha256, choice, settings, loading)
    room = room_for(parts.architecture, choice.precision, settings.max_takes, budget_bytes)

    def load() -> Model:
        return Model(
            ModelIdentity(files.name, sha256, files.licence),
            parts.architecture,
            choice,
            batcher=Batcher(
                parts.decoder(room), max_takes=settings.max_takes, memory_bytes=room.decoding_bytes
            ),
            codec=parts.codec,
            text=parts.text,
            follower=Follower(
                files.name,
                parts.architecture,
                parts.small_weights,
                device=choice.device,
                models_dir=settings.models_dir,
            ),
        )

    return room.total_bytes, load


def open_parts(
    files: ModelFiles,
    sha256: str,
    choice: Choice,
    settings: MusicGenSettings,
    loading: Callable[[float], None],
) -> Parts:
    """Open a model's files in the runtime that was chosen, the only one that is imported.

    Args:
        files: of the checkpoint.
        sha256: of its weights.
        choice: device, precision and runtime.
        settings: the user's.
        loading: told the share done, 0 to 1; may raise to give up.

    Raises:
        ModelError: the files are damaged or of another kind.
        EngineError: the cache cannot be written.
    """
    if choice.runtime == "torch":
        from dgx_music.engines.musicgen.parts_torch import TorchParts  # noqa: PLC0415

        return TorchParts(files, choice, settings)
    from dgx_music.engines.musicgen.parts_int8 import Int8Parts  # noqa: PLC0415

    return Int8Parts(files, sha256, choice, settings, loading)
