"""EnCodec: between codes and audio, in pieces of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dgx_music.engines.musicgen.codec.base import Codec, StreamDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from dgx_music.engines.musicgen.architecture import CodecArchitecture

__all__ = ["Codec", "StreamDecoder", "onnx_codec", "torch_codec"]

_PREPARATION_VERSION = 2


def onnx_codec(
    architecture: CodecArchitecture,
    weights: Mapping[str, npt.NDArray[Any]],
    *,
    weights_sha256: str,
    cache_dir: Path,
    threads: int,
) -> Codec:
    """Return the codec in ONNX Runtime on the CPU, without torch in the process.

    Args:
        architecture: of the checkpoint.
        weights: `Checkpoint.codec`; read when the cache has them not yet.
        weights_sha256: names the weights in the cache.
        cache_dir: where graph and weights are kept in the form that is mapped into memory.
        threads: for one piece.

    Raises:
        EngineError: the cache cannot be written.
    """
    from dgx_music.engines.musicgen.codec import seanet  # noqa: PLC0415 - heavy
    from dgx_music.engines.musicgen.codec.codec import EncodecCodec  # noqa: PLC0415
    from dgx_music.engines.musicgen.codec.onnx_network import OnnxNetwork  # noqa: PLC0415
    from dgx_music.engines.musicgen.prepared import PreparedKey, prepared_folder  # noqa: PLC0415

    def network(what: str, shape: seanet.Seanet, channels_in: int, channels_out: int) -> OnnxNetwork:
        def build(folder: Path) -> None:
            from dgx_music.engines.musicgen.codec.onnx_graph import write_graphs  # noqa: PLC0415

            write_graphs(folder, shape, channels_in, weights)

        key = PreparedKey(f"codec-{what}-onnx", weights_sha256, _PREPARATION_VERSION)
        return OnnxNetwork(prepared_folder(cache_dir, key, build), shape, channels_out, threads)

    return EncodecCodec(
        architecture,
        weights,
        network("decoder", seanet.decoder(architecture), architecture.dimension, 1),
        lambda: network("encoder", seanet.encoder(architecture), 1, architecture.dimension),
    )


def torch_codec(
    architecture: CodecArchitecture, weights: Mapping[str, npt.NDArray[Any]], *, device: str
) -> Codec:
    """Return the codec in PyTorch, in float32.

    Args:
        architecture: of the checkpoint.
        weights: `Checkpoint.codec`.
        device: `cpu`, `cuda:0`, …
    """
    from dgx_music.engines.musicgen.codec import seanet  # noqa: PLC0415 - heavy
    from dgx_music.engines.musicgen.codec.codec import EncodecCodec  # noqa: PLC0415
    from dgx_music.engines.musicgen.codec.torch_network import TorchNetwork  # noqa: PLC0415

    return EncodecCodec(
        architecture,
        weights,
        TorchNetwork(seanet.decoder(architecture), 1, weights, device),
        lambda: TorchNetwork(seanet.encoder(architecture), architecture.dimension, weights, device),
    )
