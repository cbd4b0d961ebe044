from __future__ import annotations

import pytest

from support.daemon import ENGINES, OscSender, installation


@pytest.fixture(scope="session")
def environ(tmp_path_factory):
    """What every installation's environment has: the test engines, and analysis code that is compiled once."""
    return {
        "PYTHONPATH": str(ENGINES),
        "NUMBA_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "numba"),
        "DGX_MUSIC__INBOX__SETTLE_S": "0.05",
    }


@pytest.fixture
def here(tmp_path, environ):
    """An installation without a running daemon."""
    with installation(tmp_path / "home", environ) as made:
        yield made


@pytest.fixture
def running(here):
    """An installation whose daemon is ready."""
    here.start()
    return here


@pytest.fixture(scope="module")
def shared(tmp_path_factory, environ):
    """An installation whose daemon all tests of a module share; the queue is empty when a test ends."""
    with installation(tmp_path_factory.mktemp("shared") / "home", environ) as made:
        made.start()
        yield made


@pytest.fixture
def sender(shared):
    """Somebody who sends OSC to the shared daemon."""
    with OscSender(shared.osc) as made:
        yield made
