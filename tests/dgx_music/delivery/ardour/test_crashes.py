"""Whatever of daemon and Ardour dies at whatever step, each delivery lands exactly once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[3] / "support"


@pytest.mark.slow
def test_a_courier_that_dies_at_any_step_loses_and_doubles_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join([*sys.path, str(SUPPORT.parent)]))
    done = subprocess.run(
        [sys.executable, SUPPORT / "crash_while_delivering.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    offering, reading = map(int, done.stdout.split())
    assert offering >= 15
    assert reading >= 20
