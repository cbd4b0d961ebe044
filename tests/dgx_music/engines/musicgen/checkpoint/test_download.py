"""Fetching models from a server that speaks the hub's interface: whole and checked, or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

from dgx_music.engines.musicgen.catalogue import CATALOGUE
from dgx_music.engines.musicgen.checkpoint import Missing, ModelError, load_checkpoint, locate
from dgx_music.engines.musicgen.checkpoint.download import MERT_REPOSITORY, download
from dgx_music.engines.musicgen.checkpoint.repository import CachePlace, Listing
from dgx_music.engines.musicgen.checkpoint.transfer import Transfer
from dgx_music.engines.musicgen.settings import MusicGenSettings
from support.fake_hub import COMMIT, FakeHub

SMALL = CATALOGUE["musicgen-small"]
WEIGHTS = "model.safetensors"
AT_ONCE = Transfer(retries=2, retry_wait_s=0)


class Place:
    """Where a test's downloads go: a models_dir, or a hub's cache."""

    def __init__(self, folder, *, cache):
        self.cache = cache
        self.root = folder / ("cache" if cache else "models")
        self.settings = MusicGenSettings(models_dir=None if cache else self.root)
        self.environ = {"HF_HUB_CACHE": str(folder / "cache")}

    def fetch(self, hub, card=SMALL, progress=lambda *_: None, transfer=AT_ONCE):
        environ = {**self.environ, "HF_ENDPOINT": hub.url}
        return download(card, self.settings, progress, environ=environ, transfer=transfer)

    def locate(self, card=SMALL):
        return locate(card.name, self.settings, self.environ)


@pytest.fixture(params=["models_dir", "cache"])
def place(request, tmp_path):
    return Place(tmp_path, cache=request.param == "cache")


@pytest.fixture
def published(built, tmp_path):
    """A repository as the hub has them: both formats and more besides."""
    folder = tmp_path / "published"
    shutil.copytree(built("tiny", format="hub"), folder)
    for name in ["state_dict.bin", "compression_state_dict.bin"]:
        shutil.copy(built("tiny", format="audiocraft") / name, folder)
    (folder / "pytorch_model.bin").write_bytes(b"too much")
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    (folder / "samples").mkdir()
    return folder


@pytest.fixture
def hub(published):
    with FakeHub({"facebook/musicgen-small": published}) as served:
        yield served


def test_what_was_fetched_is_the_model(hub, published, place):
    found = place.fetch(hub)
    assert found == place.locate()
    checkpoint = load_checkpoint(found, place.settings)
    assert checkpoint.lm["emb.0.weight"].shape == (257, 64)
    assert checkpoint.weights_sha256 == hashlib.sha256((published / WEIGHTS).read_bytes()).hexdigest()


def test_only_what_is_needed_is_fetched(hub, place):
    place.fetch(hub)
    assert {"state_dict.bin", "compression_state_dict.bin", "pytorch_model.bin", "built.json"}.isdisjoint(
        hub.fetched()
    )


def test_a_second_time_nothing_is_fetched(hub, place):
    place.fetch(hub)
    hub.asked.clear()
    place.fetch(hub)
    assert not hub.asked


def test_progress_is_in_bytes_and_ends_at_the_whole(hub, published, place):
    said = []
    place.fetch(hub, progress=lambda here, needed: said.append((here, needed)))
    assert said == sorted(said)
    here, needed = said[-1]
    assert here == needed
    assert needed > (published / WEIGHTS).stat().st_size
    assert all(here <= needed for here, needed in said)


def test_the_hubs_cache_is_laid_out_so_that_huggingface_hub_finds_it(hub, published, tmp_path):
    hub_package = pytest.importorskip("huggingface_hub")
    place = Place(tmp_path, cache=True)
    place.fetch(hub)
    for name in [WEIGHTS, "config.json", "tokenizer.json"]:
        path = hub_package.try_to_load_from_cache("facebook/musicgen-small", name, cache_dir=place.root)
        assert path is not None
        assert Path(path).read_bytes() == (published / name).read_bytes()
    scanned = hub_package.scan_cache_dir(place.root)
    assert not scanned.warnings
    assert [repo.repo_id for repo in scanned.repos] == ["facebook/musicgen-small"]


def test_a_cut_connection_is_resumed_where_it_broke(hub, place):
    hub.cut_after[WEIGHTS] = [100_000, 50_000]
    place.fetch(hub)
    ranges = [wanted for name, wanted in hub.asked if name == WEIGHTS]
    assert len(ranges) == 3
    assert ranges[0] == ""
    starts = [int(wanted.removeprefix("bytes=").rstrip("-")) for wanted in ranges[1:]]
    assert 0 < starts[0] <= 100_000
    assert starts[0] <= starts[1] <= 150_000
    assert not isinstance(place.locate(), Missing)


def test_a_server_that_knows_no_ranges_sends_all_again(hub, place):
    hub.cut_after[WEIGHTS] = [100_000]
    hub.ignores_ranges = True
    checkpoint = load_checkpoint(place.fetch(hub), place.settings)
    assert checkpoint.lm["out_norm.bias"].shape == (64,)


def test_a_file_that_stays_short_is_never_taken_for_whole(hub, place):
    hub.short.add(WEIGHTS)
    with pytest.raises(ModelError, match="bytes are here and kept"):
        place.fetch(hub)
    assert isinstance(place.locate(), Missing)
    hub.short.clear()
    place.fetch(hub)
    assert not isinstance(place.locate(), Missing)


def test_a_failed_download_is_gone_on_with_by_the_next_one(hub, place):
    hub.cut_after[WEIGHTS] = [200_000, 0, 0, 0, 0]
    with pytest.raises(ModelError, match="try again later"):
        place.fetch(hub)
    hub.cut_after.clear()
    hub.asked.clear()
    place.fetch(hub)
    (wanted,) = [wanted for name, wanted in hub.asked if name == WEIGHTS]
    assert wanted.startswith("bytes=")


def test_spoilt_bytes_are_thrown_away(hub, place):
    hub.spoilt.add(WEIGHTS)
    with pytest.raises(ModelError, match="SHA-256"):
        place.fetch(hub)
    assert isinstance(place.locate(), Missing)
    hub.spoilt.clear()
    hub.asked.clear()
    place.fetch(hub)
    assert [wanted for name, wanted in hub.asked if name == WEIGHTS] == [""]


def test_an_overloaded_server_is_asked_again(hub, place):
    hub.says[WEIGHTS] = [503, 429]
    place.fetch(hub)
    assert not isinstance(place.locate(), Missing)


def test_a_file_that_the_server_refuses_is_not_asked_for_again(hub, place):
    hub.says[WEIGHTS] = [403]
    with pytest.raises(ModelError, match="403"):
        place.fetch(hub)
    assert [name for name, _ in hub.asked].count(WEIGHTS) == 1


def test_stopping_in_the_middle_keeps_what_is_here(hub, place):
    class StoppedError(Exception):
        pass

    def stop(here, _):
        if here > 100_000:
            raise StoppedError

    with pytest.raises(StoppedError):
        place.fetch(hub, progress=stop)
    assert isinstance(place.locate(), Missing)
    hub.asked.clear()
    place.fetch(hub)
    (wanted,) = [wanted for name, wanted in hub.asked if name == WEIGHTS]
    assert wanted.startswith("bytes=")


def test_a_killed_process_loses_nothing(hub, place, tmp_path):
    """SIGKILL in the middle, as when a worker is ended; the next process goes on from there."""
    code = f"""
import os, signal
from dgx_music.engines.musicgen.catalogue import CATALOGUE
from dgx_music.engines.musicgen.checkpoint.download import download
from dgx_music.engines.musicgen.settings import MusicGenSettings
from pathlib import Path
def progress(here, needed):
    if here > 1_500_000:
        os.kill(os.getpid(), signal.SIGKILL)
models_dir = {str(place.settings.models_dir)!r}
settings = MusicGenSettings(models_dir=None if models_dir == "None" else Path(models_dir))
download(CATALOGUE["musicgen-small"], settings, progress)
"""
    environ = {**os.environ, **place.environ, "HF_ENDPOINT": hub.url}
    ended = subprocess.run([sys.executable, "-c", code], env=environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert isinstance(place.locate(), Missing)
    hub.asked.clear()
    place.fetch(hub)
    (wanted,) = [wanted for name, wanted in hub.asked if name == WEIGHTS]
    assert int(wanted.removeprefix("bytes=").rstrip("-")) >= 1_000_000


def test_two_at_once_fetch_it_once(hub, place):
    errors = []

    def fetch():
        try:
            place.fetch(hub)
        except ModelError as err:
            errors.append(err)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [name for name, _ in hub.asked].count(WEIGHTS) == 1


def test_a_version_is_made_the_main_one_by_many_at_once(tmp_path):
    listing = Listing("facebook/musicgen-small", "a" * 40, {})
    start = threading.Barrier(8)
    failed = []

    def finish():
        start.wait()
        try:
            for _ in range(50):
                CachePlace(tmp_path, listing).done()
        except OSError as err:
            failed.append(err)

    threads = [threading.Thread(target=finish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    [main] = (tmp_path / "models--facebook--musicgen-small" / "refs").iterdir()
    assert main.read_text() == "a" * 40


def test_a_broken_copy_of_another_length_is_fetched_anew(hub, tmp_path):
    place = Place(tmp_path, cache=False)
    folder = tmp_path / "models" / "musicgen-small"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"half")
    place.fetch(hub)
    assert (folder / WEIGHTS).stat().st_size > 1000


def test_shards_are_fetched_as_the_index_names_them(built, place):
    folder = built("tiny", format="hub", shards=3)
    with FakeHub({"facebook/musicgen-small": folder}) as served:
        found = place.fetch(served)
    assert len(found.lm) == 3
    load_checkpoint(found, place.settings)


def test_audiocrafts_format_brings_its_text_encoder_and_codec(built, place):
    """As `musicgen-style` is published; and MERT, which hears the style."""
    card = CATALOGUE["musicgen-style"]
    folder = built("tiny_style", format="audiocraft", codec="pretrained")
    mert = folder / "encodec_32khz"  # any config.json and weights
    served = {
        card.repository: folder,
        "google-t5/t5-small": folder / "t5-small",
        "facebook/encodec_32khz": folder / "encodec_32khz",
        MERT_REPOSITORY: mert,
    }
    with FakeHub(served) as hub:
        found = place.fetch(hub, card)
        assert load_checkpoint(found, place.settings).architecture.lm.style is not None
        assert not isinstance(place.locate(card), Missing)
        hub.asked.clear()
        place.fetch(hub, card)
        assert not hub.asked


def test_a_machine_without_network_is_told_what_to_do(place):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        environ = {**place.environ, "HF_ENDPOINT": f"http://127.0.0.1:{port}"}
        with pytest.raises(ModelError, match=r"no answer from http.*hf download"):
            download(SMALL, place.settings, lambda *_: None, environ=environ, transfer=AT_ONCE)


def test_staying_off_the_network_is_respected(hub, place):
    environ = {**place.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "1"}
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        download(SMALL, place.settings, lambda *_: None, environ=environ)
    assert not hub.asked


@pytest.mark.parametrize("code", [401, 404, 500])
def test_a_repository_that_the_hub_does_not_give_is_said(hub, place, code):
    hub.says["facebook/musicgen-small"] = [code]
    with pytest.raises(ModelError, match=str(code)):
        place.fetch(hub)


def test_a_repository_without_weights_is_said(place, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("soon")
    with (
        FakeHub({"facebook/musicgen-small": tmp_path / "empty"}) as served,
        pytest.raises(ModelError, match="neither"),
    ):
        place.fetch(served)


def test_an_address_of_another_kind_is_refused(place):
    environ = {**place.environ, "HF_ENDPOINT": "file:///etc"}
    with pytest.raises(ModelError, match="https and http"):
        download(SMALL, place.settings, lambda *_: None, environ=environ)


def test_a_full_disk_is_said_before_anything_is_fetched(hub, place, monkeypatch):
    from dgx_music.engines.musicgen.checkpoint import download as module

    real = shutil.disk_usage
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: real(path)._replace(free=1000))
    with pytest.raises(ModelError, match="are free"):
        place.fetch(hub)
    assert not hub.asked


def test_the_commit_is_pinned(hub, tmp_path):
    """Files of two versions never mix: all are asked for by the listing's commit (the server insists)."""
    place = Place(tmp_path, cache=True)
    assert place.fetch(hub).folder.name == COMMIT
