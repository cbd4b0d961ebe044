"""Finds the gain that brings a take to its loudness without passing the true-peak ceiling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dgx_music.finishing.limiter import limiter_gain
from dgx_music.finishing.loudness import MIN_CLIP_S, LoudnessMeter, integrated_loudness_lufs
from dgx_music.finishing.true_peak import TruePeakMeter, true_peak_envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

__all__ = ["CEILING_DBTP", "MAX_EATEN_LU", "MAX_GAIN_DB", "TOLERANCE_LU", "Levelled", "level"]

CEILING_DBTP = -1.1
"""The promise is −1 dBTP; the 0.1 dB is for other meters, whose interpolation filters differ from this one."""
MAX_EATEN_LU = 6.0
"""The most loudness that the limiter may eat: what the gain adds, less what is heard of it. A lone peak costs
next to nothing, however high it is; beyond 6 LU the limiter works all the time, and turns down what it is to
make louder."""
MAX_GAIN_DB = 30.0
"""The most that a quiet take is raised; beyond that it is noise that would come up."""
TOLERANCE_LU = 0.1
"""A take counts as on target within this."""
_GOOD_ENOUGH_LU = 0.02
_MAX_ROUNDS = 8
_SECONDS_AT_ONCE = 30
_SEAM_SAMPLES = 128


@dataclass(frozen=True)
class Levelled:
    """The gain that was found, and what it could not do."""

    gain: npt.NDArray[np.float32]
    """`(samples,)`, or `(1,)` where one factor serves the whole take."""
    outcome: str
    """`on_target`, `silent`, `too_short`, `untouched` or `off_target`, as in `LevelReport`."""
    remark: str


def level(
    audio: npt.NDArray[np.float32], sample_rate_hz: int, *, target_lufs: float | None, loop: bool = False
) -> Levelled:
    """Find the gain for `(channels, samples)` float32.

    Without a target, or where loudness does not exist (silence, under 400 ms), the level is left as it is;
    only audio above the ceiling is turned down, as a whole. Otherwise gain and limiter are tried until the
    limited audio measures on target, within the bounds of `MAX_GAIN_DB` and `MAX_EATEN_LU`.
    """
    envelope = true_peak_envelope(audio, sample_rate_hz)
    if loop:
        _add_seam(envelope, audio, sample_rate_hz)
    peak = float(envelope.max(initial=0.0))
    if peak == 0:
        return Levelled(_static(0.0), "silent", "The take is digital silence.")
    headroom_db = CEILING_DBTP - 20 * math.log10(peak)
    if target_lufs is None:
        return _left_alone("untouched", "", headroom_db)
    loudness_lufs = integrated_loudness_lufs(audio, sample_rate_hz, loop=loop)
    if loudness_lufs is None:
        if audio.shape[1] < MIN_CLIP_S * sample_rate_hz and not loop:
            return _left_alone("too_short", "Loudness is not defined under 400 ms.", headroom_db)
        return _left_alone(
            "silent", "The take is below the −70 LUFS gate of the loudness standard.", headroom_db
        )
    gain_db, eaten_lu = min(target_lufs - loudness_lufs, MAX_GAIN_DB), 0.0
    if gain_db <= headroom_db:
        gain = _static(gain_db)
    else:
        limited = _Limited(audio, envelope, sample_rate_hz, loop, loudness_lufs)
        gain, gain_db, eaten_lu = _search(limited, target_lufs, headroom_db)
    reached_lufs = loudness_lufs + gain_db - eaten_lu
    if abs(reached_lufs - target_lufs) <= TOLERANCE_LU:
        return Levelled(gain, "on_target", "")
    if eaten_lu > MAX_EATEN_LU - TOLERANCE_LU:
        why = f"its peaks stand so high that the limiter would eat more than {MAX_EATEN_LU:.0f} LU"
    elif gain_db > MAX_GAIN_DB - TOLERANCE_LU:
        why = f"raising it by more than {MAX_GAIN_DB:.0f} dB would bring up noise"
    else:
        why = "no gain brings it there, as with a single burst or a constant"
    return Levelled(
        gain, "off_target", f"The take reaches {reached_lufs:.1f} of {target_lufs:g} LUFS: {why}."
    )


@dataclass(frozen=True)
class _Limited:
    """A take that can be heard through gain and limiter."""

    audio: npt.NDArray[np.float32]
    envelope: npt.NDArray[np.float32]
    sample_rate_hz: int
    loop: bool
    loudness_lufs: float
    """As it is, before gain and limiter."""

    def gain(self, gain_db: float, ceiling_dbtp: float = CEILING_DBTP) -> npt.NDArray[np.float32]:
        """Return the gain curve: a fixed gain, then the limiter."""
        fixed = _static(gain_db)
        ceiling = 10 ** (ceiling_dbtp / 20)
        return fixed * limiter_gain(
            self.envelope * fixed, self.sample_rate_hz, ceiling=ceiling, loop=self.loop
        )

    def eaten_lu(self, gain_db: float, gain: npt.NDArray[np.float32]) -> float:
        """Return how much of the fixed gain is not heard behind the gain curve."""
        if self.loop:
            reached = integrated_loudness_lufs(self.audio * gain, self.sample_rate_hz, loop=True)
        else:
            meter = LoudnessMeter(self.sample_rate_hz)
            for piece in self._pieces(gain):
                meter.add(piece)
            reached = meter.integrated_lufs()
        return math.inf if reached is None else self.loudness_lufs + gain_db - reached

    def excess_db(self, gain: npt.NDArray[np.float32]) -> float:
        """Return how far the true peak behind the gain curve is above the ceiling; below 0 where it is not."""
        meter = TruePeakMeter(self.sample_rate_hz)
        for piece in self._pieces(gain):
            meter.add(piece)
        peak_dbtp = meter.peak_dbtp()
        return -math.inf if peak_dbtp is None else peak_dbtp - CEILING_DBTP

    def _pieces(self, gain: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Give the take behind the gain curve piece by piece: a second copy of a long take is a lot of memory."""
        size = _SECONDS_AT_ONCE * self.sample_rate_hz
        for start in range(0, gain.size, size):
            yield self.audio[:, start : start + size] * gain[start : start + size]


def _search(
    limited: _Limited, target_lufs: float, headroom_db: float
) -> tuple[npt.NDArray[np.float32], float, float]:
    """Raise the gain until the take is loud enough or the limiter eats too much.

    Both distances fall as the gain rises; the smaller one is brought to zero by secant steps that stay inside
    of what is known to be too little and too much.

    Returns:
        The gain curve, its fixed gain in dB, and the loudness that the limiter eats.
    """
    wanted_db = target_lufs - limited.loudness_lufs
    low_db, low_lack = headroom_db, min(wanted_db - headroom_db, MAX_EATEN_LU)
    high_db = min(wanted_db + MAX_EATEN_LU, MAX_GAIN_DB)
    gain_db, before_db, before_lack = min(wanted_db, high_db), low_db, low_lack
    for _ in range(_MAX_ROUNDS):
        gain = limited.gain(gain_db)
        eaten_lu = limited.eaten_lu(gain_db, gain)
        lack = min(wanted_db - gain_db + eaten_lu, MAX_EATEN_LU - eaten_lu)
        if abs(lack) <= _GOOD_ENOUGH_LU or (lack > 0 and gain_db >= high_db):
            break
        if lack > 0:
            low_db = gain_db
        else:
            high_db = gain_db
        step_db = -lack * (gain_db - before_db) / (lack - before_lack) if lack != before_lack else math.inf
        before_db, before_lack = gain_db, lack
        gain_db += step_db
        if not low_db < gain_db < high_db:
            gain_db = (low_db + high_db) / 2
    # A gain that moves can lift the waveform between samples a little; the limiter gets that much less room.
    excess_db = limited.excess_db(gain)
    if excess_db > 0:
        gain = limited.gain(gain_db, CEILING_DBTP - excess_db)
        gain = gain * _static(-max(0.0, limited.excess_db(gain)))
        eaten_lu = limited.eaten_lu(gain_db, gain)
    return gain, gain_db, eaten_lu


def _left_alone(outcome: str, remark: str, headroom_db: float) -> Levelled:
    if headroom_db >= 0:
        return Levelled(_static(0.0), outcome, remark)
    lowered = (
        f"The level was lowered by {-headroom_db:.1f} dB as a whole, to keep the true peak under −1 dBTP."
    )
    return Levelled(_static(headroom_db), outcome, f"{remark} {lowered}".lstrip())


def _static(gain_db: float) -> npt.NDArray[np.float32]:
    return np.array([10 ** (gain_db / 20)], np.float32)


def _add_seam(envelope: npt.NDArray[np.float32], audio: npt.NDArray[np.float32], sample_rate_hz: int) -> None:
    """Raise a loop's envelope to what is heard where its end meets its beginning."""
    reach = min(_SEAM_SAMPLES, audio.shape[1])
    seam = true_peak_envelope(np.concatenate((audio[:, -reach:], audio[:, :reach]), axis=1), sample_rate_hz)
    inner = max(1, reach // 2)
    np.maximum(envelope[-inner:], seam[reach - inner : reach], out=envelope[-inner:])
    np.maximum(envelope[:inner], seam[reach : reach + inner], out=envelope[:inner])
