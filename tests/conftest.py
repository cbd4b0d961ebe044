"""What all tests share: an environment of their own, so that nothing of the user's is read or written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("XDG_", "DGX_MUSIC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    # Compiled analysis code is shared within a run: compiling it takes some ten seconds a time.
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "numba"))


@pytest.fixture
def faulty_engines(monkeypatch):
    """Install the engines of `support/engines`, for this process and for every worker that it starts."""
    folder = str(SUPPORT / "engines")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([folder, *sys.path]))
