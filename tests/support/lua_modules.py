"""Runs Lua code with the modules of `ardour/lua/dgx_music`, outside of Ardour."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MODULES", "needs_lua", "run_modules"]

MODULES = Path(__file__).parents[2] / "ardour" / "lua" / "dgx_music"

needs_lua = pytest.mark.skipif(shutil.which("lua5.3") is None, reason="needs lua5.3 (apt install lua5.3)")


def run_modules(code: str, *, modules: Path = MODULES, environ: Mapping[str, str] | None = None) -> Any:
    """Run Lua code that may `use` the modules and returns a value; gives that value, by way of JSON."""
    prelude = f'local use = loadfile ("{modules}/use.lua", "t") ("{modules}")\nlocal function run ()\n'
    done = subprocess.run(
        ["lua5.3", "-"],
        input=f"{prelude}{code}\nend\nio.write (use ('json').encode (run ()))".encode(),
        capture_output=True,
        check=False,
        env={**os.environ, **(environ or {})},
    )
    assert done.stderr == b"", done.stderr.decode()
    return json.loads(done.stdout)
