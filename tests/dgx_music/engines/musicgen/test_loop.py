"""A loop's seam is as smooth as the music was where it was cut."""

from __future__ import annotations

import numpy as np
import pytest

from dgx_music.engines.musicgen.loop import close_loop


def test_the_last_sample_runs_into_the_first_as_the_music_itself_does():
    rate, length = 32_000, 40_000
    time_s = np.arange(length + 3_200) / rate
    audio = np.sin(2 * np.pi * 101.3 * time_s)[None].astype(np.float32)
    loop = close_loop(audio, length)
    assert loop.shape == (1, length)
    steps = np.abs(np.diff(np.concatenate([loop[0], loop[0, :1]])))
    plain = abs(audio[0, 0] - audio[0, length - 1])
    assert steps[-1] <= 1.05 * np.abs(np.diff(audio[0])).max() < plain


def test_the_blend_keeps_the_level_of_noise():
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 35_200)).astype(np.float32)
    loop = close_loop(noise, 32_000)
    assert np.sqrt((loop[:, :3_200] ** 2).mean()) == pytest.approx(0.1, rel=0.03)
    np.testing.assert_array_equal(loop[:, 3_200:], noise[:, 3_200:32_000])


def test_without_anything_to_blend_the_audio_is_cut():
    audio = np.ones((1, 100), np.float32)
    np.testing.assert_array_equal(close_loop(audio, 100), audio)
