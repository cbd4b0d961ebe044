"""What a GPU offers, asked of the very device that will be used."""

from types import SimpleNamespace

import pytest

from dgx_music.engines.musicgen import choice
from dgx_music.engines.musicgen.choice import choose, free_bytes
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.errors import EngineError

torch = pytest.importorskip("torch")

GIB = 2**30


@pytest.fixture
def gpus(monkeypatch):
    """Let torch find two GPUs: one that is old, and one as DGX Spark's."""
    found = [
        SimpleNamespace(name="Old", major=7, is_integrated=0),
        SimpleNamespace(name="NVIDIA GB10", major=12, is_integrated=1),
    ]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: found[index].name)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: found[device.index if isinstance(device, torch.device) else device],
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (3 * GIB, 100 * GIB))
    monkeypatch.setattr(choice, "_available_bytes", lambda: 90 * GIB)


@pytest.mark.usefixtures("gpus")
def test_bf16_is_offered_by_the_device_that_has_it():
    assert choose(MusicGenSettings(device="cuda:1", precision="bf16")).precision == "bf16"
    with pytest.raises(EngineError, match="no bf16"):
        choose(MusicGenSettings(device="cuda:0", precision="bf16"))


@pytest.mark.usefixtures("gpus")
def test_memory_shared_with_the_system_is_free_where_the_system_would_give_it_up():
    assert free_bytes("cuda:0") == 3 * GIB
    assert free_bytes("cuda:1") == 90 * GIB
    assert free_bytes("cpu") == 90 * GIB


def test_the_system_says_what_is_available():
    assert free_bytes("cpu") > 0
