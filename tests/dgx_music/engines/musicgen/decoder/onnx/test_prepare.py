import errno

import numpy as np
import pytest

from support.language_models import MONO, random_lm

pytest.importorskip("onnx")

from dgx_music.engines.musicgen.decoder.onnx import prepare as module
from dgx_music.engines.musicgen.decoder.onnx.prepare import prepare
from dgx_music.errors import EngineError

SHA = "ab" * 32


class Unread(dict):
    def __missing__(self, name):
        raise AssertionError(f"{name} was read")


def test_it_is_made_once_and_then_found_without_the_weights(tmp_path):
    shares = []
    folder = prepare(random_lm(MONO), MONO, weights_sha256=SHA, cache_dir=tmp_path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert prepare(Unread(), MONO, weights_sha256=SHA, cache_dir=tmp_path) == folder


def test_precisions_and_checkpoints_have_folders_of_their_own(tmp_path):
    folders = {
        prepare(random_lm(MONO), MONO, weights_sha256=name, cache_dir=tmp_path, precision=precision)
        for name in (SHA, "cd" * 32)
        for precision in ("int8", "fp32")
    }
    assert len(folders) == 4


def test_the_same_weights_give_the_same_bytes(tmp_path):
    one, two = (
        prepare(random_lm(MONO), MONO, weights_sha256=SHA, cache_dir=tmp_path / name) for name in "ab"
    )
    for file in ("graph.onnx", "weights.bin", "embeddings.npy", "cross.npy"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_embeddings_are_what_the_checkpoint_holds_in_the_order_of_its_codebooks(tmp_path):
    weights = {name: array.astype(np.float16) for name, array in random_lm(MONO).items()}
    folder = prepare(weights, MONO, weights_sha256=SHA, cache_dir=tmp_path)
    found = np.load(folder / "embeddings.npy", mmap_mode="r")
    for book in range(MONO.codebooks):
        np.testing.assert_array_equal(found[book], weights[f"emb.{book}.weight"])


def test_a_weight_that_is_missing_leaves_nothing_behind(tmp_path):
    weights = random_lm(MONO)
    del weights["layers.2.linear2.weight"]
    with pytest.raises(KeyError):
        prepare(weights, MONO, weights_sha256=SHA, cache_dir=tmp_path)
    assert [file for file in tmp_path.iterdir() if file.is_dir()] == []


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write_tables", full)
    with pytest.raises(EngineError, match="room"):
        prepare(random_lm(MONO), MONO, weights_sha256=SHA, cache_dir=tmp_path)
    assert [file for file in tmp_path.iterdir() if file.is_dir()] == []
