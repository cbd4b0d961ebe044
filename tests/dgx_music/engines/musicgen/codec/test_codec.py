from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgx_music.engines.audiocraft.stand_ins import stand_ins
from dgx_music.engines.musicgen.codec import onnx_codec, torch_codec
from dgx_music.errors import EngineError
from support.codecs import (
    FULL,
    TINY,
    VARIANTS,
    audiocraft_codec,
    codec_weights,
    random_codes,
    transformers_codec,
)

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A maker of codecs: back end, architecture, weights; the same are made once."""
    cache_dir = tmp_path_factory.mktemp("cache")
    made = {}

    def codec(backend, arch, lstm_scale=1.0):
        key = (backend, arch, lstm_scale)
        if key not in made:
            weights = codec_weights(arch, lstm_scale=lstm_scale)
            if backend == "torch":
                made[key] = torch_codec(arch, weights, device="cpu")
            else:
                sha256 = hashlib.sha256(repr(key).encode()).hexdigest()
                made[key] = onnx_codec(arch, weights, weights_sha256=sha256, cache_dir=cache_dir, threads=1)
        return made[key]

    return codec


@pytest.fixture(scope="module")
def audiocraft():
    with stand_ins():
        pytest.importorskip("audiocraft")
        yield audiocraft_codec


def noise(arch, samples, seed=1):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (arch.channels, samples)).astype(np.float32)


backends = pytest.mark.parametrize("backend", ["onnx", "torch"])
variants = pytest.mark.parametrize("arch", VARIANTS.values(), ids=VARIANTS.keys())


@backends
@variants
@pytest.mark.parametrize("frames", [1, 3, 61])
def test_a_whole_piece_decodes_as_in_audiocraft(make, audiocraft, backend, arch, frames):
    codes = random_codes(arch, frames)
    with torch.inference_mode():
        theirs = audiocraft(arch, codec_weights(arch)).decode(torch.from_numpy(codes)[None])[0].numpy()
    ours = make(backend, arch).decode(codes)

    assert ours.shape == (arch.channels, frames * arch.hop_samples)
    assert 0.02 < np.abs(ours).mean() < 1.0
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


@backends
@pytest.mark.parametrize("name", ["tiny", "reflect", "causal", "odd", "odd_reflect"])
def test_a_whole_piece_decodes_as_in_transformers(make, backend, name):
    pytest.importorskip("transformers")
    arch = VARIANTS[name]
    codes = random_codes(arch, 40)
    with torch.inference_mode():
        theirs = transformers_codec(arch, codec_weights(arch)).decode(
            torch.from_numpy(codes)[None, None], [None]
        )

    np.testing.assert_allclose(make(backend, arch).decode(codes), theirs[0][0].numpy(), atol=1e-5, rtol=0)


@backends
@variants
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 9), max_size=8))
def test_pieces_of_any_size_join_to_the_whole(make, backend, arch, sizes):
    codec = make(backend, arch, lstm_scale=3.0)  # the stronger it remembers, the more a lost state would show
    codes = random_codes(arch, sum(sizes), seed=len(sizes))
    decoder, whole = codec.decoder(), codec.decoder()
    pieces, start = [], 0
    for size in sizes:
        pieces.append(decoder.push(codes[:, start : start + size]))
        start += size
        due = max(0, start - decoder.lag_frames) * arch.hop_samples
        assert sum(piece.shape[1] for piece in pieces) == due, "audio is given as soon as it is final"
    pieces.append(decoder.finish())
    expected = np.concatenate([whole.push(codes), whole.finish()], axis=1)

    assert expected.shape == (arch.channels, start * arch.hop_samples)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, atol=1e-6, rtol=0)


@backends
def test_takes_decoded_in_turns_do_not_hear_each_other(make, backend):
    codec = make(backend, TINY)
    takes = [random_codes(TINY, 30, seed) for seed in range(3)]
    decoders = [codec.decoder() for _ in takes]
    made = [[] for _ in takes]
    for start in range(0, 30, 6):
        for codes, decoder, audio in zip(takes, decoders, made, strict=True):
            audio.append(decoder.push(codes[:, start : start + 6]))
    for codes, decoder, audio in zip(takes, decoders, made, strict=True):
        alone = codec.decode(codes)
        np.testing.assert_allclose(
            np.concatenate([*audio, decoder.finish()], axis=1), alone, atol=1e-6, rtol=0
        )


def test_the_published_architecture_lags_by_three_frames_and_one(make):
    from dgx_music.engines.musicgen.codec.seanet import decoder

    assert decoder(FULL).front_margin == (3, 3)
    assert decoder(FULL).back_margin == (1, 1)


@backends
@variants
@pytest.mark.parametrize("beyond", [-1, 0, 3])
@pytest.mark.parametrize("frames", [1, 120])
def test_audio_encodes_to_the_codes_of_audiocraft(make, audiocraft, backend, arch, beyond, frames):
    audio = noise(arch, frames * arch.hop_samples + beyond)
    with torch.inference_mode():
        theirs, scale = audiocraft(arch, codec_weights(arch)).encode(torch.from_numpy(audio)[None])
    assert scale is None

    np.testing.assert_array_equal(make(backend, arch).encode(audio), theirs[0].numpy())


def test_left_is_in_the_even_codebooks(make):
    arch = VARIANTS["stereo"]
    mono = make("onnx", replace(arch, channels=1))
    codes = random_codes(arch, 20)

    audio = make("onnx", arch).decode(codes)
    np.testing.assert_allclose(audio[:1], mono.decode(codes[0::2]), atol=1e-6)
    np.testing.assert_allclose(audio[1:], mono.decode(codes[1::2]), atol=1e-6)


@backends
def test_codes_that_are_not_the_codecs_are_refused(make, backend):
    decoder = make(backend, TINY).decoder()
    with pytest.raises(EngineError, match="0 to 15"):
        decoder.push(np.full((4, 3), TINY.bins))
    with pytest.raises(EngineError, match=r"\(4, frames\)"):
        decoder.push(np.zeros((8, 3), np.int64))
    decoder.finish()
    with pytest.raises(EngineError, match="finished"):
        decoder.push(np.zeros((4, 1), np.int64))


@pytest.mark.parametrize("shape", [(2, 100), (1, 0), (100,)])
def test_audio_that_is_not_the_codecs_is_refused(make, shape):
    with pytest.raises(EngineError, match=r"\(1, samples\)"):
        make("onnx", TINY).encode(np.zeros(shape, np.float32))


def test_half_precision_weights_are_taken(make):
    weights = {name: values.astype(np.float16) for name, values in codec_weights(TINY).items()}
    codes = random_codes(TINY, 9)
    np.testing.assert_allclose(
        torch_codec(TINY, weights, device="cpu").decode(codes),
        make("torch", TINY).decode(codes),
        atol=0.01,
    )


@backends
@pytest.mark.parametrize("name", ["tiny", "stereo", "no_lstm"])
def test_takes_in_threads_of_their_own_sound_as_they_do_alone(make, backend, name):
    arch = VARIANTS[name]
    codec = make(backend, arch)
    takes = [random_codes(arch, 40, seed) for seed in range(6)]
    together = threading.Barrier(len(takes))

    def decode(index):
        decoder = codec.decoder()
        made = []
        step = 8 if index < 4 else 10  # most are in step, some not
        for start in range(0, 40, step):
            together.wait()
            made.append(decoder.push(takes[index][:, start : start + step]))
        if step == 10:
            together.wait()  # the others come five times
        return np.concatenate([*made, decoder.finish()], axis=1)

    with ThreadPoolExecutor(len(takes)) as pool:
        made = list(pool.map(decode, range(len(takes))))
    for codes, audio in zip(takes, made, strict=True):
        np.testing.assert_allclose(audio, codec.decode(codes), atol=1e-6, rtol=0)


def test_onnx_runtime_needs_no_torch_and_once_prepared_no_onnx(tmp_path):
    weights = codec_weights(TINY)
    onnx_codec(TINY, weights, weights_sha256="ab" * 32, cache_dir=tmp_path, threads=1)
    np.savez(tmp_path / "books.npz", **{name: weights[name] for name in weights if "codebooks" in name})
    program = f"""
import sys
from pathlib import Path
import numpy as np
from dgx_music.engines.musicgen.architecture import CodecArchitecture
from dgx_music.engines.musicgen.codec import onnx_codec
weights = np.load({str(tmp_path / "books.npz")!r})
codec = onnx_codec({TINY!r}, weights, weights_sha256={"ab" * 32!r}, cache_dir=Path({str(tmp_path)!r}), threads=1)
assert codec.decode(np.zeros((4, 9), np.int64)).any()
print([name for name in ("torch", "onnx", "transformers", "scipy") if name in sys.modules])
"""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environ
    )
    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.fullsize
@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@backends
def test_the_published_size_decodes_and_encodes_as_in_transformers(tmp_path, backend, pad_mode):
    pytest.importorskip("transformers")
    arch = replace(FULL, pad_mode=pad_mode)
    weights = codec_weights(arch)
    codec = (
        torch_codec(arch, weights, device="cpu")
        if backend == "torch"
        else onnx_codec(arch, weights, weights_sha256="0" * 64, cache_dir=tmp_path, threads=2)
    )
    reference = transformers_codec(arch, weights)
    codes, audio = random_codes(arch, 130), noise(arch, 100_000)
    with torch.inference_mode():
        decoded = reference.decode(torch.from_numpy(codes)[None, None], [None])[0][0].numpy()
        encoded = reference.encode(torch.from_numpy(audio)[None])[0][0, 0].numpy()
    decoder = codec.decoder()
    pieces = [decoder.push(codes[:, :7]), decoder.push(codes[:, 7:60]), decoder.push(codes[:, 60:])]
    made = np.concatenate([*pieces, decoder.finish()], axis=1)

    assert 0.02 < np.abs(decoded).mean() < 1.0
    print("largest difference", np.abs(made - decoded).max())
    np.testing.assert_allclose(made, decoded, atol=1e-5, rtol=0)
    # Of 628 codes, one or two may be as near to one entry as to another but for rounding.
    agreeing = (codec.encode(audio) == encoded).mean(axis=1)
    print("codes that agree, by codebook", agreeing)
    assert agreeing.min() > 0.98
