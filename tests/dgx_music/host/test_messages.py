from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from dgx_music.engines.base import EngineSettings
from dgx_music.engines.musicgen.settings import MusicGenSettings
from dgx_music.host.messages import Done, Preview, Warm, decode, encode, settings_from_json, settings_to_json

MUSICGEN = MusicGenSettings(
    model="/models/mine",
    models_dir=Path("/models"),
    cache_dir=Path("/cache/größe"),
    download=False,
    device="cuda:1",
    precision="fp16",
    kernel=False,
    threads=3,
    max_takes=2,
    memory_mb=100,
    idle_unload_s=1.5,
)
SETTINGS = EngineSettings(Path("/a.sf2"), "numpy", MUSICGEN, (Path("/library"), Path("/takes")))


@pytest.mark.parametrize("settings", [EngineSettings(), SETTINGS])
def test_settings_arrive_in_the_worker_as_they_were(settings):
    assert settings_from_json(json.loads(json.dumps(settings_to_json(settings)))) == settings


def test_the_settings_above_differ_from_the_defaults_in_every_field():
    """Or the test before this one would miss a field that is lost on the way."""
    for some, default in ((SETTINGS, EngineSettings()), (MUSICGEN, MusicGenSettings())):
        for field in fields(some):
            assert getattr(some, field.name) != getattr(default, field.name), field.name


@pytest.mark.parametrize(
    "message", [Warm("e", ["a", "b"]), Preview("gen_1", 0, "/p/take1.wav", 0.25), Done("gen_1")]
)
def test_a_message_comes_back_from_its_line(message):
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize("line", [b"[]", b"{}", b'{"kind": "Nothing"}'])
def test_what_is_no_message_is_refused(line):
    with pytest.raises(ValueError, match="not a message between daemon and worker"):
        decode(line)
