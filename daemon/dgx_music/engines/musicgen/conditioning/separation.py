"""The part of a recording that carries its melody, without drums and, at best, without bass.

MusicGen's melody model was trained on what Demucs (Rouard et al. 2022) hears as vocals and other instruments. Demucs is
used where it is installed and its weights lie on this machine; elsewhere the harmonic part by median filtering
(Fitzgerald 2010), which takes the drums out and leaves the bass in. Which of the two it was is said, never silent.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.ndimage
import scipy.signal
import soxr

from dgx_music.engines.musicgen.checkpoint.folders import cached_snapshot, hub_caches
from dgx_music.engines.musicgen.gpu_turns import working

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["DEMUCS_REPOSITORY", "MelodyPart", "demucs_problem", "harmonic", "melody_part"]

DEMUCS_REPOSITORY = "adefossez/HTDemucs"
_DEMUCS_FILE = "955717e8.safetensors"
"""The one model of `htdemucs`, which audiocraft names too; from version 4.1 on Demucs keeps it in the hub's cache."""
_WINDOW_S = 0.064
_MEDIAN_FRAMES = 31
_BLOCK_FRAMES = 2048
"""33 s at a time, which takes less than 100 MB."""
_MARGIN_FRAMES = 32


@dataclass(frozen=True)
class MelodyPart:
    """What carries the melody, and how it was found."""

    wave: npt.NDArray[np.float32]
    """(samples,) mono."""
    how: str
    """For the take's notes: `melody by demucs`, …"""


def melody_part(
    wave: npt.NDArray[np.float32], sample_rate_hz: int, *, device: str = "cpu", models_dir: Path | None = None
) -> MelodyPart:
    """Take the melody's part out of a mono recording (samples,).

    Args:
        wave: the recording.
        sample_rate_hz: its rate.
        device: where Demucs runs.
        models_dir: where its weights may lie, besides the hub's cache.
    """
    problem = demucs_problem(models_dir)
    weights = _demucs_weights(models_dir)
    if problem or weights is None:
        return MelodyPart(harmonic(wave, sample_rate_hz), f"melody by median filtering ({problem})")
    return MelodyPart(_demucs(wave, sample_rate_hz, weights, device), "melody by demucs")


def demucs_problem(models_dir: Path | None = None) -> str:
    """Say why Demucs cannot be used; empty where it can. Loads no weights and fetches nothing."""
    if importlib.util.find_spec("demucs") is None:
        return "demucs is not installed"
    if _demucs_weights(models_dir) is None:
        return "demucs has no weights here"
    try:
        importlib.import_module("demucs.apply")
        importlib.import_module("demucs.hf")
    except (ImportError, OSError) as err:
        return f"demucs 4.1 or later cannot be imported: {err}"
    return ""


def _demucs_weights(models_dir: Path | None) -> Path | None:
    for cache in [*([models_dir] if models_dir else []), *hub_caches(os.environ)]:
        snapshot = cached_snapshot(cache, DEMUCS_REPOSITORY)
        if snapshot is not None and (snapshot / _DEMUCS_FILE).is_file():
            return snapshot / _DEMUCS_FILE
    return None


def harmonic(wave: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Return the harmonic part of (samples,): what lasts in time rather than across frequencies.

    Median filters of 31 frames along time and 31 bins along frequency give the two estimates of magnitude; their shares, soft
    masks of exponent 2, cut the spectrum (Fitzgerald 2010).
    """
    size = 2 ** round(np.log2(_WINDOW_S * sample_rate_hz))
    hop = size // 4
    kept = np.empty(len(wave), np.float32)
    for start in range(0, len(wave), _BLOCK_FRAMES * hop):
        # What lies more than 15 frames and a window away has no say, so that the blocks join as if they were one.
        stop = start + _BLOCK_FRAMES * hop
        first = max(0, start - _MARGIN_FRAMES * hop)
        piece = _harmonic(wave[first : stop + _MARGIN_FRAMES * hop], size, hop)
        kept[start:stop] = piece[start - first : stop - first]
    return kept


def _harmonic(wave: npt.NDArray[np.float32], size: int, hop: int) -> npt.NDArray[np.float32]:
    padded = np.pad(wave.astype(np.float32, copy=False), (0, max(0, size - len(wave))))
    _, _, spectrum = scipy.signal.stft(padded, nperseg=size, noverlap=size - hop)
    magnitude = np.abs(spectrum).astype(np.float32)
    lasting = _medians(magnitude) ** 2
    striking = np.ascontiguousarray(_medians(np.ascontiguousarray(magnitude.T)).T) ** 2
    both = lasting + striking
    mask = np.divide(lasting, both, out=np.full_like(both, 0.5), where=both > np.finfo(np.float32).tiny)
    _, kept = scipy.signal.istft(spectrum * mask, nperseg=size, noverlap=size - hop)
    return np.asarray(kept[: len(wave)], np.float32)


def _medians(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # Row by row: scipy's filter for one dimension is four times as fast as the one for two.
    filtered = np.empty_like(rows)
    for row, into in zip(rows, filtered, strict=True):
        into[:] = scipy.ndimage.median_filter(row, size=_MEDIAN_FRAMES, mode="reflect")
    return filtered


def _demucs(
    wave: npt.NDArray[np.float32], sample_rate_hz: int, weights: Path, device: str
) -> npt.NDArray[np.float32]:
    """Return vocals and other instruments as Demucs separates them, mono, at the rate that came in."""
    torch: Any = importlib.import_module("torch")
    # Not by name, for which Demucs would ask the network first.
    model: Any = importlib.import_module("demucs.hf").load_safetensors_model(weights).eval()
    apply_model: Any = importlib.import_module("demucs.apply").apply_model
    at_its_rate = np.asarray(soxr.resample(wave, sample_rate_hz, model.samplerate, quality="VHQ"), np.float32)
    mixture = torch.from_numpy(np.repeat(at_its_rate[None], model.audio_channels, axis=0))[None]
    with working(device), torch.inference_mode():
        # No random shifts (Demucs's own default is one): the same recording has to give the same melody.
        stems = apply_model(model, mixture, shifts=0, device=device, progress=False)[0]
    kept = sum(stems[model.sources.index(name)] for name in ("vocals", "other")).mean(dim=0).cpu().numpy()
    back = np.asarray(soxr.resample(kept, model.samplerate, sample_rate_hz, quality="VHQ"), np.float32)
    fitted = np.zeros(len(wave), np.float32)
    fitted[: len(back)] = back[: len(wave)]
    return fitted
