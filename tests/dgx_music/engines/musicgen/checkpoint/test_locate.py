"""Where models are looked for, and what is said when they are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

from dgx_music.engines.musicgen.catalogue import CATALOGUE
from dgx_music.engines.musicgen.checkpoint import Missing, ModelFiles, load_checkpoint, locate
from dgx_music.engines.musicgen.settings import MusicGenSettings

COMMIT = "a" * 40


def into_cache(cache, repository, folder):
    snapshot = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot, symlinks=True)
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    return snapshot


@pytest.fixture
def hub(built):
    return built("tiny", format="hub")


@pytest.mark.parametrize(
    "environ",
    [
        {"HF_HUB_CACHE": "{}/a"},
        {"HUGGINGFACE_HUB_CACHE": "{}/a"},
        {"HF_HOME": "{}/home"},
        {"XDG_CACHE_HOME": "{}/xdg"},
        {},
    ],
)
def test_a_published_model_is_found_in_the_hubs_cache(hub, tmp_path, environ, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    environ = {name: value.format(tmp_path) for name, value in environ.items()}
    where = {
        "HF_HUB_CACHE": "a",
        "HUGGINGFACE_HUB_CACHE": "a",
        "HF_HOME": "home/hub",
        "XDG_CACHE_HOME": "xdg/huggingface/hub",
    }
    cache = tmp_path / where.get(next(iter(environ), ""), "user/.cache/huggingface/hub")
    snapshot = into_cache(cache, "facebook/musicgen-small", hub)
    found = locate("small", MusicGenSettings(), environ)
    assert isinstance(found, ModelFiles)
    assert (found.folder, found.name, found.format) == (snapshot, "musicgen-small", "hub")
    assert found.licence == "CC-BY-NC-4.0"


def test_the_hubs_cache_is_where_huggingface_hub_has_it(monkeypatch, tmp_path):
    """Ours is found without importing theirs; both must mean the same folder."""
    import subprocess
    import sys

    from dgx_music.engines.musicgen.checkpoint.folders import hub_caches

    pytest.importorskip("huggingface_hub")
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    for environ in [
        {},
        {"XDG_CACHE_HOME": str(tmp_path / "x")},
        {"HF_HOME": str(tmp_path / "h")},
        {"HF_HOME": str(tmp_path / "h"), "HF_HUB_CACHE": "~/c"},
    ]:
        monkeypatch.setenv("HOME", str(tmp_path))
        said = subprocess.run(
            [sys.executable, "-c", code],
            env={"HOME": str(tmp_path), **environ},
            capture_output=True,
            check=True,
            text=True,
        )
        assert [Path(said.stdout.strip())] == list(hub_caches(environ))


def test_models_dir_comes_first_in_either_layout(hub, built, tmp_path):
    environ = {"HF_HUB_CACHE": str(tmp_path / "cache")}
    into_cache(tmp_path / "cache", "facebook/musicgen-small", hub)
    settings = MusicGenSettings(models_dir=tmp_path / "models")
    assert locate("musicgen-small", settings, environ).folder.is_relative_to(tmp_path / "cache")
    snapshot = into_cache(tmp_path / "models", "facebook/musicgen-small", hub)
    assert locate("musicgen-small", settings, environ).folder == snapshot
    plain = shutil.copytree(hub, tmp_path / "models" / "musicgen-small")
    assert locate("musicgen-small", settings, environ).folder == plain


def test_a_model_that_is_nowhere_says_where_it_was_looked_for(tmp_path):
    settings = MusicGenSettings(models_dir=tmp_path / "models")
    found = locate("facebook/musicgen-large", settings, {"HF_HUB_CACHE": str(tmp_path / "cache")})
    assert isinstance(found, Missing)
    assert found.card is CATALOGUE["musicgen-large"]
    assert str(tmp_path / "models" / "musicgen-large") in found.reason
    assert str(tmp_path / "cache") in found.reason


def test_a_download_that_did_not_end_is_no_model(hub, tmp_path):
    """Without refs/main, as before the last file has come, nothing is found."""
    snapshot = into_cache(tmp_path, "facebook/musicgen-small", hub)
    (snapshot.parent.parent / "refs" / "main").unlink()
    found = locate("small", MusicGenSettings(), {"HF_HUB_CACHE": str(tmp_path)})
    assert isinstance(found, Missing)
    assert found.card is not None


def test_somebody_elses_repository_is_found_in_the_cache(hub, tmp_path):
    into_cache(tmp_path, "someone/finetuned", hub)
    found = locate("someone/finetuned", MusicGenSettings(), {"HF_HUB_CACHE": str(tmp_path)})
    assert isinstance(found, ModelFiles)
    assert (found.name, found.licence) == ("finetuned", "")


def test_the_hubs_format_is_preferred_where_a_folder_has_both(hub, built, tmp_path):
    folder = shutil.copytree(hub, tmp_path / "both")
    shutil.copytree(built("tiny", format="audiocraft"), folder, dirs_exist_ok=True, symlinks=True)
    assert locate(str(folder), MusicGenSettings(), {}).format == "hub"


@pytest.mark.parametrize(
    "place", ["beside", "t5", "above", "models", "models-cache", "cache", "cache-new-name"]
)
def test_the_text_encoder_is_found_wherever_it_may_lie(built, tmp_path, place):
    folder = tmp_path / "here" / "model"
    shutil.copytree(built("tiny", format="audiocraft"), folder, symlinks=True)
    shutil.rmtree(folder / "hub")
    text = folder / "t5-small"
    models, cache = tmp_path / "models", tmp_path / "cache"
    match place:
        case "t5":
            expected = text.rename(folder / "t5")
        case "above":
            expected = text.rename(folder.parent / "t5-small")
        case "models":
            models.mkdir()
            expected = text.rename(models / "t5-small")
        case "models-cache":
            expected = into_cache(models, "google-t5/t5-small", text)
        case "cache":
            expected = into_cache(cache, "t5-small", text)
        case "cache-new-name":
            expected = into_cache(cache, "google-t5/t5-small", text)
        case _:
            expected = text
    if place not in ("beside", "t5", "above", "models"):
        shutil.rmtree(text)
    settings = MusicGenSettings(models_dir=models)
    found = locate(str(folder), settings, {"HF_HUB_CACHE": str(cache)})
    assert isinstance(found, ModelFiles), found
    assert found.text == found.tokenizer == expected
    assert load_checkpoint(found, settings).text["shared.weight"].shape == (512, 512)


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: mit\n---\n# x", "MIT"),
        ("---\ntags: [a]\nlicense: 'cc-by-nc-4.0'\n---\n", "CC-BY-NC-4.0"),
        ("license: mit\n", ""),
        ("---\ntags: [a]\n---\nlicense: mit\n", ""),
        (None, ""),
    ],
)
def test_a_folders_licence_is_its_readmes(hub, tmp_path, readme, licence):
    folder = shutil.copytree(hub, tmp_path / "own")
    if readme is not None:
        (folder / "README.md").write_text(readme)
    assert locate(str(folder), MusicGenSettings(), {}).licence == licence


def test_a_folder_of_a_published_models_name_has_its_licence(hub, tmp_path):
    folder = shutil.copytree(hub, tmp_path / "musicgen-small")
    assert locate(str(folder), MusicGenSettings(), {}).licence == "CC-BY-NC-4.0"


def test_a_path_from_the_users_home_is_expanded(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(hub, tmp_path / "mine")
    assert locate("~/mine", MusicGenSettings(), {}).folder == tmp_path / "mine"
