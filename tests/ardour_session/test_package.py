from __future__ import annotations

import subprocess
import sys

import ardour_session


def test_importing_it_loads_neither_the_daemon_nor_anything_heavy():
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import ardour_session;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "lxml" in loaded
    assert not {"dgx_music", "numpy", "soundfile", "librosa", "scipy", "torch", "pydantic"} & set(loaded)


def test_every_public_name_is_there_once_and_in_order():
    assert ardour_session.__all__ == sorted(set(ardour_session.__all__))
    assert all(hasattr(ardour_session, name) for name in ardour_session.__all__)
