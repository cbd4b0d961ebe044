"""What the doctor finds, in installations with one thing wrong each."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dgx_music import __version__
from dgx_music.config import Config, InboxConfig, LibraryConfig, OscConfig
from dgx_music.doctor import Check, Status, Surroundings, installation, run_checks, storage, system
from dgx_music.doctor import daemon as daemon_checks
from dgx_music.doctor import engines as engine_checks
from dgx_music.doctor.run import CHECKS
from dgx_music.instance import InstanceLock
from dgx_music.jobs import schema
from dgx_music.paths import Paths


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DGX_MUSIC_HOME", str(tmp_path / "music"))
    return tmp_path


def surroundings(config: Config | None = None, error: str = "") -> Surroundings:
    return Surroundings(Paths.find(os.environ), config or Config(osc=OscConfig(port=0)), error, os.environ)


def only(checks) -> Check:
    (check,) = checks
    return check


def program(folder: Path, name: str, text: str, monkeypatch) -> None:
    """Put a shell script in front of PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_fresh_home_has_no_problem(home):
    assert [check for check in run_checks(surroundings()) if check.status is Status.PROBLEM] == []


def test_what_needs_doing_says_how(home):
    found = run_checks(surroundings())

    assert [
        check for check in found if check.status in (Status.WARNING, Status.PROBLEM) and not check.remedy
    ] == []


def test_a_check_that_breaks_is_reported_and_the_next_one_runs(home):
    def broken(_):
        raise ZeroDivisionError("by design")
        yield

    found = run_checks(surroundings(), (broken, system.python))

    assert [(check.name, check.status) for check in found] == [
        ("broken", Status.PROBLEM),
        ("Python", Status.OK),
    ]
    assert "ZeroDivisionError: by design" in found[0].message


def test_a_broken_configuration_is_a_problem_that_names_the_setting(home):
    check = only(storage.configuration(surroundings(error="osc.port: too large")))

    assert check.status is Status.PROBLEM
    assert "osc.port" in check.message
    assert "config.toml" in check.remedy


@pytest.mark.parametrize(
    ("version", "status", "remedy"),
    [
        ("0000", Status.PROBLEM, "dgx-music db upgrade"),
        ("9999", Status.PROBLEM, "install that version again"),
    ],
)
def test_a_database_of_another_schema_is_a_problem(home, version, status, remedy):
    paths = surroundings().paths
    schema.upgrade(paths.database)
    with closing(sqlite3.connect(paths.database)) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", (version,))
        db.commit()

    check = only(storage.database(surroundings()))

    assert (check.status, check.remedy) == (status, remedy)


def test_a_current_database_is_fine_and_so_is_none(home):
    assert only(storage.database(surroundings())).status is Status.OK
    schema.upgrade(surroundings().paths.database)
    assert only(storage.database(surroundings())).status is Status.OK


def test_a_file_that_is_no_database_is_a_problem(home):
    database = surroundings().paths.database
    database.parent.mkdir(parents=True)
    database.write_bytes(b"not a database at all" * 100)

    assert only(storage.database(surroundings())).status is Status.PROBLEM


def test_a_library_that_cannot_be_written_is_a_problem_and_names_the_setting(home):
    config = Config(library=LibraryConfig(path=Path("/proc/dgx-music")), inbox=InboxConfig(enabled=False))

    check = only(storage.folders(surroundings(config)))

    assert (check.name, check.status) == ("library", Status.PROBLEM)
    assert "library.path" in check.remedy


def test_looking_at_the_drop_folder_leaves_nothing_in_it(home):
    inbox = surroundings().paths.inbox
    inbox.mkdir(parents=True)
    before = inbox.stat().st_mtime_ns

    checks = list(storage.folders(surroundings()))

    assert [check.status for check in checks] == [Status.INFO, Status.OK]
    assert list(inbox.iterdir()) == []
    assert inbox.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("free_bytes", "status"),
    [(499 * 1024**2, Status.PROBLEM), (4 * 1024**3, Status.WARNING), (6 * 1024**3, Status.OK)],
)
def test_little_disk_is_a_warning_and_very_little_a_problem(home, monkeypatch, free_bytes, status):
    monkeypatch.setattr(
        storage.shutil, "disk_usage", lambda _: storage.shutil._ntuple_diskusage(1, 1, free_bytes)
    )

    assert only(storage.disk(surroundings())).status is status


def test_a_missing_package_is_named(home, monkeypatch):
    monkeypatch.setattr(
        system.metadata,
        "requires",
        lambda _: ["numpy>=1", "surely-not-installed>=2", "torch; extra == 'musicgen'"],
    )

    check = only(system.packages(surroundings()))

    assert check.status is Status.PROBLEM
    assert check.message == "surely-not-installed is missing"


def test_a_package_too_old_is_named_with_what_is_wanted(home, monkeypatch):
    monkeypatch.setattr(system.metadata, "requires", lambda _: ["numpy>=9999"])

    assert ">=9999" in only(system.packages(surroundings())).message


def test_this_very_installation_has_all_its_packages(home):
    assert only(system.packages(surroundings())).status is Status.OK


def test_few_inotify_watches_are_a_warning_only_where_they_are_used(home, monkeypatch, tmp_path):
    limit = tmp_path / "max_user_watches"
    limit.write_text("128\n")
    monkeypatch.setattr(system, "_WATCHES_LIMIT", limit)

    assert only(system.file_watches(surroundings())).status is Status.WARNING
    assert list(system.file_watches(surroundings(Config(inbox=InboxConfig(observer="polling"))))) == []


def test_an_encoding_other_than_utf8_is_a_warning(home):
    code = (
        "import os; from dgx_music.doctor.system import text_encoding; from dgx_music.doctor import Surroundings\n"
        "from dgx_music.config import Config; from dgx_music.paths import Paths\n"
        "print(next(text_encoding(Surroundings(Paths.find(os.environ), Config(), '', os.environ))).status)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        env={
            **os.environ,
            "LC_ALL": "POSIX",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "warning"


def test_no_daemon_is_no_problem_while_its_port_is_free(home):
    found = list(daemon_checks.daemon(surroundings()))

    assert [(check.name, check.status) for check in found] == [
        ("daemon", Status.INFO),
        ("OSC port", Status.OK),
    ]


def test_a_port_that_another_program_holds_is_a_problem(home):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        config = Config(osc=OscConfig(port=other.getsockname()[1]))

        _, check = daemon_checks.daemon(surroundings(config))

    assert (check.name, check.status) == ("OSC port", Status.PROBLEM)
    assert str(config.osc.port) in check.message


def test_a_command_that_works_in_place_is_not_taken_for_a_daemon(home):
    with InstanceLock(surroundings().paths, "generate"):
        check = only(daemon_checks.daemon(surroundings()))

    assert check.status is Status.INFO
    assert "generate" in check.message


def test_a_daemon_that_does_not_answer_is_a_problem(home):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf,
        InstanceLock(surroundings().paths, "daemon") as lock,
    ):
        deaf.bind(("127.0.0.1", 0))
        lock.record(osc_host="127.0.0.1", osc_port=deaf.getsockname()[1], version="0")

        check = only(daemon_checks.daemon(surroundings()))

    assert check.status is Status.PROBLEM
    assert "restart" in check.remedy


def test_a_running_daemon_answers_with_its_version(home, monkeypatch):
    monkeypatch.setenv("DGX_MUSIC__OSC__PORT", "0")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(home / "notify"))
        notified.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-m", "dgx_music", "daemon"],
            env={**os.environ, "NOTIFY_SOCKET": str(home / "notify")},
            stderr=subprocess.DEVNULL,
        )
        try:
            while not notified.recv(4096).startswith(b"READY=1"):
                pass
            check = only(daemon_checks.daemon(surroundings()))
        finally:
            process.terminate()
            process.wait()

    assert check.status is Status.OK
    assert check.message.startswith(f"version {__version__}, pid {process.pid}, answers on OSC 127.0.0.1:")


def test_the_worker_comes_up(home):
    assert only(daemon_checks.worker(surroundings())).status is Status.OK


def test_a_worker_that_cannot_start_is_a_problem_with_its_last_words(home, monkeypatch, tmp_path):
    program(tmp_path / "bin", "python", "echo 'ModuleNotFoundError: numpy' >&2; exit 1", monkeypatch)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))

    check = only(daemon_checks.worker(surroundings()))

    assert check.status is Status.PROBLEM
    assert "ModuleNotFoundError: numpy" in check.message


def test_every_installed_engine_is_listed_and_one_is_chosen(home):
    found = {check.name: check for check in engine_checks.engines(surroundings())}

    assert found["engine sketch"].status is Status.OK
    assert found["default engine"].status is Status.OK


def test_a_default_engine_that_is_not_there_is_a_problem(home):
    config = Config.model_validate({"engine": {"default": "hurdy-gurdy"}})

    assert list(engine_checks.engines(surroundings(config)))[-1].status is Status.PROBLEM


def test_an_engine_that_cannot_be_asked_is_a_problem_and_the_others_are_still_listed(home, monkeypatch):
    real = engine_checks.engine_class

    def broken(name):
        if name == "hurdy-gurdy":
            raise ImportError("no crank")
        return real(name)

    monkeypatch.setattr(engine_checks, "engine_names", lambda: ["hurdy-gurdy", "sketch"])
    monkeypatch.setattr(engine_checks, "engine_class", broken)

    found = {check.name: check for check in engine_checks.engines(surroundings())}

    assert found["engine hurdy-gurdy"].status is Status.PROBLEM
    assert "no crank" in found["engine hurdy-gurdy"].message
    assert found["engine sketch"].status is Status.OK


def test_without_fluidsynth_the_packages_are_named(home, monkeypatch):
    monkeypatch.setenv("PATH", "")

    check = only(engine_checks.instruments(surroundings()))

    assert check.status is Status.INFO
    assert "fluid-soundfont-gm" in check.remedy


@pytest.mark.parametrize(
    ("shown", "status", "remedy"),
    [
        ("LoadState=not-found\nUnitFileState=\nActiveState=inactive", Status.INFO, "install-assets"),
        ("LoadState=loaded\nUnitFileState=enabled\nActiveState=failed", Status.PROBLEM, "journalctl"),
        ("LoadState=loaded\nUnitFileState=disabled\nActiveState=inactive", Status.INFO, "enable --now"),
        ("LoadState=loaded\nUnitFileState=disabled\nActiveState=active", Status.INFO, "enable"),
        ("LoadState=loaded\nUnitFileState=enabled\nActiveState=active", Status.OK, ""),
    ],
)
def test_the_unit_is_judged_by_what_systemd_says(home, monkeypatch, tmp_path, shown, status, remedy):
    program(tmp_path / "bin", "systemctl", f"cat <<'END'\n{shown}\nEND", monkeypatch)

    check = next(iter(installation.unit(surroundings())))

    assert check.status is status
    assert remedy in check.remedy


def test_no_service_manager_is_said_and_how_to_start_without(home, monkeypatch, tmp_path):
    program(tmp_path / "bin", "systemctl", "echo 'Failed to connect to bus' >&2; exit 1", monkeypatch)

    check = only(installation.unit(surroundings()))

    assert check.status is Status.INFO
    assert "dgx-music daemon" in check.remedy


def command_line(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "dgx_music", *arguments], capture_output=True, text=True, check=False
    )


needs_installation = pytest.mark.skipif(
    not os.access(Path(sys.executable).parent / "dgx-music", os.X_OK), reason="dgx-music is not installed"
)


@needs_installation
def test_a_template_that_went_missing_is_a_warning_and_one_that_was_changed_is_not(home):
    (home / ".config" / "ardour8").mkdir(parents=True)
    assert only(installation.assets(surroundings())).status is Status.INFO
    assert command_line("install-assets").returncode == 0
    assert only(installation.assets(surroundings())).status is Status.OK
    one, other, *_ = sorted(home.glob(".config/ardour8/templates/*/*.template"))
    one.unlink()
    other.write_text("mine")

    missing, yours = installation.assets(surroundings())

    assert (missing.status, missing.remedy) == (Status.WARNING, "dgx-music install-assets")
    assert str(one) in missing.message
    assert yours.status is Status.INFO
    assert str(other) in yours.message


def test_the_command_prints_every_check_and_leaves_with_0(home):
    done = command_line("doctor", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == 0
    assert len(report["checks"]) >= len(CHECKS) - 2
    assert {"name", "status", "message", "remedy"} == set(report["checks"][0])


def test_the_command_leaves_with_1_when_something_is_broken(home):
    paths = surroundings().paths
    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text("[osc]\nport = 99999\n")

    done = command_line("doctor")

    assert done.returncode == 1
    assert "osc.port" in done.stdout
    assert f"→ correct {paths.config_file}" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 problem"
