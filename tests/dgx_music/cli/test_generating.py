"""`generate` without a daemon, by the function that the command calls; tests/e2e drives the command itself."""

from __future__ import annotations

import json
import sqlite3

import pytest
import typer

from dgx_music.cli.context import Cli
from dgx_music.cli.generating import generate
from dgx_music.errors import DgxMusicError, LibraryError, RequestError
from dgx_music.jobs import Source
from dgx_music.jobs.store import NewJob, Store
from dgx_music.request import GenerationRequest
from support.core import paths_in

NOISE = {"prompt": "noise", "duration": 0.5, "engine": "test-noise"}
pytestmark = pytest.mark.usefixtures("faulty_engines")


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.setenv("DGX_MUSIC_HOME", str(tmp_path / "home"))
    return Cli(as_json=True)


def test_a_job_is_done_in_place_and_shown(cli, capsys):
    generate(cli, {**NOISE, "takes": 2}, wait=True, output=None)
    shown = json.loads(capsys.readouterr().out)
    assert shown["status"] == "completed"
    assert len(shown["takes"]) == 2


def test_no_wait_leaves_the_job_for_the_daemon(cli, capsys):
    generate(cli, NOISE, wait=False, output=None)
    job_id = json.loads(capsys.readouterr().out)["job_id"]
    with sqlite3.connect(cli.paths.database) as db:
        assert db.execute("SELECT id, state FROM jobs").fetchall() == [(job_id, "pending")]


def test_other_pending_jobs_are_left_to_the_daemon(cli, capsys):
    generate(cli, NOISE, wait=False, output=None)
    generate(cli, NOISE, wait=True, output=None)
    with sqlite3.connect(cli.paths.database) as db:
        assert db.execute("SELECT state FROM jobs ORDER BY seq").fetchall() == [("pending",), ("completed",)]


def test_a_failed_job_ends_the_command_with_the_jobs_own_code(cli):
    with pytest.raises(DgxMusicError, match="plays only waltzes") as caught:
        generate(cli, {**NOISE, "engine": "test-refuses"}, wait=True, output=None)
    assert (caught.value.code, caught.value.exit_code) == ("engine", 1)


def test_a_bad_request_stores_nothing(cli):
    with pytest.raises(RequestError):
        generate(cli, {**NOISE, "takes": 99}, wait=True, output=None)
    with sqlite3.connect(cli.paths.database) as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_a_job_that_another_command_left_half_done_is_taken_up_by_its_request_id(cli, capsys):
    store = Store(paths_in(cli.paths.database.parent).database)
    request = GenerationRequest.from_fields({**NOISE, "request_id": "r"})
    [(job_id, _)] = store.add([NewJob(request, Source("cli"), "test-noise")])
    store.claim()
    store.close()
    generate(cli, {**NOISE, "request_id": "r"}, wait=True, output=None)
    assert json.loads(capsys.readouterr().out)["job_id"] == job_id


def test_copies_never_replace_a_file(cli, tmp_path, capsys):
    fields = {**NOISE, "request_id": "r"}
    generate(cli, fields, wait=True, output=tmp_path / "out")
    [copy] = json.loads(capsys.readouterr().out)["copies"]
    assert [str(path) for path in (tmp_path / "out").iterdir()] == [copy]
    with pytest.raises(LibraryError, match="exists and is left alone"):
        generate(cli, fields, wait=True, output=tmp_path / "out")


def test_errors_are_json_where_json_was_asked_for(cli, capsys):
    with pytest.raises(typer.Exit) as caught, cli.errors():
        generate(cli, {**NOISE, "takes": 99}, wait=True, output=None)
    assert caught.value.exit_code == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "bad_request"
    assert "takes: 99" in error["problems"][0]
