"""From an engine's raw audio to a master: length, rate, loudness, true peak, quantisation, measurements."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.errors import AudioError
from dgx_music.finishing.analyse import analyse
from dgx_music.finishing.level import TOLERANCE_LU, level
from dgx_music.finishing.loudness import integrated_loudness_lufs
from dgx_music.finishing.master import LevelReport, Master
from dgx_music.finishing.quantise import quantise, to_float
from dgx_music.finishing.resample import fit
from dgx_music.finishing.true_peak import sample_peak_dbfs, true_peak_dbtp

if TYPE_CHECKING:
    import numpy.typing as npt

    from dgx_music.engines.base import RawAudio, TakeSpec
    from dgx_music.finishing.level import Levelled
    from dgx_music.finishing.master import FileAudio
    from dgx_music.request import GenerationRequest

__all__ = ["finish"]

_MAX_MAGNITUDE = 1e4
"""80 dB above full scale: no engine means that."""


def finish(raw: RawAudio, spec: TakeSpec) -> Master:
    """Finish one take: exactly as long, at the rate, the loudness and the bit depth that its request asks for.

    The same raw audio and spec give the same master, bit by bit. Stems go through the same steps, with the
    take's own gain and limiting, so that they sum to it within their dither.

    Raises:
        AudioError: when the raw audio is not finite, empty, too short, or of the wrong shape.
    """
    request = spec.request
    _check(raw)
    audio = _fit(raw.audio, raw, request)
    target_lufs = request.loudness_target_lufs
    levelled = level(audio, request.sample_rate, target_lufs=target_lufs, loop=request.loop)
    finished = quantise(audio * levelled.gain, request.bit_depth, (spec.seed,))
    stems: dict[str, FileAudio] = {}
    for name, stem in raw.stems.items():
        part = _fit(stem, raw, request) * levelled.gain
        if request.bit_depth != 32 and max(part.max(), -part.min()) > 1:
            remark = f"Stem {name!r} alone passes full scale and is held there."
            levelled = replace(levelled, remark=f"{levelled.remark} {remark}".lstrip())
        # Each stem has its own dither: the same one would add up in their sum.
        stems[name] = quantise(part, request.bit_depth, (spec.seed, zlib.crc32(name.encode())))
    heard = to_float(finished, request.bit_depth)
    return Master(
        audio=finished,
        stems=stems,
        sample_rate_hz=request.sample_rate,
        bit_depth=request.bit_depth,
        level=_report(heard, request, levelled),
        analysis=analyse(heard, request.sample_rate, asked_bpm=raw.bpm or request.bpm),
    )


def _fit(
    audio: npt.NDArray[np.float32], raw: RawAudio, request: GenerationRequest
) -> npt.NDArray[np.float32]:
    return fit(
        np.asarray(audio, np.float32),
        from_hz=raw.sample_rate_hz,
        to_hz=request.sample_rate,
        length_s=request.length_exact_s,
        length_samples=request.length_samples,
        loop=request.loop,
    )


def _check(raw: RawAudio) -> None:
    engine = raw.info.name
    if raw.sample_rate_hz <= 0:
        raise AudioError(
            f"engine {engine} gave a sample rate of {raw.sample_rate_hz} Hz; it must be positive"
        )
    for name, audio in {
        "take": raw.audio,
        **{f"stem {name!r}": stem for name, stem in raw.stems.items()},
    }.items():
        if audio.ndim != 2 or audio.shape[0] not in (1, 2):
            raise AudioError(
                f"engine {engine} gave a {name} of shape {audio.shape}; it must be (channels, samples), mono or stereo"
            )
        if audio.shape != raw.audio.shape:
            raise AudioError(
                f"engine {engine} gave a {name} of shape {audio.shape} for a take of shape {raw.audio.shape}; "
                "a stem must be shaped like its take"
            )
        if audio.shape[1] == 0:
            raise AudioError(f"engine {engine} gave a {name} without a single sample")
        if not np.isfinite(audio).all():
            bad = int(np.flatnonzero(~np.isfinite(audio).all(axis=0))[0])
            raise AudioError(
                f"engine {engine} gave a {name} that is not a number at sample {bad} "
                f"({bad / raw.sample_rate_hz:.3f} s); every sample must be finite"
            )
        highest = float(max(audio.max(), -audio.min()))
        if highest > _MAX_MAGNITUDE:
            raise AudioError(
                f"engine {engine} gave a {name} with values up to {highest:.3g}; full scale is ±1"
            )


def _report(heard: npt.NDArray[np.float32], request: GenerationRequest, levelled: Levelled) -> LevelReport:
    """Measure the finished audio as a reader of the file sees it; the outcome follows from these figures."""
    target_lufs = request.loudness_target_lufs
    loudness_lufs = integrated_loudness_lufs(heard, request.sample_rate, loop=request.loop)
    outcome, remark = levelled.outcome, levelled.remark
    if (
        outcome == "on_target"
        and target_lufs is not None
        and (loudness_lufs is None or abs(loudness_lufs - target_lufs) > TOLERANCE_LU)
    ):
        outcome, remark = (
            "off_target",
            f"Dither at {request.bit_depth} bits moved the loudness off {target_lufs:g} LUFS.",
        )
    return LevelReport(
        loudness_lufs=loudness_lufs,
        true_peak_dbtp=true_peak_dbtp(heard, request.sample_rate),
        sample_peak_dbfs=sample_peak_dbfs(heard),
        target_lufs=target_lufs,
        outcome=outcome,
        remark=remark,
    )
