"""A model's parts in PyTorch, straight from its checkpoint: on a GPU, and on a CPU in bf16 or fp32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.engines.musicgen.checkpoint import load_checkpoint
from dgx_music.engines.musicgen.codec import torch_codec
from dgx_music.engines.musicgen.decoder.torch import TorchDecoder
from dgx_music.engines.musicgen.text import torch_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.musicgen.checkpoint import ModelFiles
    from dgx_music.engines.musicgen.choice import Choice
    from dgx_music.engines.musicgen.footprint import Room
    from dgx_music.engines.musicgen.settings import MusicGenSettings

__all__ = ["TorchParts"]

_SMALL = ("chroma_proj.", "style.")


class TorchParts:
    """See `loading.Parts`.

    Raises:
        ModelError: the files are damaged or of another kind.
    """

    def __init__(self, files: ModelFiles, choice: Choice, settings: MusicGenSettings) -> None:
        self._checkpoint = load_checkpoint(files, settings)
        self._choice = choice
        self._threads = settings.threads
        self.architecture = self._checkpoint.architecture
        lm = self._checkpoint.lm
        self.small_weights: dict[str, npt.NDArray[Any]] = {
            name: lm[name] for name in lm if name.startswith(_SMALL)
        }
        self.codec = torch_codec(self.architecture.codec, self._checkpoint.codec, device=choice.device)
        self.text = torch_text(
            self.architecture.text,
            self._checkpoint.text,
            lm,
            self._checkpoint.tokenizer,
            device=choice.device,
        )

    def decoder(self, room: Room) -> TorchDecoder:
        """Return the decoder, and let go of the checkpoint but for the codec, whose encoder is read when it is needed."""
        decoder = TorchDecoder(
            self._checkpoint.lm,
            self.architecture.lm,
            device=self._choice.device,
            precision=self._choice.precision,
            max_rows=room.max_rows,
            max_positions=room.max_positions,
            threads=self._threads,
        )
        self._checkpoint.close(keep_codec=True)
        return decoder
