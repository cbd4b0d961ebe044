"""Excerpts: the asked samples exactly, from nowhere but the allowed folders, whatever the file claims."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.engines.musicgen.conditioning.excerpt import Audio, convert, read_excerpt
from dgx_music.errors import AudioError, RequestError
from dgx_music.request import AudioExcerpt

RATE_HZ = 44_100


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    return folder


def ramp(frames, channels):
    return np.arange(frames * channels, dtype=np.float32).reshape(frames, channels) / 2**20


def write(path, frames=1000, channels=2, subtype="FLOAT", rate_hz=RATE_HZ, **options):
    samples = ramp(frames, channels)
    soundfile.write(path, samples, rate_hz, subtype=subtype, **options)
    return samples.T


def read(path, root, start=0, length=None, **options):
    return read_excerpt(AudioExcerpt(path=str(path), start=start, length=length), (root,), **options)


class TestTheAskedSamples:
    @pytest.mark.parametrize(
        ("start", "length"), [(0, None), (0, 1), (10, 20), (999, None), (999, 1), (0, 1000)]
    )
    @pytest.mark.parametrize("channels", [1, 2, 5])
    def test_are_read_exactly(self, root, start, length, channels):
        written = write(root / "a.wav", channels=channels)
        audio = read(root / "a.wav", root, start, length)
        assert audio.sample_rate_hz == RATE_HZ
        assert audio.samples.dtype == np.float32
        assert np.array_equal(audio.samples, written[:, start : start + (length or 1000)])

    def test_are_read_across_blocks(self, root):
        written = write(root / "a.wav", frames=200_000, channels=1)
        assert np.array_equal(read(root / "a.wav", root, 50_000, 140_000).samples, written[:, 50_000:190_000])

    @pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff", "a.w64"])
    def test_come_from_any_format_that_libsndfile_reads(self, root, name):
        time_s = np.arange(RATE_HZ) / RATE_HZ
        tone = np.sin(2 * np.pi * 440 * time_s) / 2
        soundfile.write(root / name, tone, RATE_HZ)
        heard = read(root / name, root, 10_000, 20_000).samples[0]
        assert len(heard) == 20_000
        assert np.abs(heard - tone[10_000:30_000]).max() < 0.02

    def test_far_into_an_mp3_are_refused(self, root):
        write(root / "a.mp3", channels=1, subtype="MPEG_LAYER_III")
        with pytest.raises(RequestError, match="only the first 500 samples can be reached"):
            read(root / "a.mp3", root, 400, 101, max_values=500)
        assert read(root / "a.mp3", root, 400, 100, max_values=500).samples.shape == (1, 100)

    def test_leave_the_file_as_it_was(self, root):
        write(root / "a.wav")
        (root / "a.wav").chmod(0o400)
        before = (root / "a.wav").read_bytes()
        read(root / "a.wav", root)
        assert (root / "a.wav").read_bytes() == before

    def test_leave_no_descriptor_open(self, root):
        write(root / "a.wav")
        (root / "b.wav").write_bytes(b"no audio")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            read(root / "a.wav", root)
            with pytest.raises(RequestError):
                read(root / "b.wav", root)
            with pytest.raises(RequestError):
                read(root, root)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    @pytest.mark.parametrize(
        ("start", "length", "words"),
        [
            (1000, None, "has 1000 samples; start 1000 is not inside"),
            (2**60, 1, "is not inside"),
            (990, 11, "has 10 samples from 990 on; length 11 is too long"),
        ],
    )
    def test_must_be_inside_the_file(self, root, start, length, words):
        write(root / "a.wav")
        with pytest.raises(RequestError, match=words):
            read(root / "a.wav", root, start, length)


class TestThePath:
    def test_may_lead_through_links_that_stay_inside(self, root):
        write(root / "a.wav")
        (root / "link.wav").symlink_to("a.wav")
        assert read(root / "link.wav", root).samples.shape == (2, 1000)

    def test_may_lead_through_a_root_that_is_a_link(self, root, tmp_path):
        write(root / "a.wav")
        (tmp_path / "linked").symlink_to(root)
        assert read(tmp_path / "linked" / "a.wav", tmp_path / "linked").samples.shape == (2, 1000)
        assert read(root / "a.wav", tmp_path / "linked").samples.shape == (2, 1000)

    def test_may_go_up_and_down_again_inside(self, root):
        (root / "sub").mkdir()
        write(root / "a.wav")
        assert read(f"{root}/sub/../a.wav", root).samples.shape == (2, 1000)

    def test_outside_is_refused_without_a_look(self, root, tmp_path):
        write(tmp_path / "a.wav")
        for name in (tmp_path / "a.wav", tmp_path / "not-there.wav", f"{root}/../a.wav", f"{root}-b/a.wav"):
            with pytest.raises(RequestError, match=r"lies outside: only what lies in .* \(reading.roots\)"):
                read(name, root)

    def test_out_through_a_link_is_refused(self, root, tmp_path):
        write(tmp_path / "a.wav")
        (root / "file.wav").symlink_to(tmp_path / "a.wav")
        (root / "up").symlink_to(tmp_path)
        for name in (root / "file.wav", root / "up" / "a.wav"):
            with pytest.raises(RequestError, match="outside through a link"):
                read(name, root)

    def test_up_behind_a_link_is_resolved_as_the_system_does(self, root, tmp_path):
        # Read as text, link/../secret.wav stays inside; followed, it is the neighbour of what the link points to.
        (tmp_path / "other" / "deep").mkdir(parents=True)
        write(tmp_path / "other" / "secret.wav")
        (root / "link").symlink_to(tmp_path / "other" / "deep")
        with pytest.raises(RequestError, match="outside through a link"):
            read(f"{root}/link/../secret.wav", root)

    def test_that_is_nothing_says_so(self, root):
        (root / "loop.wav").symlink_to("loop.wav")
        for name in ("none.wav", "loop.wav", "none/a.wav"):
            with pytest.raises(RequestError, match="cannot be opened"):
                read(root / name, root)

    @pytest.mark.parametrize("path", ["a.wav", "~/a.wav", "./a.wav", "\0", "/\0/a.wav"])
    def test_must_be_whole(self, root, path):
        with pytest.raises(RequestError):
            read(path, root)

    def test_with_a_hole_in_it_is_refused(self, root):
        for name in ("a\0.wav", "x" * 3000):
            with pytest.raises(RequestError):
                read(f"{root}/{name}", root)

    def test_without_roots_names_the_setting(self, root):
        write(root / "a.wav")
        with pytest.raises(RequestError, match=r"no folder may be read from.*reading\.roots"):
            read_excerpt(AudioExcerpt(path=str(root / "a.wav")), ())

    def test_of_a_folder_is_refused(self, root):
        (root / "sub").mkdir()
        for name in (root, root / "sub"):
            with pytest.raises(RequestError, match="is a folder"):
                read(name, root)

    def test_of_a_pipe_is_refused_at_once(self, root):
        os.mkfifo(root / "pipe.wav")
        with pytest.raises(RequestError, match="no ordinary file"):
            read(root / "pipe.wav", root)

    def test_of_a_socket_is_refused(self, root, monkeypatch):
        monkeypatch.chdir(root)  # a socket's path has to be short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("s.wav")
            with pytest.raises(RequestError, match="no ordinary file"):
                read(root / "s.wav", root)

    def test_of_a_device_is_refused(self):
        for name in ("/dev/zero", "/dev/stdin"):
            with pytest.raises(RequestError):
                read(name, Path("/dev"))

    def test_that_changes_between_look_and_opening_is_refused(self, root, tmp_path, monkeypatch):
        (root / "sub").mkdir()
        write(root / "sub" / "a.wav")
        (tmp_path / "outside").mkdir()
        write(tmp_path / "outside" / "a.wav")
        really_open = os.open

        def swap_and_open(path, *rest, **options):
            if str(path).endswith("a.wav"):
                (root / "sub").rename(root / "gone")
                (root / "sub").symlink_to(tmp_path / "outside")
            return really_open(path, *rest, **options)

        monkeypatch.setattr(os, "open", swap_and_open)
        with pytest.raises(RequestError, match="was moved while it was opened"):
            read(root / "sub" / "a.wav", root)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_that_must_not_be_read_says_so(self, root):
        write(root / "a.wav")
        (root / "a.wav").chmod(0)
        with pytest.raises(RequestError, match="Permission denied"):
            read(root / "a.wav", root)


def wave_header(*, channels=1, rate_hz=RATE_HZ, bytes_claimed=2**31, data=b""):
    block = 2 * channels
    head = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * block & 0xFFFFFFFF, block & 0xFFFF, 16
    )
    return (
        b"RIFF"
        + struct.pack("<I", 0xFFFFFFFF)
        + b"WAVE"
        + head
        + b"data"
        + struct.pack("<I", bytes_claimed)
        + data
    )


class TestTheFile:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"RIFF",
            b"\0" * 1000,
            b"RIFF\xff\xff\xff\xffWAVEfmt ",
            os.urandom(5000),
            b"#!/bin/sh\n",
            b"OggS" + b"\xff" * 100,
        ],
    )
    def test_that_is_no_audio_is_refused(self, root, content):
        (root / "a.wav").write_bytes(content)
        with pytest.raises((RequestError, AudioError)):
            read(root / "a.wav", root)

    def test_that_claims_more_than_it_has_takes_no_memory_for_it(self, root):
        import tracemalloc

        (root / "a.wav").write_bytes(wave_header(data=b"\1\0" * 500))
        tracemalloc.start()
        try:
            audio = read(root / "a.wav", root)
            assert tracemalloc.get_traced_memory()[1] < 2**21
        finally:
            tracemalloc.stop()
        assert audio.samples.shape == (1, 500)

    def test_that_is_cut_off_before_the_asked_end_says_so(self, root):
        written = write(root / "a.wav", frames=5000, channels=1, subtype="PCM_16", format="FLAC")
        content = (root / "a.wav").read_bytes()
        assert written.shape == (1, 5000)
        (root / "a.wav").write_bytes(content[: len(content) // 2])
        with pytest.raises((AudioError, RequestError), match=r"cut off|cannot be read"):
            read(root / "a.wav", root, 0, 5000)

    def test_that_is_too_long_asks_for_a_length(self, root):
        write(root / "a.wav", frames=1000, channels=2)
        with pytest.raises(RequestError, match="give a length of at most 500 samples"):
            read(root / "a.wav", root, max_values=1001)
        assert read(root / "a.wav", root, 3, 500, max_values=1001).samples.shape == (2, 500)

    def test_with_absurd_numbers_is_refused(self, root):
        for numbers in ({"channels": 1000}, {"rate_hz": 3}, {"rate_hz": 4_000_000_000}):
            (root / "a.wav").write_bytes(wave_header(data=b"\0" * 4000, **numbers))
            with pytest.raises(RequestError):
                read(root / "a.wav", root)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_with_values_that_are_no_numbers_is_refused(self, root, value):
        samples = np.zeros(100, np.float32)
        samples[7] = value
        soundfile.write(root / "a.wav", samples, RATE_HZ, subtype="FLOAT")
        with pytest.raises(AudioError, match="NaN or infinite"):
            read(root / "a.wav", root)


class TestConversion:
    @pytest.mark.parametrize(("have", "want"), [(1, 1), (2, 2), (2, 1), (5, 1), (1, 2), (5, 2)])
    def test_channels_become_what_audiocraft_makes_of_them(self, audiocraft, have, want):
        import torch

        samples = np.random.default_rng(0).standard_normal((have, 300)).astype(np.float32)
        expected = audiocraft.data.audio_utils.convert_audio_channels(torch.from_numpy(samples), want).numpy()
        got = convert(Audio(samples, 32_000), to_hz=32_000, channels=want)
        assert np.abs(got - expected).max() < 1e-6
        assert got.flags.c_contiguous

    def test_too_few_channels_are_refused(self):
        with pytest.raises(AudioError, match="2 channels where the model needs 1 or 3"):
            convert(Audio(np.zeros((2, 9), np.float32), 32_000), to_hz=32_000, channels=3)

    @given(
        rate_hz=st.sampled_from([8000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000, 11_127]),
        length=st.integers(1, 5000),
    )
    def test_length_is_the_time_rounded_down(self, rate_hz, length):
        made = convert(Audio(np.zeros((2, length), np.float32), rate_hz), to_hz=32_000, channels=1)
        assert made.shape == (1, length * 32_000 // rate_hz)

    @pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000, 96_000])
    def test_sounds_like_audiocrafts_up_to_where_filters_fall_off(self, audiocraft, rate_hz):
        import torch

        rng = np.random.default_rng(rate_hz)
        time_s = np.arange(rate_hz * 2) / rate_hz
        top_hz = 0.85 * min(rate_hz, 32_000) / 2
        tones = (
            sum(np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6)) for hz in rng.uniform(50, top_hz, 20))
            / 20
        )
        samples = tones.astype(np.float32)[None]
        expected = audiocraft.data.audio_utils.convert_audio(
            torch.from_numpy(samples), rate_hz, 32_000, 1
        ).numpy()
        got = convert(Audio(samples, rate_hz), to_hz=32_000, channels=1)
        assert got.shape == expected.shape
        middle = slice(2000, -2000)
        assert np.abs(got - expected)[:, middle].max() < 1e-3


class TestChannelsOneByOne:
    """A DAW's recording: one mono file a channel, or channels picked out of several files."""

    def excerpt(self, *sources, start=0, length=None):
        (path, channel), *more = sources
        return AudioExcerpt(
            path=str(path),
            start=start,
            length=length,
            channel=channel,
            more=[{"path": str(other), "channel": number} for other, number in more],
        )

    def mono(self, path, seed, frames=1000, rate_hz=RATE_HZ):
        samples = np.random.default_rng(seed).normal(0, 0.1, frames).astype(np.float32)
        soundfile.write(path, samples, rate_hz, subtype="FLOAT")
        return samples

    def test_mono_files_become_the_channels_in_order(self, root):
        left, right = self.mono(root / "x%L.wav", 1), self.mono(root / "x%R.wav", 2)
        wanted = self.excerpt((root / "x%L.wav", 0), (root / "x%R.wav", 0), start=100, length=300)
        audio = read_excerpt(wanted, (root,))
        assert np.array_equal(audio.samples, np.stack([left, right])[:, 100:400])
        assert audio.sample_rate_hz == RATE_HZ
        swapped = self.excerpt((root / "x%R.wav", 0), (root / "x%L.wav", 0))
        assert np.array_equal(read_excerpt(swapped, (root,)).samples, np.stack([right, left]))

    def test_single_channels_of_many(self, root):
        written = write(root / "a.wav", frames=100_000, channels=5)
        one = read_excerpt(self.excerpt((root / "a.wav", 3), start=7, length=90_000), (root,))
        assert np.array_equal(one.samples, written[3:4, 7:90_007])
        several = read_excerpt(self.excerpt((root / "a.wav", 4), (root / "a.wav", 0)), (root,))
        assert np.array_equal(several.samples, written[[4, 0]])

    def test_the_first_file_gives_its_first_channel_where_none_is_named(self, root):
        left, right = self.mono(root / "x%L.wav", 1), self.mono(root / "x%R.wav", 2)
        named = AudioExcerpt(path=str(root / "x%L.wav"), more=[{"path": str(root / "x%R.wav")}])
        assert np.array_equal(read_excerpt(named, (root,)).samples, np.stack([left, right]))

    def test_that_a_file_does_not_have_are_refused(self, root):
        self.mono(root / "a.wav", 1)
        with pytest.raises(RequestError, match=r"has 1 channel\(s\), so no channel 1; they count from 0"):
            read_excerpt(self.excerpt((root / "a.wav", 1)), (root,))

    def test_at_two_rates_are_refused(self, root):
        self.mono(root / "a.wav", 1)
        self.mono(root / "b.wav", 2, rate_hz=48_000)
        with pytest.raises(
            RequestError, match=r"has 44100 Hz and .*b\.wav' 48000 Hz; the channels of one excerpt"
        ):
            read_excerpt(self.excerpt((root / "a.wav", 0), (root / "b.wav", 0)), (root,))

    def test_of_two_lengths_need_a_length(self, root):
        self.mono(root / "a.wav", 1)
        self.mono(root / "b.wav", 2, frames=900)
        both = ((root / "a.wav", 0), (root / "b.wav", 0))
        with pytest.raises(
            RequestError, match=r"has 1000 samples from 0 on and .*b\.wav' 900; give the length"
        ):
            read_excerpt(self.excerpt(*both), (root,))
        assert read_excerpt(self.excerpt(*both, length=900), (root,)).samples.shape == (2, 900)
        with pytest.raises(RequestError, match="length 901 is too long"):
            read_excerpt(self.excerpt(*both, length=901), (root,))

    def test_outside_the_roots_are_refused_wherever_in_the_list_they_stand(self, root, tmp_path):
        self.mono(root / "a.wav", 1)
        self.mono(tmp_path / "b.wav", 2)
        with pytest.raises(RequestError, match=r"b\.wav' lies outside"):
            read_excerpt(self.excerpt((root / "a.wav", 0), (tmp_path / "b.wav", 0)), (root,))

    def test_together_may_not_be_too_many(self, root):
        self.mono(root / "a.wav", 1)
        with pytest.raises(RequestError, match="give a length of at most 500 samples"):
            read_excerpt(self.excerpt((root / "a.wav", 0), (root / "a.wav", 0)), (root,), max_values=1000)
