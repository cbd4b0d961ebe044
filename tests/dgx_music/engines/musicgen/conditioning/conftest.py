"""audiocraft as the reference: its own code, with stand-ins for what it imports and these tests do without."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="package")
def audiocraft():
    """Import audiocraft and keep its stand-ins in place, for it imports some modules late."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from importlib.util import find_spec

    from dgx_music.engines.audiocraft.stand_ins import stand_ins

    if find_spec("audiocraft") is None:
        pytest.skip("audiocraft is not installed")
    with warnings.catch_warnings(action="ignore"), stand_ins():
        import audiocraft.data.audio_utils
        import audiocraft.models.musicgen
        import audiocraft.modules.chroma
        import audiocraft.modules.conditioners

        yield audiocraft


@pytest.fixture(scope="package")
def spectrogram(audiocraft):
    """Give audiocraft the one part of torchaudio that chroma needs, as torchaudio documents it, through torch.stft."""
    import torch

    class Spectrogram(torch.nn.Module):
        def __init__(self, n_fft, win_length, hop_length, power, center, pad, normalized):
            super().__init__()
            assert (power, center, pad, normalized) == (2, True, 0, True)
            self.sizes = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
            self.register_buffer("window", torch.hann_window(win_length), persistent=False)

        def forward(self, wave):
            flat = wave.reshape(-1, wave.shape[-1])
            spectrum = torch.stft(
                flat, **self.sizes, window=self.window, center=True, pad_mode="reflect", return_complex=True
            )
            spectrum = spectrum.reshape(*wave.shape[:-1], *spectrum.shape[-2:])
            return (spectrum / self.window.pow(2).sum().sqrt()).abs() ** 2

    torchaudio = SimpleNamespace(transforms=SimpleNamespace(Spectrogram=Spectrogram))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(audiocraft.modules.chroma, "torchaudio", torchaudio)
        yield Spectrogram
