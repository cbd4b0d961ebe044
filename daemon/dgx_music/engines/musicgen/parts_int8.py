"""A model's parts in int8 on a processor, from what was prepared of its checkpoint; no torch in the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dgx_music.engines.musicgen.choice import choose, physical_cores
from dgx_music.engines.musicgen.codec import onnx_codec
from dgx_music.engines.musicgen.decoder.kernel.build import build_kernel
from dgx_music.engines.musicgen.decoder.kernel.decoder import KernelDecoder
from dgx_music.engines.musicgen.decoder.kernel.prepare import prepare as kernel_prepare
from dgx_music.engines.musicgen.decoder.onnx.decoder import OnnxDecoder
from dgx_music.engines.musicgen.decoder.onnx.prepare import prepare as onnx_prepare
from dgx_music.engines.musicgen.outline import NotPreparedError, SmallWeights, read_outline, write_outline
from dgx_music.engines.musicgen.prepare import prepare_apart
from dgx_music.engines.musicgen.text import mapped_text
from dgx_music.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import CodecArchitecture, LmArchitecture
    from dgx_music.engines.musicgen.checkpoint import Checkpoint, ModelFiles
    from dgx_music.engines.musicgen.choice import Choice
    from dgx_music.engines.musicgen.codec import Codec
    from dgx_music.engines.musicgen.decoder.base import Decoder
    from dgx_music.engines.musicgen.footprint import Room
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["Int8Parts", "prepare_parts"]


class Int8Parts:
    """See `loading.Parts`. Prepares the checkpoint where that was not done before.

    Raises:
        ModelError: the files are damaged or of another kind.
        EngineError: the cache cannot be written.
    """

    def __init__(
        self,
        files: ModelFiles,
        weights_sha256: str,
        choice: Choice,
        settings: MusicGenSettings,
        loading: Callable[[float], None],
    ) -> None:
        self._files = files
        self._sha256 = weights_sha256
        self._cache_dir = cache_of(settings)
        self._threads = settings.threads or physical_cores()
        self._in_c = choice.runtime == "kernel"
        try:
            self._open()
        except NotPreparedError:
            prepare_apart(files, settings, loading)
            self._open()

    def _open(self) -> None:
        outline = read_outline(self._sha256, self._cache_dir)
        self.architecture = outline.architecture
        self.small_weights = outline.weights
        none = SmallWeights({})
        self._lm = _prepared_lm(none, self.architecture.lm, self._sha256, self._cache_dir, in_c=self._in_c)
        self.codec = _codec(self.architecture.codec, outline.weights, self._sha256, self._cache_dir)
        self.text = mapped_text(
            self.architecture.text,
            none,
            outline.weights,
            self._files.tokenizer,
            weights_sha256=self._sha256,
            cache_dir=self._cache_dir,
        )

    def decoder(self, room: Room) -> Decoder:
        """Return the decoder."""
        architecture = self.architecture.lm
        if self._in_c:
            return KernelDecoder(
                self._lm,
                architecture,
                library=build_kernel(self._cache_dir),
                max_rows=room.max_rows,
                max_positions=room.max_positions,
                threads=self._threads,
            )
        return OnnxDecoder(
            self._lm,
            architecture,
            max_rows=room.max_rows,
            max_positions=room.max_positions,
            threads=self._threads,
        )


def prepare_parts(
    checkpoint: Checkpoint, settings: MusicGenSettings, loading: Callable[[float], None]
) -> None:
    """Prepare a checkpoint, in a process that may import what it likes."""
    sha256, cache_dir = checkpoint.weights_sha256, cache_of(settings)
    architecture = checkpoint.architecture
    in_c = choose(settings).runtime == "kernel"
    _prepared_lm(checkpoint.lm, architecture.lm, sha256, cache_dir, in_c=in_c, progress=loading)
    codec = _codec(architecture.codec, checkpoint.codec, sha256, cache_dir)
    codec.encode(np.zeros((architecture.codec.channels, architecture.codec.hop_samples), np.float32))
    codec.close()
    mapped_text(
        architecture.text,
        checkpoint.text,
        checkpoint.lm,
        checkpoint.tokenizer,
        weights_sha256=sha256,
        cache_dir=cache_dir,
    ).close()
    # Last: where the outline is, everything is.
    write_outline(checkpoint, cache_dir)


def cache_of(settings: MusicGenSettings) -> Path:
    """Return the folder for what is prepared.

    Raises:
        EngineError: there is none.
    """
    if settings.cache_dir is None:
        raise EngineError("int8 needs a folder to keep prepared weights in, and no cache_dir was given")
    return settings.cache_dir


def _prepared_lm(
    lm: Mapping[str, npt.NDArray[Any]],
    architecture: LmArchitecture,
    sha256: str,
    cache_dir: Path,
    *,
    in_c: bool,
    progress: Callable[[float], None] = lambda _share: None,
) -> Path:
    prepare = kernel_prepare if in_c else onnx_prepare
    return prepare(lm, architecture, weights_sha256=sha256, cache_dir=cache_dir, progress=progress)


def _codec(
    architecture: CodecArchitecture, weights: Mapping[str, npt.NDArray[Any]], sha256: str, cache_dir: Path
) -> Codec:
    # The decoder's threads need the cores; audio is decoded beside them, take by take.
    return onnx_codec(architecture, weights, weights_sha256=sha256, cache_dir=cache_dir, threads=1)
