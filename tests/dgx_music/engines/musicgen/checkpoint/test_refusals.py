"""Every way in which a model's files can be wrong is refused with the reason, and never gives a checkpoint."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
safetensors_numpy = pytest.importorskip("safetensors.numpy")
yaml = pytest.importorskip("yaml")
pytest.importorskip("sentencepiece")

from dgx_music.engines.musicgen.checkpoint import Missing, ModelError, load_checkpoint, locate  # noqa: E402
from dgx_music.engines.musicgen.settings import MusicGenSettings  # noqa: E402
from dgx_music.errors import EngineError  # noqa: E402

SETTINGS = MusicGenSettings()


def refusal(folder, settings=SETTINGS):
    """Return what is said of a folder that must be refused, by whoever notices first."""
    found = locate(str(folder), settings, {})
    if isinstance(found, Missing):
        return found.reason
    with pytest.raises(ModelError) as caught:
        load_checkpoint(found, settings)
    return str(caught.value)


@pytest.fixture
def hub(built, tmp_path):
    return shutil.copytree(built("tiny", format="hub"), tmp_path / "hub")


@pytest.fixture
def audiocraft(built, tmp_path):
    return shutil.copytree(built("tiny", format="audiocraft"), tmp_path / "audiocraft", symlinks=True)


def change_config(folder, **changes):
    path = folder / "config.json"
    data = json.loads(path.read_text())
    for dotted, value in changes.items():
        node = data
        *parents, last = dotted.split("__")
        for parent in parents:
            node = node[parent]
        if value is None:
            del node[last]
        else:
            node[last] = value
    path.write_text(json.dumps(data))


def change_package(folder, change, name="state_dict.bin"):
    """Change the settings and weights of one of audiocraft's files."""
    package = torch.load(folder / name, weights_only=True)
    cfg = yaml.safe_load(package["xp.cfg"])
    change(cfg, package["best_state"])
    package["xp.cfg"] = yaml.safe_dump(cfg)
    torch.save(package, folder / name)


def change_weights(folder, change):
    tensors = safetensors_numpy.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors_numpy.save_file(tensors, folder / "model.safetensors")


def test_the_error_is_an_engines_and_has_its_own_code():
    assert issubclass(ModelError, EngineError)
    assert ModelError.code == "model"


# --- folders


def test_a_path_that_is_not_there_names_the_published_models(tmp_path):
    said = refusal(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in said
    assert "musicgen-small" in said


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    said = refusal(tmp_path)
    assert all(
        name in said
        for name in ["config.json", "model.safetensors", "state_dict.bin", "compression_state_dict.bin"]
    )


def test_a_file_instead_of_a_folder(hub):
    assert "give the folder" in refusal(hub / "model.safetensors")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_hub_folder_is_incomplete(hub, name):
    (hub / name).unlink()
    assert "model.safetensors" in refusal(hub)


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
def test_half_an_audiocraft_folder_is_incomplete(audiocraft, name):
    (audiocraft / name).unlink()
    said = refusal(audiocraft)
    assert "incomplete" in said
    assert name in said


def test_weights_as_pickle_in_the_hubs_format_are_not_read(hub):
    (hub / "model.safetensors").rename(hub / "pytorch_model.bin")
    assert "pytorch_model.bin is not read" in refusal(hub)


def test_a_missing_shard_is_named(built, tmp_path):
    folder = shutil.copytree(built("tiny", format="hub", shards=3), tmp_path / "shards")
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_an_index_that_is_none(built, tmp_path, text):
    folder = shutil.copytree(built("tiny", format="hub", shards=3), tmp_path / "shards")
    (folder / "model.safetensors.index.json").write_text(text)
    assert refusal(folder)


def test_an_index_that_leads_out_of_the_folder(built, tmp_path):
    folder = shutil.copytree(built("tiny", format="hub", shards=3), tmp_path / "shards")
    index = json.dumps({"weight_map": {"a": "../../etc/passwd"}})
    (folder / "model.safetensors.index.json").write_text(index)
    assert "outside" in refusal(folder)


def test_a_missing_tokenizer_is_named(hub):
    for name in ["tokenizer.json", "spiece.model"]:
        (hub / name).unlink()
    assert "tokenizer" in refusal(hub) or "t5-small" in refusal(hub)


def test_a_missing_text_encoder_says_where_it_can_be_had(audiocraft):
    shutil.rmtree(audiocraft / "t5-small")
    said = refusal(audiocraft)
    assert "google-t5/t5-small" in said
    assert str(audiocraft / "t5-small") in said


def test_a_missing_codec_of_a_repository_of_its_own_is_named(built, tmp_path):
    folder = tmp_path / "stereo"
    shutil.copytree(built("tiny_stereo", format="audiocraft", codec="pretrained"), folder, symlinks=True)
    shutil.rmtree(folder / "encodec_32khz")
    assert "facebook/encodec_32khz" in refusal(folder)


# --- other models


@pytest.mark.parametrize("kind", ["bark", "t5", "musicgen_decoder", ""])
def test_another_model_of_transformers(hub, kind):
    change_config(hub, model_type=kind)
    said = refusal(hub)
    assert kind in said
    assert "not of MusicGen" in said


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"solver": "audiogen"}, "AudioGen"),
        ({"solver": "magnet"}, "MAGNeT"),
        ({"lm_model": "transformer_lm_magnet"}, "MAGNeT"),
        ({"solver": "jasco"}, "JASCO"),
        ({"solver": "jasco_chords_drums"}, "JASCO"),
        ({"lm_model": "something"}, "something"),
    ],
)
def test_other_models_of_audiocraft(audiocraft, changes, name):
    change_package(audiocraft, lambda cfg, _: cfg.update(changes))
    assert name in refusal(audiocraft)


@pytest.mark.parametrize(
    ("dotted", "value"),
    [
        ("transformer_lm.norm_first", False),
        ("transformer_lm.positional_embedding", "rope"),
        ("transformer_lm.layer_scale", 0.1),
        ("transformer_lm.past_context", 100),
        ("transformer_lm.kv_repeat", 2),
        ("transformer_lm.qk_layer_norm", True),
        ("transformer_lm.activation", "relu"),
        ("transformer_lm.bias_ff", True),
        ("transformer_lm.num_heads", 5),
        ("transformer_lm.num_heads", 0),
        ("transformer_lm.num_heads", "many"),
        ("transformer_lm.n_q", 3),
        ("transformer_lm.n_q", 9),
        ("transformer_lm.card", 255),
        ("transformer_lm.dim", None),
        ("codebooks_pattern.modeling", "parallel"),
        ("codebooks_pattern.delay.delays", [0, 1]),
        ("codebooks_pattern.delay.delays", [0, 1, 2, -3]),
        ("codebooks_pattern.delay.empty_initial", 1),
        ("fuser.cross", []),
        ("fuser.sum", ["description"]),
        ("fuser.cross_attention_pos_emb", True),
        ("conditioners.description.model", "clap"),
        ("conditioners.genre", {"model": "lut"}),
        ("dataset.segment_duration", "${nowhere}"),
        ("sample_rate", "${sample_rate}"),
    ],
)
def test_settings_that_this_engine_does_not_play_are_named(audiocraft, dotted, value):
    def change(cfg, _):
        node = cfg
        *parents, last = dotted.split(".")
        for parent in parents:
            node = node[parent]
        node[last] = value

    if dotted == "sample_rate":
        # Refers to itself; only a melody's prefix needs it.
        def change(cfg, _, plain=change):
            plain(cfg, _)
            cfg["conditioners"]["self_wav"] = {
                "model": "chroma_stem",
                "chroma_stem": {"radix2_exp": 14, "n_chroma": 12, "argmax": True},
            }

    change_package(audiocraft, change)
    said = refusal(audiocraft)
    # A wrong number of codebooks shows in their delays first, a missing text conditioner in all of them.
    instead = {
        "transformer_lm.n_q": "codebooks_pattern.delay.delays",
        "conditioners.description.model": "conditioners",
    }
    assert instead.get(dotted, dotted.split(".")[0]) in said


def test_a_codec_of_another_make(audiocraft):
    def change(cfg, _):
        cfg["seanet"]["norm"] = "time_group_norm"

    change_package(audiocraft, change, "compression_state_dict.bin")
    assert "seanet.norm" in refusal(audiocraft)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"decoder__activation_function": "relu"}, "activation_function"),
        ({"decoder__hidden_size": None}, "decoder.hidden_size"),
        ({"decoder__num_attention_heads": 7}, "num_attention_heads"),
        ({"decoder__num_codebooks": 40}, "target_bandwidths"),
        ({"decoder__vocab_size": 100}, "vocab_size"),
        ({"decoder__audio_channels": 3}, "audio_channels"),
        ({"audio_encoder__norm_type": "time_group_norm"}, "norm_type"),
        ({"audio_encoder__normalize": True}, "normalize"),
        ({"audio_encoder__target_bandwidths": []}, "target_bandwidths"),
        ({"audio_encoder__upsampling_ratios": [8, "x"]}, "upsampling_ratios"),
        ({"text_encoder__model_type": "umt5"}, "model_type"),
        ({"text_encoder__feed_forward_proj": "gated-silu"}, "feed_forward_proj"),
    ],
)
def test_hub_settings_that_this_engine_does_not_play_are_named(hub, changes, named):
    change_config(hub, **changes)
    assert named in refusal(hub)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"', "{}"])
def test_a_configuration_that_is_none(hub, text):
    (hub / "config.json").write_text(text)
    assert "config.json" in refusal(hub)


# --- weights that do not fit


def test_a_missing_weight_is_named(hub):
    change_weights(hub, lambda tensors: tensors.pop("decoder.model.decoder.layers.1.fc1.weight"))
    assert "decoder.model.decoder.layers.1.fc1.weight is missing" in refusal(hub)


def test_a_missing_part_of_a_fused_weight_is_named(hub):
    change_weights(hub, lambda tensors: tensors.pop("decoder.model.decoder.layers.0.self_attn.v_proj.weight"))
    assert "self_attn.v_proj.weight is missing" in refusal(hub)


def test_a_weight_too_many_is_named(hub):
    change_weights(hub, lambda tensors: tensors.update({"decoder.extra.weight": np.zeros(3, np.float32)}))
    assert "decoder.extra.weight" in refusal(hub)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("enc_to_dec_proj.weight", (64, 500), ["text_proj.weight", "64 × 500", "64 × 512"]),
        ("decoder.lm_heads.0.weight", (256,), ["linears.0.weight", "256", "256 × 64"]),
        ("decoder.model.decoder.layers.0.self_attn.q_proj.weight", (63, 64), ["191 × 64", "192 × 64"]),
        ("decoder.model.decoder.layers.0.self_attn.q_proj.weight", (64, 63), ["? × 63"]),
        ("audio_encoder.decoder.layers.0.conv.weight_v", (64, 16, 5), ["64 × 16 × 5", "64 × 16 × 7"]),
        ("audio_encoder.decoder.layers.0.conv.weight_g", (64, 16, 1), ["decoder.model.0.conv.weight"]),
        ("audio_encoder.quantizer.layers.0.codebook.embed", (128, 16), ["codebooks.0", "256 × 16"]),
        ("text_encoder.shared.weight", (), ["shared.weight", "a single number"]),
    ],
)
def test_a_weight_of_another_shape_is_named_with_both_shapes(hub, name, shape, said):
    change_weights(hub, lambda tensors: tensors.update({name: np.zeros(shape, np.float32)}))
    refused = refusal(hub)
    assert all(part in refused for part in said), refused


def test_weights_of_another_size_than_the_settings_say(audiocraft):
    change_package(audiocraft, lambda cfg, _: cfg["transformer_lm"].update(num_layers=3))
    assert "transformer.layers.2" in refusal(audiocraft)
    change_package(audiocraft, lambda cfg, _: cfg["transformer_lm"].update(num_layers=1))
    assert "transformer.layers.1" in refusal(audiocraft)


def test_a_text_encoder_of_another_width(audiocraft):
    change_config(audiocraft / "t5-small", d_model=256)
    assert "64 × 512" in refusal(audiocraft)


def test_weights_that_are_no_floats_are_named(hub, audiocraft):
    change_weights(hub, lambda tensors: tensors.update({"enc_to_dec_proj.bias": np.zeros(64, np.int64)}))
    assert "text_proj.bias" in refusal(hub)
    change_package(
        audiocraft, lambda _, state: state.update({"out_norm.bias": torch.zeros(64, dtype=torch.int8)})
    )
    assert "out_norm.bias" in refusal(audiocraft)


# --- damage


@pytest.fixture(scope="session")
def whole(built):
    return {
        "hub": (built("tiny", format="hub"), "model.safetensors"),
        "lm": (built("tiny", format="audiocraft"), "state_dict.bin"),
        "codec": (built("tiny", format="audiocraft"), "compression_state_dict.bin"),
        "text": (built("tiny", format="audiocraft"), "t5-small/model.safetensors"),
        "index": (built("tiny", format="hub", shards=3), "model.safetensors.index.json"),
        "config": (built("tiny", format="hub"), "config.json"),
    }


def with_other_bytes(folder, name, data, tmp_path_factory):
    """Link a folder's files and give one of them other contents."""
    copy = tmp_path_factory.mktemp("damaged") / "model"
    shutil.copytree(folder, copy, copy_function=os.link, symlinks=True)
    (copy / name).unlink()
    (copy / name).write_bytes(data)
    return copy


@pytest.mark.parametrize("file", ["hub", "lm", "codec", "text", "index", "config"])
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 1, exclude_max=True), from_end=st.booleans(), few=st.integers(1, 200))
def test_a_file_that_was_cut_off_anywhere_never_gives_a_checkpoint(
    whole, tmp_path_factory, file, share, from_end, few
):
    folder, name = whole[file]
    data = (folder / name).read_bytes()
    length = max(0, len(data) - few) if from_end else int(share * len(data))
    damaged = with_other_bytes(folder, name, data[:length], tmp_path_factory)
    said = refusal(damaged)
    assert "Traceback" not in said
    shutil.rmtree(damaged.parent)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.integers(0, 4000), value=st.integers(0, 255))
def test_a_changed_header_is_refused_or_changes_nothing_that_is_read(
    whole, tmp_path_factory, position, value
):
    """Whatever one byte of the header becomes, what follows is an error of ours or a model of the right shapes."""
    folder, name = whole["hub"]
    data = bytearray((folder / name).read_bytes())
    data[position] = value
    damaged = with_other_bytes(folder, name, bytes(data), tmp_path_factory)
    found = locate(str(damaged), SETTINGS, {})
    try:
        checkpoint = load_checkpoint(found, SETTINGS)
        for part in (checkpoint.lm, checkpoint.codec, checkpoint.text):
            for each in part:
                assert part[each].shape == part.shape(each)
    except ModelError:
        pass
    shutil.rmtree(damaged.parent)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\0" * 8, b"\xff" * 8, b"\2" + b"\0" * 7 + b"{}", b"version https://git-lfs"]
)
def test_what_is_no_safetensors_file(hub, data):
    """The last is a pointer, as a checkout without git-lfs leaves it."""
    (hub / "model.safetensors").write_bytes(data)
    assert "model.safetensors" in refusal(hub)


@pytest.mark.parametrize("data", [b"", b"x", b"PK\x03\x04", b"version https://git-lfs.github.com/spec/v1"])
def test_what_is_no_torch_file(audiocraft, data):
    for name in ["state_dict.bin", "compression_state_dict.bin"]:
        kept = (audiocraft / name).read_bytes()
        (audiocraft / name).write_bytes(data)
        assert name in refusal(audiocraft)
        (audiocraft / name).write_bytes(kept)


def test_a_package_without_what_audiocraft_exports(audiocraft):
    torch.save({"model": {}}, audiocraft / "state_dict.bin")
    assert "audiocraft" in refusal(audiocraft)
    torch.save([1, 2], audiocraft / "state_dict.bin")
    assert refusal(audiocraft)
    torch.save(
        {"best_state": {"a": 1}, "xp.cfg": "conditioners: {description: {model: t5, t5: {name: t5-small}}}"},
        audiocraft / "state_dict.bin",
    )
    assert "a is no tensor" in refusal(audiocraft)


def test_settings_that_are_no_yaml(audiocraft):
    torch.save({"best_state": {}, "xp.cfg": "a: [1"}, audiocraft / "state_dict.bin")
    assert "YAML" in refusal(audiocraft)
    torch.save({"best_state": {}, "xp.cfg": "just words"}, audiocraft / "state_dict.bin")
    assert "not a mapping" in refusal(audiocraft)


# --- code in pickles


class Trap:
    """Runs a command when it is unpickled in the ordinary way."""

    def __init__(self, path):
        self._command = f"touch {path}"

    def __reduce__(self):
        return os.system, (self._command,)


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
def test_code_in_a_checkpoint_is_refused_and_not_run(audiocraft, tmp_path, name):
    sprung = tmp_path / "sprung"
    package = torch.load(audiocraft / name, weights_only=True)
    torch.save(package | {"trap": Trap(sprung)}, audiocraft / name)
    said = refusal(audiocraft)
    assert "refused" in said
    assert name in said
    assert not sprung.exists()
    # The trap is real: the ordinary way springs it.
    torch.load(audiocraft / name, weights_only=False)
    assert sprung.exists()


def test_code_in_the_settings_yaml_is_refused_and_not_run(audiocraft, tmp_path):
    sprung = tmp_path / "sprung"
    text = f"!!python/object/apply:os.system ['touch {sprung}']"
    package = torch.load(audiocraft / "state_dict.bin", weights_only=True)
    torch.save(package | {"xp.cfg": text}, audiocraft / "state_dict.bin")
    assert "YAML" in refusal(audiocraft)
    assert not sprung.exists()


def test_code_in_a_bare_pickle_is_refused_and_not_run(audiocraft, tmp_path):
    """torch once wrote no archives, and other programs call their pickles .bin as well."""
    sprung = tmp_path / "sprung"
    (audiocraft / "state_dict.bin").write_bytes(pickle.dumps(Trap(sprung)))
    assert refusal(audiocraft)
    assert not sprung.exists()


def test_an_archive_that_torch_has_not_written(audiocraft):
    with zipfile.ZipFile(audiocraft / "state_dict.bin", "w") as archive:
        archive.writestr("hello", "world")
    assert "torch" in refusal(audiocraft)
