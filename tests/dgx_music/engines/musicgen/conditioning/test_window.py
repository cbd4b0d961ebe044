"""Windows over long takes: every frame once, and the same windows as audiocraft's own loop."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgx_music.engines.musicgen.conditioning.window import Window, plan, wrap


@st.composite
def takes(draw):
    window = draw(st.integers(2, 60))
    stride = draw(st.integers(1, window - 1))
    total = draw(st.integers(1, 400))
    prompt = draw(st.integers(0, min(total, window) - 1))
    return total, window, stride, prompt


@given(takes())
def test_every_frame_is_decoded_once_and_in_order(take):
    total, window, stride, prompt = take
    windows = plan(total, window=window, stride=stride, prompt=prompt)
    assert [frame for each in windows for frame in each.new] == list(range(prompt, total))


@given(takes())
def test_a_window_knows_only_what_was_decoded_before_it(take):
    total, window, stride, prompt = take
    have = prompt
    for each in plan(total, window=window, stride=stride, prompt=prompt):
        assert each.start + each.known == have
        assert each.new
        assert each.frames <= window
        have = each.stop
    assert have == total


@given(takes())
def test_each_window_but_the_last_is_full(take):
    total, window, stride, prompt = take
    windows = plan(total, window=window, stride=stride, prompt=prompt)
    assert all(each.frames == window for each in windows[:-1])
    assert [each.start for each in windows] == [number * stride for number in range(len(windows))]


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (400, [Window(0, 400, 0)]),
        (1500, [Window(0, 1500, 0)]),
        (1501, [Window(0, 1500, 0), Window(900, 601, 600)]),
        (6000, [Window(0, 1500, 0), *(Window(start, 1500, 600) for start in range(900, 5400, 900))]),
    ],
)
def test_musicgens_own_numbers(total, expected):
    assert plan(total, window=1500, stride=900) == tuple(expected)


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ({"total": 100, "window": 50, "stride": 50}, "stride of 50"),
        ({"total": 100, "window": 50, "stride": 0}, "stride of 0"),
        ({"total": 100, "window": 50, "stride": 30, "prompt": 50}, "prompt of 50"),
        ({"total": 20, "window": 50, "stride": 30, "prompt": 20}, "prompt of 20"),
        ({"total": 0, "window": 50, "stride": 30}, "nothing to decode"),
    ],
)
def test_a_window_without_anything_to_decode_is_refused(numbers, word):
    with pytest.raises(ValueError, match=word):
        plan(**numbers)


@given(start=st.integers(0, 10**6), length=st.integers(1, 300), have=st.integers(1, 200))
def test_a_wrapped_melody_goes_on_where_the_window_begins(start, length, have):
    wave = np.arange(have, dtype=np.float32)
    assert np.array_equal(wrap(wave, start, length), np.arange(start, start + length) % have)
    assert np.array_equal(
        wrap(np.stack([wave, -wave]), start, length)[1], -(np.arange(start, start + length) % have)
    )


def loop_of_audiocraft(audiocraft, total_s, stride_s, prompt, melody):
    """Run audiocraft's own loop over a language model that only writes down what it is asked."""
    import torch

    calls = []

    def generate(prompt_tokens, attributes, *, callback, max_gen_len):
        known = 0 if prompt_tokens is None else prompt_tokens.shape[-1]
        made = torch.full((1, 1, max_gen_len), -1)
        made[..., :known] = prompt_tokens if known else made[..., :0]
        first = int(made[0, 0, known - 1]) + 1 if known else 0
        made[..., known:] = torch.arange(first, first + max_gen_len - known)
        calls.append((first - known, max_gen_len, known, attributes[0].wav["self_wav"].wav.numpy()))
        return made

    model = object.__new__(audiocraft.models.musicgen.MusicGen)
    model.compression_model = SimpleNamespace(frame_rate=50, sample_rate=3200, channels=1)
    model.lm = SimpleNamespace(generate=generate)
    model.max_duration, model.duration, model.extend_stride = 30.0, total_s, stride_s
    model.device, model.autocast = "cpu", contextlib.nullcontext()
    model.generation_params, model._progress_callback = {}, None
    heard = audiocraft.modules.conditioners.WavCondition(
        torch.from_numpy(melody)[None, None], torch.tensor([len(melody)]), [3200], [None]
    )
    attributes = [SimpleNamespace(wav={"self_wav": heard})]
    given = torch.arange(prompt)[None, None] if prompt else None
    tokens = model._generate_tokens(attributes, given)
    return calls, tokens[0, 0].tolist()


CASES = [
    (total_s, stride_s, prompt_s)
    for total_s in (1, 12, 30, 30.5, 47.5, 48, 48.5, 61, 120, 600)
    for stride_s, prompt_s in ((18, 0), (18, 0.5), (18, 11), (29.5, 20), (0.5, 0))
    if prompt_s < total_s and (stride_s >= 1 or total_s <= 48)
]


@pytest.mark.parametrize(("total_s", "stride_s", "prompt_s"), CASES)
def test_the_windows_are_those_of_audiocraft(audiocraft, total_s, stride_s, prompt_s):
    melody = np.random.default_rng(0).standard_normal(3200 * 7 + 123).astype(np.float32)
    prompt = int(prompt_s * 50)
    calls, tokens = loop_of_audiocraft(audiocraft, total_s, stride_s, prompt, melody)
    windows = plan(int(total_s * 50), window=1500, stride=int(stride_s * 50), prompt=prompt)
    assert [(each.start, each.frames, each.known) for each in windows] == [call[:3] for call in calls]
    assert tokens == list(range(int(total_s * 50)))
    if len(windows) > 1:
        for each, (*_, heard) in zip(windows, calls, strict=True):
            assert np.array_equal(heard[0, 0], wrap(melody, each.start * 64, 96_000))
