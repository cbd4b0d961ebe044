"""MERT's published weights are read as what they are, and the code beside them is never run."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from dgx_music.engines.musicgen.conditioning import mert
from dgx_music.errors import EngineError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

CONFIG = {
    "model_type": "mert_model",
    "architectures": ["MERTModel"],
    "auto_map": {"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"},
    "feature_extractor_cqt": False,
    "deepnorm": False,
    "attention_relax": -1.0,
    "feat_proj_layer_norm": True,
    "do_stable_layer_norm": False,
    "feat_extract_norm": "group",
    "conv_bias": False,
    "conv_dim": [16] * 7,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "sample_rate": 24_000,
    "transformers_version": "4.24.0",
}


@pytest.fixture
def folder(tmp_path):
    """Write a small MERT as it is published: weights in a pickle, weight norm by its old names, code beside it."""
    torch.manual_seed(0)
    with warnings.catch_warnings(action="ignore"):
        model = transformers.HubertModel(transformers.HubertConfig.from_dict(CONFIG)).eval()
    weights = model.state_dict()
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        at = "encoder.pos_conv_embed.conv."
        weights[at + old] = weights.pop(f"{at}parametrizations.weight.{new}")
    torch.save(weights, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    for name in ("configuration_MERT.py", "modeling_MERT.py"):
        (tmp_path / name).write_text("raise SystemExit('the code was run')")
    return tmp_path, model


def wave(seconds=3.0):
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(int(seconds * mert.SAMPLE_RATE_HZ))).astype(np.float32)


def test_features_are_huberts(folder):
    path, model = folder
    with torch.no_grad():
        expected = model(torch.from_numpy(wave())[None]).last_hidden_state[0].numpy()
    got = mert.load(path).features(wave())
    assert got.shape == (224, 48)
    assert np.abs(got - expected).max() < 1e-6


def test_safetensors_are_read_first(folder):
    path, model = folder
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(dict(model.state_dict()), path / "model.safetensors")
    (path / "pytorch_model.bin").write_bytes(b"no weights")
    assert mert.load(path).features(wave(0.5)).shape[1] == 48


@pytest.mark.parametrize(
    "setting", [{"feature_extractor_cqt": True}, {"deepnorm": True}, {"attention_relax": 32.0}]
)
def test_another_mert_is_refused(folder, setting):
    path, _ = folder
    (path / "config.json").write_text(json.dumps(CONFIG | setting))
    with pytest.raises(EngineError, match=next(iter(setting))):
        mert.load(path)


def test_a_pickle_that_is_more_than_weights_is_refused(folder, tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path, _ = folder
    (path / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(EngineError, match="not those of m-a-p/MERT-v1-95M"):
        mert.load(path)
    assert not (tmp_path / "sprung").exists()


def test_what_is_missing_is_said(folder, tmp_path):
    path, _ = folder
    with pytest.raises(EngineError, match=r"no MERT in .*download m-a-p/MERT-v1-95M"):
        mert.load(tmp_path / "elsewhere")
    (path / "pytorch_model.bin").unlink()
    with pytest.raises(EngineError, match="not those of"):
        mert.load(path)
