"""From a model's files to its weights under canonical names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dgx_music.engines.musicgen.checkpoint.errors import ModelError
from dgx_music.engines.musicgen.checkpoint.folders import safetensors_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dgx_music.engines.musicgen.architecture import CodecArchitecture, ModelArchitecture
    from dgx_music.engines.musicgen.checkpoint.arrays import Array, Arrays
    from dgx_music.engines.musicgen.checkpoint.files import ModelFiles
    from dgx_music.engines.musicgen.checkpoint.safetensors import MappedTensor
    from dgx_music.engines.musicgen.settings import MusicGenSettings

    _CodecReader = Callable[[CodecArchitecture], Arrays]

__all__ = ["Checkpoint", "load_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights, mapped into memory and read when asked for. See `architecture` for their names."""

    files: ModelFiles
    architecture: ModelArchitecture
    lm: Mapping[str, Array]
    """float16 or float32, as the files have it; so too the other two."""
    codec: Mapping[str, Array]
    text: Mapping[str, Array]
    cache_dir: Path | None

    @property
    def name(self) -> str:
        """The catalogue's name, or the folder's."""
        return self.files.name

    @property
    def licence(self) -> str:
        """The weights' licence, as an SPDX name; empty where it is not known."""
        return self.files.licence

    @property
    def tokenizer(self) -> Path:
        """The folder with `tokenizer.json` or `spiece.model`."""
        return self.files.tokenizer

    @cached_property
    def weights_sha256(self) -> str:
        """One hash over all files that hold weights; takes a second a gigabyte the first time, and is remembered."""
        from dgx_music.engines.musicgen.checkpoint.hashes import weights_sha256  # noqa: PLC0415

        return weights_sha256(self.files.weights, self.cache_dir)

    def close(self, *, keep_codec: bool = False) -> None:
        """Let go of the files; arrays that were handed out stay valid.

        Args:
            keep_codec: whether `codec` is to be read from yet.
        """
        for arrays in (self.lm, self.text) if keep_codec else (self.lm, self.text, self.codec):
            close = getattr(arrays, "close", None)
            if close is not None:
                close()


def load_checkpoint(files: ModelFiles, settings: MusicGenSettings) -> Checkpoint:
    """Open a model: read its configuration, map its files and check every weight's presence and shape.

    Args:
        files: what `locate` found.
        settings: `cache_dir` is where hashes are remembered.

    Raises:
        ModelError: a file is missing, damaged, of another kind, or does not fit its configuration.
    """
    architecture, (lm, codec, text) = _hub(files) if files.format == "hub" else _audiocraft(files)
    return Checkpoint(files, architecture, lm, codec, text, settings.cache_dir)


def _hub(files: ModelFiles) -> tuple[ModelArchitecture, tuple[Arrays, Arrays, Arrays]]:
    from dgx_music.engines.musicgen.checkpoint import expected, hub_config, names  # noqa: PLC0415

    architecture = hub_config.model_architecture(files.folder)
    tensors = _opened(files.lm)
    source = files.lm[0]
    return architecture, (
        names.hub_lm(tensors, expected.lm_shapes(architecture.lm), source),
        names.hub_codec(tensors, expected.codec_shapes(architecture.codec), source),
        names.hub_text(tensors, expected.text_shapes(architecture.text), source),
    )


def _opened(paths: tuple[Path, ...]) -> dict[str, MappedTensor]:
    from dgx_music.engines.musicgen.checkpoint.safetensors import open_safetensors  # noqa: PLC0415

    tensors: dict[str, MappedTensor] = {}
    for path in paths:
        for name, tensor in open_safetensors(path).items():
            if name in tensors:
                raise ModelError(f"{path}: the weight {name} stands in another file already")
            tensors[name] = tensor
    return tensors


def _audiocraft(files: ModelFiles) -> tuple[ModelArchitecture, tuple[Arrays, Arrays, Arrays]]:
    from dgx_music.engines.musicgen.architecture import ModelArchitecture  # noqa: PLC0415
    from dgx_music.engines.musicgen.checkpoint import (  # noqa: PLC0415
        audiocraft_config,
        expected,
        hub_config,
        names,
        torch_files,
    )

    path = files.lm[0]
    if files.codec is None or files.text is None:
        raise ModelError(f"{path}: in audiocraft's format, codec and text encoder lie in files of their own")
    tensors, said = torch_files.state(torch_files.load_package(path), path)
    tree = audiocraft_config.parse(said, path)
    text_tree = hub_config.read_json(files.text / "config.json")
    text = hub_config.text_architecture(text_tree, name=audiocraft_config.text_name(tree))
    codec, codec_arrays = _codec(files.codec)
    lm, codec, window_s = audiocraft_config.lm_architecture(tree, path, text.dim, codec)
    kinds = {"text": "t5", "chroma": "chroma_stem", "style": "style"}
    conditioners = {
        kind: found for kind, model in kinds.items() if (found := audiocraft_config.conditioner(tree, model))
    }
    return ModelArchitecture(lm, codec, text, window_s), (
        names.audiocraft_lm(tensors, expected.lm_shapes(lm), path, conditioners),
        codec_arrays(codec),
        names.hub_text(
            _opened(safetensors_files(files.text)), expected.text_shapes(text), files.text, prefix=""
        ),
    )


def _codec(path: Path) -> tuple[CodecArchitecture, _CodecReader]:
    """Return a codec's architecture, and what reads as much of it as a model uses."""
    from dgx_music.engines.musicgen.checkpoint import (  # noqa: PLC0415
        audiocraft_config,
        expected,
        hub_config,
        names,
        torch_files,
    )

    if path.is_dir():
        codec = hub_config.codec_architecture(hub_config.read_json(path / "config.json"))
        mapped = _opened(safetensors_files(path))
        return codec, lambda used: names.hub_codec(mapped, expected.codec_shapes(used), path, prefix="")
    tensors, said = torch_files.state(torch_files.load_package(path), path)
    codec = audiocraft_config.codec_architecture(audiocraft_config.parse(said, path))
    return codec, lambda used: names.audiocraft_codec(tensors, expected.codec_shapes(used), path)
