"""What the doctor says of music that waits for a session, and of what could not be delivered."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing

import pytest

from dgx_music import __version__
from dgx_music.config import Config
from dgx_music.delivery.ardour.layout import Spool
from dgx_music.doctor import Status, Surroundings, deliveries
from dgx_music.jobs import schema
from dgx_music.paths import Paths


class Installed:
    """An installation with deliveries into one session."""

    def __init__(self, root):
        self.paths = Paths.find({"DGX_MUSIC_HOME": str(root / "music")})
        self.session = root / "song"
        self.session.mkdir()
        self.spool = Spool(self.paths.state_dir / "ardour").of(str(self.session))
        self.paths.database.parent.mkdir()
        schema.upgrade(self.paths.database)

    def deliver(self, state, code="", message="", job="gen_00000001"):
        row = (f"{job}-1", job, str(self.session), state, code, message)
        with closing(sqlite3.connect(self.paths.database)) as db, db:
            db.execute(
                "INSERT INTO deliveries (id, job_id, session_path, target, state, offers, code, message, snapshot, "
                "created_at, updated_at) VALUES (?, ?, ?, '', ?, 1, ?, ?, '', '2025-01-01', '2025-01-01')",
                row,
            )

    def alive(self, age_s, lua=__version__):
        self.spool.make()
        self.spool.alive.write_text(json.dumps({"lua": lua}))
        at = time.time() - age_s
        os.utime(self.spool.alive, (at, at))

    def allow(self, text):
        (self.session / "dgx-music.permissions").write_text(text)

    def look(self, check=deliveries.spool):
        return list(check(Surroundings(self.paths, Config(), "", {})))


@pytest.fixture
def installed(tmp_path):
    return Installed(tmp_path)


def only(checks):
    (check,) = checks
    return check


def test_where_nothing_waits_all_is_well(installed):
    installed.deliver("saved")

    assert only(installed.look()).status is Status.OK
    assert installed.look(deliveries.deliveries) == []


def test_an_open_session_is_counted(installed):
    installed.alive(5)

    assert "1 open in Ardour" in only(installed.look()).message


def test_without_a_database_nothing_waits_and_none_is_made(tmp_path):
    surroundings = Surroundings(Paths.find({"DGX_MUSIC_HOME": str(tmp_path / "no")}), Config(), "", {})

    assert only(deliveries.spool(surroundings)).status is Status.OK
    assert list(deliveries.deliveries(surroundings)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", ["waiting", "offered"])
@pytest.mark.parametrize(
    ("alive_age_s", "permissions", "status", "said"),
    [
        (None, "import = yes\n", Status.INFO, "not been heard of"),
        (600, "import = yes\n", Status.INFO, "10 min ago"),
        (3 * 86_400, "import = yes\n", Status.INFO, "72 h ago"),
        (5, None, Status.WARNING, "does not allow"),
        (5, "import = no\n", Status.WARNING, "does not allow"),
        (5, "# import = yes\nread = yes\n", Status.WARNING, "does not allow"),
        (5, "import = yes  # all of it\n", Status.INFO, "nothing stands in the way"),
        (5, "import = no\nimport = Yes\n", Status.INFO, "nothing stands in the way"),
    ],
)
def test_what_a_delivery_waits_for_is_told(installed, state, alive_age_s, permissions, status, said):
    installed.deliver(state)
    if alive_age_s is not None:
        installed.alive(alive_age_s)
    if permissions is not None:
        installed.allow(permissions)

    check = only(installed.look())

    assert (check.status, said in check.message) == (status, True), check
    assert str(installed.session) in check.message
    assert check.remedy


def test_a_session_folder_that_is_gone_is_a_warning(installed):
    installed.deliver("waiting")
    installed.alive(5)
    installed.session.rmdir()

    check = only(installed.look())

    assert (check.status, "is gone" in check.message) == (Status.WARNING, True)


@pytest.mark.parametrize(("age_s", "expected"), [(600, [Status.WARNING, Status.OK]), (5, [Status.OK])])
@pytest.mark.parametrize("name", ["taken", "retaken"])
def test_a_claim_is_a_warning_only_where_its_ardour_is_gone(installed, name, age_s, expected):
    installed.alive(age_s)
    (installed.spool.folder / name).touch()

    assert [check.status for check in installed.look()] == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"message": "one"}\n{"message": "two"}\n', "two"),
        (b"damaged\n", None),
        (b"", None),
        (b"[1]\n", None),
    ],
)
def test_the_newest_word_of_the_scripts_is_passed_on(installed, content, said):
    installed.alive(5)
    installed.spool.problems.write_bytes(content)

    messages = [check.message for check in installed.look() if check.status is Status.INFO]

    assert messages == ([] if said is None else [f"{installed.session}: a script said: {said}"])


@pytest.mark.parametrize(
    "code", ["vanished", "damaged", "rate", "import", "session", "crashed", "internal", "new one"]
)
def test_what_failed_is_told_with_its_reason_and_what_mends_it(installed, code):
    installed.deliver("failed", code, "because of this")

    check = only(installed.look(deliveries.deliveries))

    assert check.status is Status.WARNING
    assert "gen_00000001-1" in check.message
    assert "because of this" in check.message
    assert check.remedy
    assert "{" not in check.remedy


def test_of_many_failures_the_newest_are_listed_and_the_others_counted(installed):
    for number in range(8):
        installed.deliver("failed", "damaged", job=f"gen_{number:08}")

    *listed, rest = installed.look(deliveries.deliveries)

    assert [check.message[:12] for check in listed] == [f"gen_{number:08}" for number in (7, 6, 5, 4, 3)]
    assert "3 older" in rest.message


def test_a_session_that_runs_scripts_of_another_version_is_told(installed):
    installed.alive(5, lua="0.0.1")

    (told, _) = installed.look()

    assert (told.status, "0.0.1" in told.message) == (Status.INFO, True)


def test_several_sessions_are_told_apart(installed, tmp_path):
    installed.deliver("waiting")
    installed.alive(5)
    installed.allow("import = yes")
    other = tmp_path / "other"
    other.mkdir()
    with closing(sqlite3.connect(installed.paths.database)) as db, db:
        db.execute("UPDATE deliveries SET session_path = ?", (str(other),))
    installed.deliver("waiting", job="gen_00000002")
    installed.deliver("offered", job="gen_00000003")

    messages = [check.message for check in installed.look()]

    assert len(messages) == 2
    assert messages[0].startswith(f"{installed.session} is open; 2 deliveries wait")
    assert messages[1].startswith(f"{other}: 1 delivery waits")
