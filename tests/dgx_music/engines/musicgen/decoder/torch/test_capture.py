"""A step can be captured as a graph: it waits for nothing, its tensors stay in place, and it is the same at any values."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest

from support.language_models import MELODY, MONO, random_lm, random_take, run_alone

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from dgx_music.engines.musicgen import gpu_turns  # noqa: E402
from dgx_music.engines.musicgen.decoder.base import Sampling  # noqa: E402
from dgx_music.engines.musicgen.decoder.torch import TorchDecoder  # noqa: E402
from dgx_music.engines.musicgen.decoder.torch.stepper import Stepper  # noqa: E402

ARCHS = {"cross": replace(MONO, dim=32, heads=2), "prepend": replace(MELODY, dim=32, heads=2)}


def decoder_of(arch, precision="bf16"):
    return TorchDecoder(
        random_lm(arch), arch, device="cpu", precision=precision, max_rows=7, max_positions=300, fixed=True
    )


class Recorded(TorchDispatchMode):
    """Writes down every operation, and the shapes and dtypes of what goes in and comes out."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = torch.utils._pytree.tree_map(
            lambda one: (tuple(one.shape), one.dtype) if isinstance(one, torch.Tensor) else one,
            (args, kwargs, out),
        )
        self.operations.append((func, str(tensors)))
        return out


def mixed_takes(arch):
    return [
        random_take(arch, 1, prompt=3, sampling=Sampling(temperature=0.0)),
        random_take(arch, 2, guided=False, sampling=Sampling(top_p=0.7)),
        random_take(arch, 3, doubly=True, sampling=Sampling(temperature=0.8, top_k=5)),
    ]


@pytest.mark.parametrize("kind", ARCHS)
def test_a_step_does_the_same_whatever_the_values(kind):
    decoder = decoder_of(ARCHS[kind])
    for take in mixed_takes(decoder.architecture):
        decoder.admit(take)
    shape = decoder._shape()
    traces = []
    for _ in range(3):
        with Recorded() as recorded:
            decoder._step(shape)
        traces.append(recorded.operations)
        assert decoder._shape() == shape
    assert traces[0] == traces[1] == traces[2]
    assert len(traces[0]) > 50


@pytest.mark.parametrize("kind", ARCHS)
def test_a_step_never_waits_for_the_device_nor_copies_to_it(kind):
    """What PyTorch's notes on CUDA graphs prohibit: CPU-GPU synchronisation, and shapes that hang on values."""
    decoder = decoder_of(ARCHS[kind])
    for take in mixed_takes(decoder.architecture):
        decoder.admit(take)
    with Recorded() as recorded:
        decoder._step(decoder._shape())
    names = {str(func.name()) for func, _ in recorded.operations}
    for prohibited in (
        *("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "unique"),
        *(
            "repeat_interleave.Tensor",
            "bincount",
            "lift_fresh",
            "scalar_tensor",
            "_pin_memory",
            "rand",
            "multinomial",
        ),
    ):
        assert not any(
            name == f"aten::{prohibited}" or name.startswith(f"aten::{prohibited}.") for name in names
        )
    # An index of booleans would be a shape that hangs on values.
    indices = [text for func, text in recorded.operations if "index" in func.name()]
    assert indices
    assert not any("torch.bool" in text for text in indices)


@pytest.mark.parametrize("kind", ARCHS)
def test_nothing_that_a_graph_reads_ever_moves(kind):
    decoder = decoder_of(ARCHS[kind])

    def places():
        cache, takes, rows = decoder._cache, decoder._takes, decoder._rows
        tensors = [*cache._tensors(), *takes._all(), rows.take, rows.of_take, rows.with_text]
        return [tensor.data_ptr() for tensor in tensors]

    before = places()
    handles = [decoder.admit(take) for take in mixed_takes(decoder.architecture)]
    decoder.step()
    decoder.release(handles[0])
    decoder.admit(random_take(decoder.architecture, 5, frames=250, text=60, prefix=40))
    for _ in range(20):
        decoder.step()
    assert places() == before


@pytest.mark.parametrize("kind", ARCHS)
def test_a_capture_in_the_middle_leaves_no_trace(kind):
    decoder = decoder_of(ARCHS[kind], "fp32")
    take = mixed_takes(decoder.architecture)[2]
    expected = run_alone(decoder, take).laid
    handle = decoder.admit(take)
    found = []
    while not decoder.finished(handle):
        if len(found) % 5 == 3:
            decoder._stepper.capture(decoder._shape())
        found.append(decoder.step()[handle])
    np.testing.assert_array_equal(np.stack(found), expected)


def test_warming_up_runs_the_step_and_puts_its_counters_back():
    counter, ran = torch.zeros(2), []

    def step(shape):
        ran.append(shape)
        counter.add_(1)

    stepper = Stepper(step, [counter], torch.device("cpu"))
    stepper.capture("shape")
    assert ran == ["shape"] * 3
    assert counter.tolist() == [0, 0]
    stepper.run("shape")
    assert counter.tolist() == [1, 1]


class FakeGraph:
    """In place of a CUDA graph; does nothing."""

    def replay(self):
        pass


@pytest.fixture
def captures(monkeypatch):
    """Let torch capture without a GPU; gives the (pool, stream) of each capture."""
    made, handles = [], iter(range(100))

    @contextmanager
    def graph(_graph, *, pool, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        assert gpu_turns._captures == 1
        made.append((pool, stream))
        yield

    class FakeStream:
        def __init__(self, device=None):
            pass

        def wait_stream(self, other):
            pass

    everyday = FakeStream()
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(handles))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: everyday)
    for name in ("stream", "device"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return made


def test_captures_share_a_pool_and_a_stream_until_all_are_forgotten(captures):
    """A pool whose graphs are gone cannot be captured into again; see `Stepper.forget`."""
    ran = []
    stepper = Stepper(ran.append, [], torch.device("cuda", 0))
    for shape in ("small", "large", "small"):
        stepper.run(shape)
    assert ran == ["small"] * 4 + ["large"] * 4  # three to warm up, one captured
    (first, stream), second = captures
    assert second == (first, stream)
    stepper.forget()
    stepper.run("small")
    assert len(captures) == 3
    assert captures[2][0] != first
    assert captures[2][1] is stream
