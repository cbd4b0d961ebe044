"""What a model takes is worked out before it is loaded, and comes true."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from dgx_music.engines.musicgen.checkpoint import load_checkpoint, locate
from dgx_music.engines.musicgen.footprint import cache_bytes, lm_parameters, parameters_read, room_for
from dgx_music.engines.musicgen.settings import MusicGenSettings

_BESIDE = ("norm", "_proj.", "style.", "bias")


@pytest.fixture(params=["tiny", "tiny_odd", "tiny_stereo", "tiny_melody"])
def opened(request, checkpoint):
    settings = MusicGenSettings()
    return load_checkpoint(locate(str(checkpoint(request.param)), settings), settings)


def test_the_parameters_are_those_of_the_checkpoint(opened):
    own = {
        name: weight
        for name, weight in opened.lm.items()
        if not any(part in name for part in _BESIDE) or "in_proj" in name or "out_proj" in name
    }
    assert lm_parameters(opened.architecture.lm) == sum(weight.size for weight in own.values())
    embeddings = sum(weight.size for name, weight in own.items() if name.startswith("emb."))
    cross = sum(weight.size * 2 // 3 for name, weight in own.items() if "cross_attn.in_proj" in name)
    assert (
        parameters_read(opened.architecture.lm) == lm_parameters(opened.architecture.lm) - embeddings - cross
    )


def test_as_many_rows_get_room_as_the_takes_need_and_fewer_where_memory_ends(opened):
    whole = room_for(opened.architecture, "int8", 8, 10**12)
    assert whole.max_rows == 16
    row = whole.decoding_bytes // whole.max_rows
    assert row >= 1.1 * cache_bytes(opened.architecture.lm, "int8", 1, whole.max_positions)
    resident = whole.total_bytes - whole.decoding_bytes
    fitting = room_for(opened.architecture, "int8", 8, resident + 5 * row + 1)
    assert fitting.max_rows == 5
    assert fitting.total_bytes <= resident + 5 * row + 1
    # A single take is always tried: whether the whole fits is for the warm set to say.
    assert room_for(opened.architecture, "int8", 8, 0).max_rows == 2


def test_a_style_take_has_room_for_three_rows(checkpoint):
    settings = MusicGenSettings()
    files = locate(str(checkpoint("tiny_style", "audiocraft")), settings)
    architecture = load_checkpoint(files, settings).architecture
    assert room_for(architecture, "int8", 1, 0).max_rows == 3
    assert room_for(architecture, "int8", 8, 10**12).max_rows == 24
