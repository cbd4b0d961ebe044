from __future__ import annotations

import pytest

from support.delivery_scene import DeliveryScene


@pytest.fixture
def scene(tmp_path):
    made = DeliveryScene(tmp_path)
    yield made
    made.close()
