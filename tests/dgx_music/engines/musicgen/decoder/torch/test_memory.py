"""What the decoder says it needs is what it holds."""

import gc

import pytest

from support.language_models import MELODY, MONO, random_lm, random_take

torch = pytest.importorskip("torch")

from dgx_music.engines.musicgen.decoder.base import OutOfRoomError  # noqa: E402
from dgx_music.engines.musicgen.decoder.torch import TorchDecoder  # noqa: E402


def held(decoder):
    """Bytes of every tensor there is, but for the weights: whatever the decoder may have forgotten to count."""
    gc.collect()
    weights = decoder._model._weights
    known = {id(weights.embedding), id(weights.heads.weight)}
    storages = {}
    reached = [decoder._cache, decoder._takes, decoder._rows, decoder._model, decoder._outputs]
    while reached:
        one = reached.pop()
        if isinstance(one, torch.Tensor):
            if id(one) not in known:
                storages[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        elif isinstance(one, list | tuple):
            reached += one
        elif one is not weights and type(one).__module__.startswith(
            "dgx_music.engines.musicgen.decoder.torch"
        ):
            reached += vars(one).values()
    return sum(storages.values())


@pytest.mark.parametrize("arch", [MONO, MELODY], ids=["cross", "prepend"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fixed", [False, True], ids=["growing", "fixed"])
def test_bytes_needed_are_the_bytes_held(arch, precision, fixed):
    decoder = TorchDecoder(
        random_lm(arch), arch, device="cpu", precision=precision, max_rows=5, max_positions=700, fixed=fixed
    )
    decoder.admit(random_take(arch, 1, guided=False, frames=30))
    if fixed:
        assert decoder.bytes_needed(1, 256) == decoder.bytes_needed(5, 700) == held(decoder)
    else:
        assert decoder.bytes_needed(1, 40) == held(decoder)
    decoder.admit(random_take(arch, 2, doubly=True, frames=520, prompt=513))
    assert decoder.bytes_needed(4, 520) == held(decoder)
    before = decoder.bytes_needed(5, 520)
    decoder.admit(random_take(arch, 3, guided=False, frames=30, text=100))  # text in a larger bucket
    if fixed:  # one long text must not close the batch to those that come after it
        assert decoder.bytes_needed(5, 520) == before
    else:
        assert decoder.bytes_needed(5, 520) == held(decoder)


def test_where_memory_ends_at_a_long_text_those_who_run_go_on(monkeypatch):
    decoder = TorchDecoder(
        random_lm(MONO), MONO, device="cpu", precision="bf16", max_rows=4, max_positions=300, fixed=True
    )
    decoder.admit(random_take(MONO, 1))
    grown, calls = decoder._cache._grown, []

    def full(*args):
        calls.append(args)
        if len(calls) > MONO.layers:
            raise torch.OutOfMemoryError
        return grown(*args)

    monkeypatch.setattr(decoder._cache, "_grown", full)
    with pytest.raises(OutOfRoomError):
        decoder.admit(random_take(MONO, 2, text=100))
    assert {tensor.shape[2] for tensor in (*decoder._cache.cross_keys, *decoder._cache.cross_values)} == {64}
    assert decoder._cache.cross_mask.shape[1] == 64
    assert decoder.step()


def test_closing_gives_everything_back_and_may_be_repeated():
    decoder = TorchDecoder(
        random_lm(MONO), MONO, device="cpu", precision="fp32", max_rows=2, max_positions=300
    )
    decoder.admit(random_take(MONO, 1))
    decoder.step()
    decoder.close()
    decoder.close()
    gc.collect()
    assert not any(isinstance(one, torch.Tensor) for one in vars(decoder).values())
    assert "_model" not in vars(decoder)
    assert "_cache" not in vars(decoder)
