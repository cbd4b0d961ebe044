"""Test signals, `(channels, samples)` float32, and raw takes made of them."""

from __future__ import annotations

import numpy as np

from dgx_music.engines.base import EngineInfo, RawAudio, TakeSpec
from dgx_music.request import GenerationRequest

SKETCH = EngineInfo("sketch", "1", neural=False, model="numpy-synth", model_hash="")
NEURAL = EngineInfo("musicgen", "1.3.0", neural=True, model="musicgen-small", model_hash="ab" * 32)


def sine(frequency_hz, duration_s, rate, *, amplitude=1.0, phase=0.0, channels=1):
    time_s = np.arange(round(duration_s * rate)) / rate
    wave = amplitude * np.sin(2 * np.pi * frequency_hz * time_s + phase)
    return np.tile(wave.astype(np.float32), (channels, 1))


def noise(duration_s, rate, *, rms=0.1, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return (rms * rng.standard_normal((channels, round(duration_s * rate)))).astype(np.float32)


def clicks(bpm, duration_s, rate, *, amplitude=0.9, channels=1):
    """A decaying 2 kHz blip on each beat, the first on sample 0."""
    samples = round(duration_s * rate)
    blip_s = np.arange(rate // 50) / rate
    blip = amplitude * np.cos(2 * np.pi * 2000 * blip_s) * np.exp(-blip_s * 400)
    track = np.zeros(samples + blip.size)
    for beat in range(int(duration_s * bpm / 60) + 1):
        start = round(beat * 60 / bpm * rate)
        if start < samples:
            track[start : start + blip.size] += blip
    return np.tile(track[:samples].astype(np.float32), (channels, 1))


def chord(notes, duration_s, rate):
    """MIDI notes struck together: six partials each, dying away."""
    time_s = np.arange(round(duration_s * rate)) / rate
    tone = np.zeros(time_s.size)
    for note in notes:
        frequency_hz = 440 * 2 ** ((note - 69) / 12)
        for partial in range(1, 7):
            tone += np.sin(2 * np.pi * frequency_hz * partial * time_s) / partial**1.5
    return tone * np.exp(-1.5 * time_s) * np.minimum(1, time_s * 200)


def progression(chords, bpm, rate, *, bars=8):
    """One chord a bar with its root in the bass, over noise drums on each beat; stereo."""
    bar_s = 240 / bpm
    rng = np.random.default_rng(3)
    track = np.zeros(round(bars * bar_s * rate) + 1)
    for bar in range(bars):
        root, third = chords[bar % len(chords)]
        struck = 0.1 * chord((root - 24, root - 12, root, root + third, root + 7), bar_s, rate)
        start = round(bar * bar_s * rate)
        track[start : start + struck.size] += struck[: track.size - start]
        for beat in range(4):
            at = start + round(beat * bar_s / 4 * rate)
            hit = 0.5 * rng.standard_normal(rate // 16) * np.exp(-np.arange(rate // 16) / (rate / 160))
            track[at : at + hit.size] += hit[: max(0, track.size - at)]
    return np.tile(track.astype(np.float32), (2, 1))


def raw_take(
    audio, rate, *, info=SKETCH, stems=None, bpm=None, key=None, meter=None, notes="", index=0, **fields
):
    """Return `(RawAudio, TakeSpec)` for a request of exactly the audio's length, unless the fields say otherwise."""
    fields.setdefault("prompt", "dusty lo-fi drums")
    fields.setdefault("seed", 7)
    fields.setdefault("sample_rate", rate)
    if not {"duration", "bars", "samples"} & fields.keys():
        fields["samples"] = audio.shape[1] * fields["sample_rate"] // rate
    request = GenerationRequest.from_fields(fields)
    raw = RawAudio(audio, rate, info, stems=stems or {}, bpm=bpm, key=key, meter=meter, notes=notes)
    return raw, TakeSpec(index, request.seed + index, request)
