from __future__ import annotations

import shutil
import subprocess
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.host.preview import PreviewFile


def noise(channels, frames, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (channels, frames)).astype(np.float32)


@given(channels=st.sampled_from([1, 2]), lengths=st.lists(st.integers(1, 2000), min_size=1, max_size=6))
def test_stretches_are_joined_and_every_length_on_the_way_can_be_read(tmp_path_factory, channels, lengths):
    path = tmp_path_factory.mktemp("preview") / "take1.wav"
    preview = PreviewFile(path)
    whole = np.zeros((channels, 0), np.float32)
    for seed, length in enumerate(lengths):
        stretch = noise(channels, length, seed)
        whole = np.concatenate([whole, stretch], axis=1)
        assert preview.append(stretch, 32_000) == whole.shape[1] / 32_000
        audio, rate_hz = soundfile.read(path, always_2d=True)
        assert rate_hz == 32_000
        assert audio.shape == whole.T.shape
        assert np.abs(audio - whole.T * 32_767 / 32_768).max() < 1 / 32_768


def test_a_reader_at_any_moment_finds_all_that_the_header_tells(tmp_path):
    """Somebody reads all the time while the file grows, and never finds less than a whole file, nor a click."""
    path = tmp_path / "take1.wav"
    preview = PreviewFile(path)
    preview.append(np.full((2, 1000), 0.5, np.float32), 32_000)
    grown, read = threading.Event(), threading.Event()
    lengths, faults = [], []

    def watch():
        while not grown.is_set():
            data = path.read_bytes()
            told = int.from_bytes(data[40:44], "little")
            if int.from_bytes(data[4:8], "little") != told + 36 or len(data) < 44 + told:
                faults.append((told, len(data)))
            if not (np.frombuffer(data[44 : 44 + told], "<i2") == 16_384).all():
                faults.append(told)
            lengths.append(told)
            read.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(100):
        preview.append(np.full((2, 1000), 0.5, np.float32), 32_000)
        read.clear()
        read.wait(10)
    grown.set()
    watcher.join()
    assert faults == []
    assert len(set(lengths)) > 50


def test_what_passes_full_scale_is_clipped_and_what_is_no_number_is_silent(tmp_path):
    preview = PreviewFile(tmp_path / "take1.wav")
    preview.append(np.array([[3.0, -3.0, np.inf, -np.inf, np.nan, 0.5]], np.float32), 32_000)
    audio, _ = soundfile.read(tmp_path / "take1.wav", dtype="int16")
    assert audio.tolist() == [32_767, -32_767, 32_767, -32_767, 0, 16_384]


@pytest.mark.parametrize(
    ("audio", "rate_hz", "said"),
    [
        (noise(1, 5), 32_000, "cannot go on otherwise"),
        (noise(2, 5), 44_100, "cannot go on otherwise"),
        (noise(2, 5)[0], 32_000, r"\(channels, samples\), not \(5,\)"),
        (noise(2, 0), 32_000, r"not \(2, 0\)"),
    ],
)
def test_a_stretch_of_another_kind_is_refused_and_what_is_there_stays(tmp_path, audio, rate_hz, said):
    preview = PreviewFile(tmp_path / "take1.wav")
    preview.append(noise(2, 10), 32_000)
    before = (tmp_path / "take1.wav").read_bytes()
    with pytest.raises(ValueError, match=said):
        preview.append(audio, rate_hz)
    assert (tmp_path / "take1.wav").read_bytes() == before


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_decodes_a_file_that_is_still_growing(tmp_path):
    preview = PreviewFile(tmp_path / "take1.wav")
    preview.append(noise(2, 32_000), 32_000)
    with (tmp_path / "take1.wav").open("ab") as file:
        file.write(b"\1" * 3)  # the next stretch is being written, and is not told yet
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "take1.wav", "-f", "s16le", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert (done.stderr, len(done.stdout)) == (b"", 4 * 32_000)
