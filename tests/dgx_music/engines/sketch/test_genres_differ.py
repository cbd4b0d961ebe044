"""Genres that can be told apart by measurement: onsets a second in three bands, spectrum, tempo."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dgx_music.engines.sketch.genres import GENRES

BANDS_HZ = ((20, 150), (300, 2500), (5000, 16_000))
HOP = 480
SEEDS = (1, 2)


@pytest.fixture
def features(make):
    def measure(genre):
        rows = []
        for seed in SEEDS:
            raw = make(genre, seed=seed, duration=12)
            rows.append(
                [*onset_rates(raw.audio.mean(axis=0)), *spectrum(raw.audio.mean(axis=0)), np.log2(raw.bpm)]
            )
        return np.array(rows)

    return measure


def frames(signal):
    count = len(signal) // HOP - 1
    window = np.hanning(2 * HOP)
    pieces = np.stack([signal[i * HOP : i * HOP + 2 * HOP] for i in range(count)]) * window
    return np.abs(np.fft.rfft(pieces, axis=1))


def onset_rates(signal):
    """Peaks of the rise in level of each band, a second."""
    magnitudes = frames(signal)
    hertz = np.fft.rfftfreq(2 * HOP, 1 / 48_000)
    rates = []
    for low, high in BANDS_HZ:
        level = 20 * np.log10(magnitudes[:, (hertz >= low) & (hertz < high)].sum(axis=1) + 1e-2)
        rise = np.maximum(0, level[3:] - level[:-3])
        peaks = (rise[1:-1] > rise[:-2]) & (rise[1:-1] >= rise[2:]) & (rise[1:-1] > 5)
        rates.append(peaks.sum() / (len(signal) / 48_000))
    return rates


def spectrum(signal):
    """Centroid and the share of the top band, in octaves."""
    power = np.mean(frames(signal) ** 2, axis=0)
    hertz = np.fft.rfftfreq(2 * HOP, 1 / 48_000)
    centroid = np.sum(power * hertz) / np.sum(power)
    top = power[hertz > 5000].sum() / power.sum()
    return [np.log2(centroid), np.log2(top + 1e-6) / 2]


def test_every_two_genres_can_be_told_apart(features):
    measured = {genre: features(genre) for genre in GENRES}
    assert len(measured) >= 8
    everything = np.concatenate(list(measured.values()))
    scale = everything.std(axis=0)
    centres = {genre: rows.mean(axis=0) / scale for genre, rows in measured.items()}
    spread = np.mean([(rows / scale).std(axis=0) for rows in measured.values()])
    distances = {
        pair: np.linalg.norm(centres[pair[0]] - centres[pair[1]]) for pair in combinations(measured, 2)
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] > 2 * spread, (closest, distances[closest], spread)


def test_genres_sound_like_what_they_are(features):
    lofi, techno, ambient, dnb, jazz = (
        features(g).mean(axis=0) for g in ("lofi", "techno", "ambient", "dnb", "jazz")
    )
    assert ambient[2] < 0.25 * techno[2]
    assert lofi[3] < dnb[3]
    assert lofi[4] < jazz[4]
    assert dnb[5] > techno[5] > lofi[5] > ambient[5] - 0.5
