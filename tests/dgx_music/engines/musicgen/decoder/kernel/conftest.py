import hashlib

import numpy as np
import pytest

from dgx_music.engines.musicgen.decoder.kernel.build import best_variants, compile_kernel
from dgx_music.engines.musicgen.decoder.kernel.decoder import KernelDecoder
from dgx_music.engines.musicgen.decoder.kernel.prepare import prepare
from dgx_music.errors import EngineUnavailableError
from support.language_models import random_lm


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """The compiled decoder for each kind of processor that this one is, the fastest first, the portable one last."""
    folder = tmp_path_factory.mktemp("kernels")
    made = {}
    for variant in best_variants():
        made[variant.name] = folder / f"{variant.name}.so"
        try:
            compile_kernel(made[variant.name], variant)
        except EngineUnavailableError as err:
            pytest.skip(str(err))
    return made


@pytest.fixture
def make_decoder(libraries, tmp_path):
    """Make decoders; they are closed when the test ends."""
    made = []

    def make(arch, *, variant=None, threads=2, max_rows=24, max_positions=400, seed=0):
        name = hashlib.sha256(repr((arch, seed)).encode()).hexdigest()
        decoder = KernelDecoder(
            prepare(random_lm(arch, seed), arch, weights_sha256=name, cache_dir=tmp_path),
            arch,
            library=libraries[variant] if variant else next(iter(libraries.values())),
            max_rows=max_rows,
            max_positions=max_positions,
            threads=threads,
        )
        made.append(decoder)
        return decoder

    yield make
    for decoder in made:
        decoder.close()


@pytest.fixture
def one_torch_thread():
    """Tiny models run best on one thread."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def forced_logits():
    """Decode a take along another run's tokens; return the logits (steps drawn, K, C)."""

    def follow(decoder, take, laid):
        handle = decoder.admit(take)
        state = decoder._takes[handle]
        found = []
        while not decoder.finished(handle):
            decoder.step()
            found.append(decoder.logits(handle).copy())
            state.laid[state.step - 1] = laid[state.step - 1]
        decoder.release(handle)
        return np.stack(found)

    return follow
