import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny models run best, and repeatably, on one thread."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
