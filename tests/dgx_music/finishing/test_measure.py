from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile

from dgx_music.errors import AudioError
from dgx_music.finishing.loudness import integrated_loudness_lufs
from dgx_music.finishing.measure import measure_file
from dgx_music.finishing.true_peak import true_peak_dbtp
from support.signals import clicks, noise, sine


def _written(path, audio, rate, **options):
    soundfile.write(path, audio.T, rate, **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "subtype", "bits"),
    [
        ("wav", "PCM_16", 16),
        ("wav", "PCM_24", 24),
        ("wav", "FLOAT", 32),
        ("flac", "PCM_24", 24),
        ("ogg", "VORBIS", None),
    ],
)
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_formats(suffix, subtype, bits, rate, tmp_path):
    audio = sine(440, 4, rate, amplitude=0.3, channels=2) + clicks(120, 4, rate, amplitude=0.4)
    found = measure_file(_written(tmp_path / f"take.{suffix}", audio, rate, subtype=subtype))
    assert (found.frames, found.sample_rate_hz, found.channels) == (4 * rate, rate, 2)
    assert found.duration_s == 4
    assert (found.encoding, found.bit_depth) == (subtype, bits)
    assert found.loudness_lufs == pytest.approx(
        integrated_loudness_lufs(audio, rate), abs=0.2 if bits is None else 0.01
    )
    assert found.true_peak_dbtp == pytest.approx(
        true_peak_dbtp(audio, rate), abs=0.5 if bits is None else 0.01
    )


def test_a_file_longer_than_one_piece_is_measured_whole(tmp_path):
    audio = noise(47, 48_000, channels=1) * np.linspace(0.1, 1, 47 * 48_000, dtype=np.float32)
    found = measure_file(_written(tmp_path / "long.wav", audio, 48_000, subtype="FLOAT"))
    assert found.loudness_lufs == pytest.approx(integrated_loudness_lufs(audio, 48_000), abs=1e-3)
    assert found.true_peak_dbtp == pytest.approx(true_peak_dbtp(audio, 48_000), abs=1e-3)
    assert found.sample_peak_dbfs == pytest.approx(20 * np.log10(np.abs(audio).max()), abs=1e-4)


def test_a_click_track_is_heard(tmp_path):
    found = measure_file(_written(tmp_path / "click.wav", clicks(93.5, 12, 48_000), 48_000))
    assert found.tempo_bpm == pytest.approx(93.5, rel=0.002)


def test_silence_has_no_figures(tmp_path):
    found = measure_file(_written(tmp_path / "silence.wav", np.zeros((2, 48_000)), 48_000))
    assert (found.loudness_lufs, found.true_peak_dbtp, found.sample_peak_dbfs) == (None, None, None)


def _header(channels=1, rate=48_000, bits=16, tag=1, data=b"\0\0" * 100, claimed=None):
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits)
    size = len(data) if claimed is None else claimed
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


BROKEN = {
    "empty.wav": b"",
    "one byte.wav": b"R",
    "text.wav": b"this is no audio at all, only words\n" * 20,
    "only RIFF.wav": b"RIFF",
    "RIFF and size.wav": b"RIFF\x24\0\0\0",
    "other form.wav": b"RIFF\x24\0\0\0AVI " + b"\0" * 64,
    "no chunks.wav": b"RIFF\x04\0\0\0WAVE",
    "no data.wav": _header()[:36],
    "no fmt.wav": b"RIFF\x0c\0\0\0WAVEdata\0\0\0\0",
    "no samples.wav": _header(data=b""),
    "no channels.wav": _header(channels=0),
    "three channels.wav": _header(channels=3, data=b"\0" * 600),
    "rate 0.wav": _header(rate=0),
    "rate 1.wav": _header(rate=1),
    "rate 4 GHz.wav": _header(rate=0xFFFFFFFF),
    "unknown encoding.wav": _header(tag=0x7777),
    "zeros.wav": b"\0" * 4096,
    "noise.wav": bytes(np.random.default_rng(0).integers(0, 256, 4096, np.uint8)),
    "headless.raw": b"\0\1" * 1000,
    "FLAC magic.flac": b"fLaC" + b"\0" * 100,
    "OGG magic.ogg": b"OggS" + b"\0" * 100,
    "AIFF magic.aiff": b"FORM\0\0\0\x10AIFF",
    "NaN.wav": _header(bits=32, tag=3, data=np.array([0, np.nan, 0], "<f4").tobytes()),
    "infinite.wav": _header(bits=32, tag=3, data=np.array([0, 0, np.inf], "<f4").tobytes()),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_by_name_with_a_reason(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(AudioError) as caught:
        measure_file(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) > len(str(path)) + 15


def test_a_truncated_flac_is_refused(tmp_path):
    path = _written(tmp_path / "cut.flac", noise(3, 48_000), 48_000)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(AudioError, match=r"cut\.flac"):
        measure_file(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        measure_file(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="not a file"):
        measure_file(tmp_path)


def test_a_damaged_sample_is_named(tmp_path):
    audio = sine(440, 12, 48_000)
    audio[0, 500_000] = np.nan
    with pytest.raises(AudioError, match=r"sample 500000 \(10\.417 s\)"):
        measure_file(_written(tmp_path / "bad.wav", audio, 48_000, subtype="FLOAT"))
