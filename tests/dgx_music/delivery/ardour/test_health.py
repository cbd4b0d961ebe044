"""What doctor sees of the spool, without a daemon."""

from __future__ import annotations

import os
import time

from dgx_music.delivery.ardour.health import spool_health
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.delivery.ardour.reports import note_problem


def test_no_spool_is_no_trouble(tmp_path):
    assert spool_health(tmp_path / "none") == []


def test_a_session_s_state_is_told(scene):
    job = scene.complete()
    scene.deliveries.failed(f"{job.id}-1", "import", "cancelled")
    spool = Spool(scene.spool_root).of(str(scene.ardour.session))
    spool.make()
    scene.ardour.alive()
    spool.next.write_text("return {}")
    note_problem(spool, "hook", "an error")
    (scene.ardour.session / "dgx-music.permissions").write_text("# mine\nimport = yes\n")
    [found] = spool_health(scene.spool_root, scene.deliveries)
    assert (found.path, found.path_exists, found.key) == (spool.session_path, True, spool.folder.name)
    assert 0 <= found.alive_age_s < 60
    assert (found.snapshot, found.lua, found.next, found.taken, found.may_import) == (
        "x",
        "1",
        True,
        False,
        True,
    )
    assert [problem["code"] for problem in found.problems] == ["hook"]
    assert [(delivery.code, delivery.message) for delivery in found.deliveries] == [("import", "cancelled")]


def test_the_one_that_lived_last_comes_first_and_nonsense_is_no_error(scene, tmp_path):
    spools = [Spool(scene.spool_root).of(str(tmp_path / name)) for name in ("a", "b", "c")]
    for age_s, spool in zip((100, 10, None), spools, strict=True):
        spool.make()
        if age_s is not None:
            spool.alive.write_bytes(b"\xff{" if age_s == 10 else b"[]")
            os.utime(spool.alive, (time.time() - age_s,) * 2)
    (spools[2].folder / "session.json").unlink()
    (scene.spool_root / "0000").mkdir()
    found = spool_health(scene.spool_root)
    assert [one.path for one in found] == [spools[1].session_path, spools[0].session_path, ""]
    assert [one.alive_age_s is None for one in found] == [False, False, True]
    assert not any(one.may_import or one.path_exists for one in found)
