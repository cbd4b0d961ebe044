"""A channel's hash: by its definition, and the same in every file that holds the same samples."""

from __future__ import annotations

import hashlib
import io
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dgx_music.errors import AudioError
from dgx_music.library.pcm import blocks_of, file_pcm, pcm_hashes
from support.signals import noise

FLOATS = st.floats(-2, 2, width=32, allow_nan=False) | st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.5 / 2**23, 1.5 / 2**23, 2.5 / 2**23, -0.5 / 2**23, float("inf"), float("-inf")]
)


def by_definition(samples) -> str:
    """Little-endian int24 of x · 2^23, rounded half to even, held within the range; nothing before or after."""
    packed = b""
    for sample in samples:
        if math.isinf(sample):
            steps = 2**23 - 1 if sample > 0 else -(2**23)
        else:
            steps = max(-(2**23), min(2**23 - 1, round(Fraction(float(sample)) * 2**23)))
        packed += steps.to_bytes(3, "little", signed=True)
    return hashlib.sha256(packed).hexdigest()


def hashes_in(samples, subtype, file_format="WAV", rate_hz=48_000):
    """The hashes of `(channels, samples)` once they lie in a file."""
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate_hz, subtype=subtype, format=file_format)
    file.seek(0)
    with soundfile.SoundFile(file) as opened:
        return file_pcm(opened)


@given(arrays.arrays(np.float32, st.integers(1, 60), elements=FLOATS))
def test_a_float_channels_hash_is_the_definitions(samples):
    assert pcm_hashes(samples[np.newaxis], 32) == (by_definition(samples),)


@settings(max_examples=30)
@given(
    arrays.arrays(
        np.int32, st.tuples(st.integers(1, 3), st.integers(1, 60)), elements=st.integers(-(2**23), 2**23 - 1)
    )
)
def test_24_bits_have_the_same_hashes_in_every_file_that_holds_them(steps):
    wanted = pcm_hashes(steps, 24)
    assert wanted == tuple(by_definition(channel / 2**23) for channel in steps)
    assert pcm_hashes((steps / 2**23).astype(np.float32), 32) == wanted
    for subtype, file_format in (
        ("PCM_24", "WAV"),
        ("PCM_32", "WAV"),
        ("PCM_24", "FLAC"),
        ("PCM_24", "AIFF"),
    ):
        pcm = hashes_in(steps << 8, subtype, file_format)
        assert (pcm.sha256, pcm.frames, pcm.sample_rate_hz) == (wanted, steps.shape[1], 48_000)
    for subtype, file_format in (("FLOAT", "WAV"), ("DOUBLE", "WAV"), ("FLOAT", "CAF"), ("FLOAT", "W64")):
        assert hashes_in(steps / 2**23, subtype, file_format).sha256 == wanted
    for number, channel in enumerate(steps):
        assert hashes_in((channel / 2**23)[np.newaxis], "FLOAT").sha256 == (wanted[number],)


@settings(max_examples=30)
@given(arrays.arrays(np.int16, st.tuples(st.integers(1, 2), st.integers(1, 60))))
def test_16_bits_have_the_same_hashes_in_every_file_that_holds_them(steps):
    wanted = pcm_hashes(steps, 16)
    assert wanted == tuple(by_definition(channel / 2**15) for channel in steps)
    assert hashes_in(steps, "PCM_16").sha256 == wanted
    for subtype in ("PCM_24", "PCM_32"):
        assert hashes_in(steps.astype(np.int32) << 16, subtype).sha256 == wanted
    assert hashes_in(steps / 2**15, "FLOAT").sha256 == wanted


@given(arrays.arrays(np.int32, st.integers(1, 60), elements=st.integers(-(2**23), 2**23 - 1)), st.data())
def test_one_changed_sample_or_one_more_is_another_hash(steps, data):
    changed = steps.copy()
    place = data.draw(st.integers(0, len(steps) - 1))
    changed[place] += 1 if steps[place] < 0 else -1
    longer = np.append(steps, 0).astype(np.int32)
    hashes = {pcm_hashes(samples[np.newaxis], 24) for samples in (steps, changed, longer)}
    assert len(hashes) == 3


def test_long_files_are_hashed_in_blocks_that_do_not_show():
    samples = np.random.default_rng(1).integers(-(2**23), 2**23, (2, 200_001), np.int32)
    expected = tuple(
        hashlib.sha256(channel.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()).hexdigest()
        for channel in samples
    )
    assert pcm_hashes(samples, 24) == expected
    assert hashes_in(samples << 8, "PCM_24").sha256 == expected


def test_a_file_of_a_thousand_channels_needs_no_more_memory_than_another(tmp_path):
    path = tmp_path / "wide.wav"
    samples = np.arange(1000 * 2500, dtype=np.int16).reshape(2500, 1000)
    soundfile.write(path, samples, 48_000, subtype="PCM_16")
    with soundfile.SoundFile(path) as file:
        assert max(block.size for block in blocks_of(file)) <= 1 << 20
        found = file_pcm(file)
    assert found.sha256 == pcm_hashes(np.ascontiguousarray(samples.T), 16)


def test_a_file_that_is_cut_off_has_no_hash(tmp_path):
    path = tmp_path / "a.w64"
    soundfile.write(path, np.zeros(5000), 48_000, subtype="PCM_24")
    with soundfile.SoundFile(path) as whole:
        claimed = whole.frames
    path.write_bytes(path.read_bytes()[:-6000])
    with soundfile.SoundFile(path) as file:
        if file.frames == claimed:
            with pytest.raises(AudioError, match="cut off or damaged"):
                file_pcm(file)
        else:
            assert file_pcm(file).frames == file.frames < claimed


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_takes_and_stems_are_staged_with_their_hashes(stage, bits):
    take = stage(bit_depth=bits)
    assert len(take.files) == 3
    for file in take.files:
        with soundfile.SoundFile(Path(file.staged)) as opened:
            assert file.pcm_sha256 == file_pcm(opened).sha256
        assert len(file.pcm_sha256) == 2
    assert len({sha256 for file in take.files for sha256 in file.pcm_sha256}) >= 3
    assert stage(audio=noise(0.2, 48_000, channels=1), stems=(), folder="b").files[0].pcm_sha256[1:] == ()
