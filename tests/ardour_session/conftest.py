from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.ardour import ArdourTools

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ardour(tmp_path: Path) -> ArdourTools:
    return ArdourTools(tmp_path / "ardour-home")
