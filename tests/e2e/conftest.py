from __future__ import annotations

import pytest

from support.daemon import installation


@pytest.fixture
def here(tmp_path):
    """An installation without a running daemon."""
    with installation(tmp_path / "home") as made:
        yield made


@pytest.fixture
def running(here):
    """An installation whose daemon is ready."""
    here.start()
    return here
