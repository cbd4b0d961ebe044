"""Both formats give the same arrays under the same names, as they lie in the files."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
safetensors_numpy = pytest.importorskip("safetensors.numpy")
pytest.importorskip("sentencepiece")

from dgx_music.engines.musicgen.checkpoint.expected import codec_shapes, lm_shapes, text_shapes  # noqa: E402
from support.musicgen_checkpoints import SHAPES, weights  # noqa: E402

BOTH = ["tiny", "tiny_odd", "tiny_stereo", "tiny_melody"]
PARTS = ["lm", "codec", "text"]


def assert_same(left, right):
    for part in PARTS:
        ours, theirs = getattr(left, part), getattr(right, part)
        assert list(ours) == list(theirs)
        for name in ours:
            assert np.array_equal(ours[name], theirs[name]), name


@pytest.mark.parametrize("shape", BOTH)
def test_both_formats_hold_the_same_model(built, loaded, shape):
    hub, audiocraft = loaded(built(shape, format="hub")), loaded(built(shape, format="audiocraft"))
    assert_same(hub, audiocraft)
    assert hub.architecture == audiocraft.architecture


@pytest.mark.parametrize("shape", [*BOTH, "tiny_style", "tiny_delays"])
def test_every_weight_of_the_architecture_is_there_in_its_shape(built, loaded, shape):
    checkpoint = loaded(built(shape, format="audiocraft"))
    architecture = checkpoint.architecture
    expected = [lm_shapes(architecture.lm), codec_shapes(architecture.codec), text_shapes(architecture.text)]
    for part, shapes in zip(PARTS, expected, strict=True):
        arrays = getattr(checkpoint, part)
        assert {name: array.shape for name, array in arrays.items()} == shapes
        assert all(array.dtype in (np.float16, np.float32) for array in arrays.values())


@pytest.mark.parametrize("kind", ["hub", "audiocraft"])
def test_values_are_those_that_were_drawn(built, loaded, kind):
    """Not the reader against itself: the builder's own tensors, by hand to their places."""
    checkpoint = loaded(built("tiny", format=kind, seed=3))
    lm, codec, text = weights(SHAPES["tiny"])

    def drawn(of, name):
        return of[name].draw(name, 3)

    fused = drawn(lm, "transformer.layers.1.cross_attention.in_proj_weight")
    assert np.array_equal(checkpoint.lm["layers.1.cross_attn.in_proj.weight"], fused)
    norm = drawn(lm, "transformer.layers.0.norm_cross.bias")
    assert np.array_equal(checkpoint.lm["layers.0.norm_cross.bias"], norm)
    ends = drawn(lm, "linears.2.weight")
    assert np.array_equal(checkpoint.lm["linears.2.weight"], ends)
    projected = drawn(lm, "condition_provider.conditioners.description.output_proj.weight")
    assert np.array_equal(checkpoint.lm["text_proj.weight"], projected)
    book = drawn(codec, "quantizer.vq.layers.3._codebook.embed")
    assert np.array_equal(checkpoint.codec["codebooks.3"], book)
    asked = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    assert np.array_equal(checkpoint.text[asked], drawn(text, asked))


def test_weight_norm_is_folded_as_torch_folds_it(built, loaded):
    import torch

    checkpoint = loaded(built("tiny", format="audiocraft"))
    _, codec, _ = weights(SHAPES["tiny"])
    for name in ["decoder.model.3.convtr", "encoder.model.0.conv"]:
        theirs = name + "." + name.rsplit(".", 1)[1]
        gain, direction = (
            torch.from_numpy(codec[f"{theirs}.{each}"].draw(f"{theirs}.{each}", 0))
            for each in ["weight_g", "weight_v"]
        )
        folded = torch._weight_norm(direction, gain, 0).numpy()
        np.testing.assert_allclose(checkpoint.codec[f"{name}.weight"], folded, rtol=2e-6)


@pytest.mark.parametrize("kind", ["hub", "audiocraft"])
def test_weight_norm_reads_the_same_under_torchs_newer_names(built, loaded, kind):
    assert_same(loaded(built("tiny", format=kind)), loaded(built("tiny", format=kind, parametrizations=True)))


def test_a_model_in_shards_is_the_same_model(built, loaded):
    sharded = loaded(built("tiny", format="hub", shards=3))
    assert len(sharded.files.lm) == 3
    assert_same(sharded, loaded(built("tiny", format="hub")))


def test_a_codec_that_lies_in_a_repository_of_its_own_is_the_same_codec(built, loaded):
    elsewhere = loaded(built("tiny_stereo", format="audiocraft", codec="pretrained"))
    assert elsewhere.files.codec.is_dir()
    whole = loaded(built("tiny_stereo", format="hub"))
    assert_same(elsewhere, whole)
    assert elsewhere.architecture == whole.architecture


def test_bfloat16_is_widened_exactly(built, loaded):
    narrow = loaded(built("tiny", format="hub", dtype="bfloat16"))
    import torch

    for part in PARTS:
        wide = getattr(loaded(built("tiny", format="hub")), part)
        for name, array in getattr(narrow, part).items():
            assert array.dtype == np.float32
            if "coder.model" in name and name.endswith("conv.weight"):
                continue  # folded after rounding
            rounded = torch.from_numpy(np.ascontiguousarray(wide[name])).bfloat16().float().numpy()
            if "coder.model" not in name:
                assert np.array_equal(array, rounded), name


def test_half_precision_stays_as_it_is(built, loaded):
    checkpoint = loaded(built("tiny", format="hub", dtype="float16"))
    assert {array.dtype for array in checkpoint.lm.values()} == {np.dtype(np.float16)}


def test_arrays_are_mapped_and_writing_into_one_leaves_the_file_alone(built, loaded, tmp_path):
    folder = shutil.copytree(built("tiny", format="hub"), tmp_path / "copy")
    checkpoint = loaded(folder)
    before = (folder / "model.safetensors").read_bytes()
    array = checkpoint.lm["out_norm.weight"]
    assert array.base is not None
    array[:] = 7
    assert (folder / "model.safetensors").read_bytes() == before
    assert not np.array_equal(loaded(folder).lm["out_norm.weight"], array)


def test_arrays_outlive_the_checkpoint(built, loaded):
    for kind in ["hub", "audiocraft"]:
        checkpoint = loaded(built("tiny", format=kind))
        array = checkpoint.lm["emb.0.weight"]
        kept = array.copy()
        checkpoint.close()
        assert np.array_equal(array, kept)
        assert not checkpoint.lm


def test_the_hubs_format_is_read_without_torch(built):
    code = f"""
import sys
from dgx_music.engines.musicgen.checkpoint import load_checkpoint, locate
from dgx_music.engines.musicgen.settings import MusicGenSettings
heavy = {{"numpy", "torch", "yaml", "transformers", "huggingface_hub"}}
settings = MusicGenSettings()
files = locate({str(built("tiny", format="hub"))!r}, settings)
assert not heavy & set(sys.modules), heavy & set(sys.modules)
checkpoint = load_checkpoint(files, settings)
for part in (checkpoint.lm, checkpoint.codec, checkpoint.text):
    for name in part:
        part[name].sum()
assert not {{"torch", "transformers", "safetensors"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_finding_audiocrafts_format_needs_neither_torch_nor_numpy(built):
    code = f"""
import sys
from dgx_music.engines.musicgen.checkpoint import ModelFiles, locate
from dgx_music.engines.musicgen.settings import MusicGenSettings
assert isinstance(locate({str(built("tiny", format="audiocraft"))!r}, MusicGenSettings()), ModelFiles)
assert not {{"numpy", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_numbers_come_from_the_checkpoint(built, loaded):
    odd = loaded(built("tiny_odd", format="audiocraft")).architecture
    assert (odd.lm.dim, odd.lm.heads, odd.lm.layers, odd.lm.ffn_dim, odd.lm.codebooks) == (60, 3, 3, 150, 3)
    assert odd.codec.ratios == (10, 8, 8)
    assert (odd.codec.lstm_layers, odd.codec.true_skip, odd.codec.dilation_base) == (1, False, 3)
    assert (odd.text.name, odd.text.layers, odd.text.heads, odd.text.head_dim) == ("t5-small", 2, 3, 5)
    late = loaded(built("tiny_delays", format="audiocraft")).architecture.lm
    assert (late.delays, late.has_bias) == ((0, 2, 2, 5), True)
    stereo = loaded(built("tiny_stereo", format="hub")).architecture
    assert (stereo.codec.channels, stereo.codec.codebooks, stereo.lm.codebooks) == (2, 4, 8)
    assert stereo.lm.delays == (0, 0, 1, 1, 2, 2, 3, 3)
    melody = loaded(built("tiny_melody", format="audiocraft")).architecture
    assert melody.lm.text_fuse == "prepend"
    assert (melody.lm.chroma.bins, melody.lm.chroma.winhop, melody.lm.chroma.argmax) == (12, 4096, True)
    assert (melody.window_s, melody.lm.chroma.frames) == (5, 40)
    style = dict(loaded(built("tiny_style", format="audiocraft")).architecture.lm.style.options)
    assert (style["eval_q"], style["batch_norm"], style["num_codebooks_lm"]) == ("3", "true", "4")


def test_older_settings_name_the_delay_pattern_elsewhere(built, loaded, tmp_path):
    import torch
    import yaml

    folder = shutil.copytree(built("tiny", format="audiocraft"), tmp_path / "older", symlinks=True)
    package = torch.load(folder / "state_dict.bin", weights_only=True)
    said = yaml.safe_load(package["xp.cfg"])
    said["codebooks_pattern"] = {"modeling": None}
    said["transformer_lm"]["q_modeling"] = "delay"
    torch.save(package | {"xp.cfg": yaml.safe_dump(said)}, folder / "state_dict.bin")
    assert loaded(folder).architecture == loaded(built("tiny", format="audiocraft")).architecture


def test_what_older_files_keep_besides_is_left_alone(built, loaded, tmp_path):
    """transformers of 2023 saved computed tables and shared weights twice."""
    folder = shutil.copytree(built("tiny", format="hub"), tmp_path / "old")
    tensors = safetensors_numpy.load_file(folder / "model.safetensors")
    tensors["decoder.model.decoder.embed_positions.weights"] = np.zeros((2048, 64), np.float32)
    tensors["text_encoder.encoder.embed_tokens.weight"] = tensors["text_encoder.shared.weight"].copy()
    safetensors_numpy.save_file(tensors, folder / "model.safetensors")
    assert_same(loaded(folder), loaded(built("tiny", format="hub")))


def test_files_of_the_safetensors_package_read_the_same(built, loaded, tmp_path):
    """Ours is read as the package writes it, and the package reads what the builder writes."""
    folder = shutil.copytree(built("tiny_odd", format="hub"), tmp_path / "again")
    safetensors_numpy.save_file(
        safetensors_numpy.load_file(folder / "model.safetensors"), folder / "model.safetensors"
    )
    assert_same(loaded(folder), loaded(built("tiny_odd", format="hub")))


def test_t5s_own_file_may_hold_its_decoder_too(built, loaded, tmp_path):
    folder = shutil.copytree(built("tiny", format="audiocraft"), tmp_path / "whole-t5", symlinks=True)
    path = folder / "t5-small" / "model.safetensors"
    tensors = safetensors_numpy.load_file(path)
    tensors["decoder.final_layer_norm.weight"] = np.ones(512, np.float32)
    tensors["lm_head.weight"] = tensors["shared.weight"].copy()
    safetensors_numpy.save_file(tensors, path)
    assert_same(loaded(folder), loaded(built("tiny", format="audiocraft")))


def test_the_same_seed_builds_the_same_and_another_does_not(built, loaded):
    first, other = loaded(built("tiny", format="hub")), loaded(built("tiny", format="hub", seed=1))
    assert not np.array_equal(first.lm["emb.0.weight"], other.lm["emb.0.weight"])
    assert dataclasses.replace(first.architecture) == other.architecture


@pytest.mark.fullsize
@pytest.mark.slow
def test_both_formats_hold_the_same_model_at_full_size(built, loaded):
    """musicgen-small: 420.4 million numbers in the language model, 57.9 in the codec, 109.6 in the text encoder."""
    hub, audiocraft = loaded(built("small", format="hub")), loaded(built("small", format="audiocraft"))
    assert_same(hub, audiocraft)
    millions = [sum(array.size for array in getattr(hub, part).values()) / 1e6 for part in PARTS]
    assert millions == pytest.approx([420.4, 57.9, 109.6], abs=0.1)
