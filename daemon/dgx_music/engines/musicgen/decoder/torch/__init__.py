"""The decoder in plain PyTorch: for GPUs, and where a CPU is to compute as audiocraft does."""

from dgx_music.engines.musicgen.decoder.torch.decoder import TorchDecoder

__all__ = ["TorchDecoder"]
