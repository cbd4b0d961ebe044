"""From a request's model to a loaded one: found or fetched, loaded, and kept warm."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.catalogue import CATALOGUE
from dgx_music.engines.musicgen.checkpoint import Missing, ModelError, locate
from dgx_music.engines.musicgen.choice import choose, free_bytes
from dgx_music.engines.musicgen.loading import opened
from dgx_music.engines.musicgen.warm import WarmSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dgx_music.engines.base import Control
    from dgx_music.engines.musicgen.checkpoint import ModelFiles
    from dgx_music.engines.musicgen.model import Model
    from dgx_music.engines.musicgen.settings import MusicGenSettings
    from dgx_music.request import GenerationRequest

__all__ = ["Shelf"]

_SHARE_OF_FREE = 0.75


class Shelf:
    """The models of one worker. Thread-safe."""

    def __init__(self, settings: MusicGenSettings) -> None:
        self._settings = settings
        self._choice = choose(settings)
        self._budget_bytes = settings.memory_mb * 1_000_000 or int(
            _SHARE_OF_FREE * free_bytes(self._choice.device)
        )
        self.warm: WarmSet[Model] = WarmSet(self._budget_bytes)

    @contextmanager
    def use(self, request: GenerationRequest, control: Control, take_index: int) -> Iterator[Model]:
        """Hold the model that a request asks for, for as long as the block runs.

        Raises:
            ModelError: the model is not here and may not be fetched, or its files are damaged.
            EngineError: it does not fit into memory.
        """
        name = self._name(request)

        def loading(fraction: float) -> None:
            control.progress(take_index, fraction, "loading_model")

        def prepare() -> tuple[int, Callable[[], Model]]:
            began_s = time.monotonic()
            needs_bytes, load = opened(
                self._files(name, loading), self._choice, self._settings, self._budget_bytes, loading
            )

            def load_and_tell() -> Model:
                model = load()
                control.loaded(name, time.monotonic() - began_s)
                return model

            return needs_bytes, load_and_tell

        with self.warm.use(name, prepare, lambda: loading(0.0)) as model:
            yield model

    def _name(self, request: GenerationRequest) -> str:
        """Return the model that a request means; for `auto` with something to follow, one that can."""
        if request.model != "auto":
            return request.model
        own = CATALOGUE.get(self._settings.model)
        if request.melody is None or own is None or own.hears:
            return self._settings.model
        able = [name for name, card in CATALOGUE.items() if card.hears == "melody"]
        here = [name for name in able if not isinstance(locate(name, self._settings), Missing)]
        return (here or able)[0]

    def _files(self, name: str, loading: Callable[[float], None]) -> ModelFiles:
        found = locate(name, self._settings)
        if isinstance(found, Missing) and found.card is not None and self._settings.download:
            from dgx_music.engines.musicgen.checkpoint.download import download  # noqa: PLC0415 - only where something is fetched

            return download(
                found.card, self._settings, lambda here, needed: loading(here / needed if needed else 0.0)
            )
        if isinstance(found, Missing):
            raise ModelError(
                f"{found.reason}; 'dgx-music models download {found.card.name}' fetches it"
                if found.card is not None
                else found.reason
            )
        return found
